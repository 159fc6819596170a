//! Carrying a destruction out, within one transaction of the caller: which entries lose salt and bytes, the event that names them, and what
//! follows from it.

use std::collections::BTreeSet;

use beatbook_protocol::codec;
use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{ChangeEntry, DestructionEvent, Entry, RegistryEvent, identity};
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::ledger::merkle;
use beatbook_protocol::limits::PAGE_ENTRIES_MAX;
use beatbook_protocol::page::{SealedPage, salted_hash};

use super::refusal::Destroyed;
use super::{Logbook, Order};
use crate::audit::{self, Line};
use crate::ended::emptied::empty_all;
use crate::environment::Environment;
use crate::error::StationError;
use crate::intake::{OwnEntry, seal_own};
use crate::keys::Keys;
use crate::kinds::Kinds;
use crate::ledger;
use crate::rebuild::refresh;
use crate::seal::is_sensitive;
use crate::store::{AboutRow, DestroyedRow, ReadTx, Store, WriteTx};

/// What a destruction is carried out with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hand<'a> {
    /// Keys.
    pub(crate) keys: &'a Keys,
    /// Kinds.
    pub(crate) kinds: &'a Kinds,
    /// Time and randomness.
    pub(crate) env: &'a Environment,
}

/// A record with all that was merged into it, and what it was merged into: one thing, which goes together.
pub(crate) fn group_of(tx: &ReadTx<'_>, record: RecordId) -> Result<Vec<RecordId>, StationError> {
    let mut root = record;
    let mut passed = BTreeSet::new();
    while let Some(next) = tx.merged_into(root)?.filter(|_| passed.insert(root)) {
        root = next;
    }
    let mut group = tx.merged_here(root)?;
    // What others end in goes last, so that it is never a target without a record for longer than this step.
    group.push(root);
    Ok(group)
}

/// Carries orders out; how many entries lost their bytes.
pub(crate) fn carry_out(hand: Hand<'_>, tx: &WriteTx<'_>, orders: &[Order]) -> Result<u64, StationError> {
    let mut events = Vec::with_capacity(orders.len());
    let mut blobs = BTreeSet::new();
    let mut entries = 0_u64;
    for order in orders {
        blobs.extend(tx.named_by(order.record, order.private_only)?);
        let event = drop_entries(tx, order)?;
        entries += u64::from(event.entries);
        audit::append(tx, hand.env, &line(order, &event))?;
        events.push(RegistryEvent::Destruction(event));
        hand.env.steps.passes("entries dropped");
    }
    let mut touched = BTreeSet::new();
    for page in events.chunks(PAGE_ENTRIES_MAX) {
        let page = page.iter().map(|event| OwnEntry {
            bytes: Entry::Registry(event.clone()).to_bytes(),
            offered: false,
        });
        let page = seal_own(tx, hand.keys, hand.env, page.collect())?;
        touched.extend(ledger::append(tx, hand.kinds, &page)?.1);
        hand.env.steps.passes("destruction appended");
    }
    for record in touched {
        refresh(tx, hand.kinds, record)?;
    }
    for hash in &blobs {
        if !tx.is_named(hash)? {
            tx.put_blob_destroyed(hash)?;
        }
    }
    let gone: BTreeSet<RecordId> = orders.iter().map(|order| order.record).collect();
    let mut held = 0;
    for order in orders {
        let destroyed = Destroyed {
            whole: !order.private_only,
            private: order.private_only,
        };
        held += empty_all(hand, tx, order.record, destroyed)?;
    }
    if held > 0 {
        tracing::info!(
            entries = held,
            "entries held of books that ended went with what was destroyed"
        );
    }
    let set_aside = tx.drop_quarantined(|bytes| holds_any(bytes, &gone))?;
    if set_aside > 0 {
        tracing::info!(
            pages = set_aside,
            "pages set aside held something of what was destroyed, and went with it"
        );
    }
    tx.ask_scrub()?;
    Ok(entries)
}

/// Carries out again what an older copy of the database does not know of: the keys directory remembers. How many destructions there were.
pub(crate) fn again(hand: Hand<'_>, store: &Store) -> Result<u64, StationError> {
    let orders = store.read(|tx| missing(tx, &hand.keys.destroyed))?;
    if !orders.is_empty() {
        store.write(|tx| carry_out(hand, tx, &orders))?;
        tracing::warn!(
            destructions = orders.len(),
            "what was destroyed was here again in this copy: destroyed once more"
        );
    }
    Ok(u64::try_from(orders.len()).unwrap_or(u64::MAX))
}

