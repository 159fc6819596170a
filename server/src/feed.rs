//! The feed: what the ledger holds for a book since its cursor. Accepted entries in its scope only; leaves with nothing in it are passed
//! over, and the cursor moves across them.

use std::collections::BTreeMap;

use beatbook_protocol::entry::{Entry, RegistryEvent};
use beatbook_protocol::id::{BookId, IncarnationId, UnitId, UserId};
use beatbook_protocol::kind::{CheckedKind, DocumentName, Who};
use beatbook_protocol::limits::REPLY_BYTES;
use beatbook_protocol::wire::{FeedEntry, FeedLeaf};

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{FeedRow, ReadTx};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// His book and its incarnation, whose pages he has.
    pub(crate) own: (BookId, IncarnationId),
    /// He.
    pub(crate) user: UserId,
    /// His roles.
    pub(crate) roles: &'a [Who],
    /// His unit.
    pub(crate) unit: UnitId,
}

/// A piece of the feed.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The leaves.
    pub(crate) leaves: Vec<FeedLeaf>,
    /// The ledger size that it reaches to.
    pub(crate) reaches: u64,
}

/// Reads the feed of a range of leaves, as much as goes into a reply. A budget of 0 asks for none: the cursor then stays where it is.
pub(crate) fn feed(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    asker: &Asker<'_>,
    (from, to): (u64, u64),
    bytes_max: Option<u32>,
) -> Result<Feed, StationError> {
    if bytes_max == Some(0) {
        return Ok(Feed {
            leaves: Vec::new(),
            reaches: from,
        });
    }
    let budget = bytes_max
        .and_then(|max| usize::try_from(max).ok())
        .map_or(REPLY_BYTES, |max| max.min(REPLY_BYTES));
    let mut feed = Feed {
        leaves: Vec::new(),
        reaches: to,
    };
    let mut bytes = 0;
    let mut private = BTreeMap::new();
    tx.each_in_feed((from, to), asker.unit, asker.own, |row| {
        let is_new = feed.leaves.last().is_none_or(|last| last.leaf != row.leaf);
        // Whole leaves only, and at least one, so that a small budget still gets on.
        if is_new && bytes >= budget && !feed.leaves.is_empty() {
            feed.reaches = row.leaf;
            return Ok::<bool, StationError>(false);
        }
        if !is_for(kinds, asker, &row, &mut private)? {
            return Ok(true);
        }
        bytes += row.bytes.len();
        if is_new {
            feed.leaves.push(FeedLeaf {
                leaf: row.leaf,
                book: row.book,
                received: row.received,
                entries: Vec::new(),
            });
        }
        if let Some(last) = feed.leaves.last_mut() {
            let entry = FeedEntry {
                position: row.position,
                entry: row.bytes.into(),
                offered: row.offered.then_some(true),
            };
            last.entries.push(entry);
        }
        Ok(true)
    })?;
    Ok(feed)
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

fn is_for(
    kinds: &Kinds,
    asker: &Asker<'_>,
    row: &FeedRow,
    private: &mut BTreeMap<(String, u32), bool>,
) -> Result<bool, StationError> {
    let Some((kind, version, opener)) = &row.record else {
        // Kinds reach phones by their digest, and are long.
        return Ok(!matches!(
            Entry::parse(&row.bytes),
            Ok(Entry::Registry(RegistryEvent::Kind(_)))
        ));
    };
    if *opener == *asker.user.as_bytes() {
        return Ok(true);
    }
    let reads = match private.get(&(kind.clone(), *version)) {
        Some(reads) => *reads,
        None => {
            let reads = reads_private(kinds.get(kind, *version)?, asker.roles, false);
            private.insert((kind.clone(), *version), reads);
            reads
        }
    };
    if reads {
        return Ok(true);
    }
    Ok(match Entry::parse(&row.bytes) {
        // The change that opens a record tells of the record, whichever document it is in.
        Ok(Entry::Change(change)) => change.document.name() != Some(DocumentName::Private) || change.opens.is_some(),
        Ok(_) | Err(_) => true,
    })
}
