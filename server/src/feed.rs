//! The feed: what the ledger holds for a book since its cursor. Accepted entries in its scope only; leaves with nothing in it are passed
//! over, and the cursor moves across them. Records that a fill has still to bring are passed over too: it brings them whole.

use beatbook_protocol::entry::{DestructionEvent, Entry, RegistryEvent};
use beatbook_protocol::id::{BookId, IncarnationId, UnitId, UserId};
use beatbook_protocol::kind::{CheckedKind, DocumentName, Who};
use beatbook_protocol::limits::REPLY_ENTRY_BYTES;
use beatbook_protocol::wire::{FeedEntry, FeedLeaf};

use crate::error::StationError;
use crate::fill::Filling;
use crate::kinds::Kinds;
use crate::scope::{About, Scope};
use crate::store::{FeedRow, ReadTx};

/// A piece of the feed.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The leaves.
    pub(crate) leaves: Vec<FeedLeaf>,
    /// The ledger size that it reaches to.
    pub(crate) reaches: u64,
    /// Bytes of its entries, with what each costs beside.
    pub(crate) bytes: usize,
}

impl Feed {
    /// Nothing, for a cursor that stays where it is.
    pub(crate) const fn none(reaches: u64) -> Self {
        Self {
            leaves: Vec::new(),
            reaches,
            bytes: 0,
        }
    }
}

/// Reads the feed of a range of leaves, as much as goes into a budget, the pages of the asker's own left out.
pub(crate) fn feed(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    (scope, filling): (&Scope, &mut Filling<'_>),
    own: (BookId, IncarnationId),
    (from, to): (u64, u64),
    budget: usize,
) -> Result<Feed, StationError> {
    let mut feed = Feed::none(to);
    let asker = match scope.unit {
        None => return Ok(feed),
        // He hears what becomes of units and people, himself included, and nothing of any record.
        Some(_) if scope.is_blocked => (UserId::from_bytes([0; 16]), UnitId::from_bytes([0; 16])),
        Some(unit) => (scope.user, unit),
    };
    let mut before = Before {
        user: scope.user,
        size: from,
        scope: None,
    };
    tx.each_in_feed((from, to), asker, own, |row| {
        let is_new = feed.leaves.last().is_none_or(|last| last.leaf != row.leaf);
        // Whole leaves only, and at least one, so that a small budget still gets on.
        if is_new && feed.bytes >= budget && !feed.leaves.is_empty() {
            feed.reaches = row.leaf;
            return Ok::<bool, StationError>(false);
        }
        if !is_for(tx, kinds, (scope, &mut before), filling, &row)? {
            return Ok(true);
        }
        feed.bytes += row.bytes.len() + REPLY_ENTRY_BYTES;
        push(&mut feed.leaves, row);
        Ok(true)
    })?;
    Ok(feed)
}

/// Puts an entry behind the others, in the leaf that it stands in.
pub(crate) fn push(leaves: &mut Vec<FeedLeaf>, row: FeedRow) {
    if leaves.last().is_none_or(|last| last.leaf != row.leaf) {
        leaves.push(FeedLeaf {
            leaf: row.leaf,
            book: row.book,
            received: row.received,
            entries: Vec::new(),
        });
    }
    if let Some(last) = leaves.last_mut() {
        last.entries.push(FeedEntry {
            position: row.position,
            entry: row.bytes.into(),
            offered: row.offered.then_some(true),
        });
    }
}

/// Whether somebody may read the private document of a record of a kind: who opened it, and whose role may write such records.
pub(crate) fn reads_private(kind: &CheckedKind, roles: &[Who], opened_it: bool) -> bool {
    opened_it
        || kind
            .workflow
            .states
            .iter()
            .flat_map(|state| &state.writers)
            .any(|who| roles.contains(who))
}

/// Whose scope it was at the cursor; looked up when it is asked for.
struct Before {
    user: UserId,
    size: u64,
    scope: Option<Scope>,
}

impl Before {
    /// Whether what was destroyed may lie on his phone: it was in his scope at his cursor, and he read that document.
    fn held(&mut self, tx: &ReadTx<'_>, kinds: &Kinds, event: &DestructionEvent) -> Result<bool, StationError> {
        let scope = match self.scope.take() {
            Some(scope) => scope,
            None => Scope::at(tx, self.user, self.size)?,
        };
        let held = match event.document {
            None => match tx.gone(event.record)?.and_then(|gone| gone.unit) {
                Some(unit) => scope.holds(tx, event.record, unit)?,
                // Nobody here knows whose it was: who has it is told when he sends something of it.
                None => false,
            },
            Some(_) => match tx.record(event.record)? {
                Some(state) => {
                    let opens = state.opening.opens;
                    let about = About {
                        record: event.record,
                        unit: opens.unit,
                        kind: &(opens.kind, opens.version),
                        opener: state.opening.user,
                    };
                    scope.holds(tx, event.record, opens.unit)? && scope.reads(tx, kinds, &about)?
                }
                None => false,
            },
        };
        self.scope = Some(scope);
        Ok(held)
    }
}

fn is_for(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    (scope, before): (&Scope, &mut Before),
    filling: &mut Filling<'_>,
    row: &FeedRow,
) -> Result<bool, StationError> {
    if let Some(record) = &row.record {
        return Ok(scope.has(tx, record)?
            && !filling.will_bring(tx, kinds, record.number)?
            && is_readable(tx, kinds, scope, row)?);
    }
    Ok(match Entry::parse(&row.bytes) {
        // Kinds reach phones by their digest, and are long; what fixes the audit log is the station's own affair.
        Ok(Entry::Registry(RegistryEvent::Kind(_) | RegistryEvent::AuditAnchor(_))) => false,
        // A grant names a record: who does not hold it must not hear of it.
        Ok(Entry::Registry(RegistryEvent::Grant(grant))) => match tx.number_of(grant.record)? {
            Some(number) => match tx.scoped(number)? {
                Some(record) => scope.holds(tx, record.id, record.unit)? && !filling.will_bring(tx, kinds, number)?,
                None => false,
            },
            None => false,
        },
        // A destruction names a record as well: it is for those who may hold it.
        Ok(Entry::Registry(RegistryEvent::Destruction(event))) => before.held(tx, kinds, &event)?,
        // Why a record is kept is the station's to know.
        Ok(Entry::Registry(RegistryEvent::Hold(_))) => false,
        Ok(_) | Err(_) => true,
    })
}

/// Whether an entry about a record in scope may be read: changes of `private` by some only.
pub(crate) fn is_readable(tx: &ReadTx<'_>, kinds: &Kinds, scope: &Scope, row: &FeedRow) -> Result<bool, StationError> {
    let Some(record) = &row.record else { return Ok(true) };
    let about = About {
        record: record.id,
        unit: record.unit,
        kind: &record.kind,
        opener: record.opener,
    };
    if scope.reads(tx, kinds, &about)? {
        return Ok(true);
    }
    let entry = match Entry::parse(&row.bytes) {
        Ok(Entry::Recovered(recovered)) => recovered.inner(),
        other => other,
    };
    Ok(match entry {
        Ok(Entry::Change(change)) => change.document.name() != Some(DocumentName::Private),
        Ok(_) | Err(_) => true,
    })
}