/// The destructions of the log that the ledger does not know of. That a record is not here is no reason to pass one over: it may be given
/// back, or come late.
fn missing(tx: &ReadTx<'_>, logbook: &Logbook) -> Result<Vec<Order>, StationError> {
    let mut orders: Vec<Order> = Vec::new();
    for line in logbook.lines()? {
        let known = Destroyed::of(tx, line.record)?;
        let is_known = known.whole || (line.private_only && known.private);
        if is_known
            || orders
                .iter()
                .any(|order| order.record == line.record && order.private_only == line.private_only)
        {
            continue;
        }
        orders.push(Order {
            record: line.record,
            private_only: line.private_only,
            why: line.why,
            rule: format!("carried out again after a restore; first at {}", line.at.0),
            by: None,
        });
    }
    // What went as a whole needs no destruction of a part.
    let whole: BTreeSet<RecordId> = orders
        .iter()
        .filter(|order| !order.private_only)
        .map(|order| order.record)
        .collect();
    orders.retain(|order| !order.private_only || !whole.contains(&order.record));
    Ok(orders)
}

fn line(order: &Order, event: &DestructionEvent) -> Line {
    let what = if order.private_only {
        "record.private_destroyed"
    } else {
        "record.destroyed"
    };
    Line {
        user: order.by,
        what,
        record: Some(order.record),
        detail: format!("{}: {} entries, root {}", order.why, event.entries, event.root),
        reason: Some(order.rule.clone()),
    }
}

/// Drops salts and bytes of the entries that an order means; the event that names them.
fn drop_entries(tx: &WriteTx<'_>, order: &Order) -> Result<DestructionEvent, StationError> {
    let mut rows = tx.entries_about(order.record)?;
    if order.private_only {
        rows.retain(|row| is_sensitive(&row.bytes));
    }
    let salted: Vec<Hash> = rows.iter().map(|row| salted_hash(&row.salt, &row.bytes)).collect();
    let event = DestructionEvent {
        record: order.record,
        document: order.document().map(Into::into),
        why: order.why.clone(),
        rule: order.rule.clone(),
        entries: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        root: merkle::root_of(&salted),
        on_behalf: order.by,
    };
    let name = identity(&Entry::Registry(RegistryEvent::Destruction(event.clone())).to_bytes());
    for (row, salted) in rows.iter().zip(&salted) {
        let stays = what_stays(row, order, name);
        let names = [Some(row.id), inner_name(&row.bytes)];
        tx.destroy_entry(&names.into_iter().flatten().collect::<Vec<_>>(), salted, &stays)?;
    }
    Ok(event)
}

const ACCEPTED: u32 = 0;

fn what_stays(row: &AboutRow, order: &Order, event: Hash) -> DestroyedRow {
    let mut stays = DestroyedRow {
        place: row.place,
        record: Some(order.record),
        event,
        book: row.book,
        actor: None,
        opens: None,
        late: false,
    };
    if let Some((book, change)) = change_of(row).filter(|_| row.verdict == ACCEPTED) {
        stays.book = book;
        stays.actor = guard::envelope(&change.change).ok().map(|envelope| envelope.actor);
        stays.opens = change.opens.filter(|_| !order.private_only);
    }
    stays
}

/// The change in an entry, given back or not, and whose it is.
fn change_of(row: &AboutRow) -> Option<(BookId, ChangeEntry)> {
    match Entry::parse(&row.bytes).ok()? {
        Entry::Change(change) => Some((row.book, change)),
        Entry::Recovered(recovered) => match recovered.inner().ok()? {
            Entry::Change(change) => Some((recovered.book, change)),
            _ => None,
        },
        Entry::Act(_) | Entry::Registry(_) | Entry::Other(_) => None,
    }
}

/// The name of what an entry gives back, under which its bytes are kept too.
fn inner_name(bytes: &[u8]) -> Option<Hash> {
    match Entry::parse(bytes).ok()? {
        Entry::Recovered(recovered) => Some(identity(&recovered.entry)),
        Entry::Change(_) | Entry::Act(_) | Entry::Registry(_) | Entry::Other(_) => None,
    }
}

/// Whether a page that was set aside holds anything of these records.
fn holds_any(page: &[u8], records: &BTreeSet<RecordId>) -> bool {
    let Ok(page) = codec::from_bytes::<SealedPage>("page", page) else {
        return false;
    };
    let of = |entry: &[u8]| Entry::parse(entry).ok().and_then(|entry| entry.record());
    page.entries
        .iter()
        .any(|entry| of(entry).is_some_and(|record| records.contains(&record)))
}
