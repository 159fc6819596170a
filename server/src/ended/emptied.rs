//! What a destruction takes out of pages that are held: bytes and names of the entries about what was destroyed, whatever was decided on
//! them. The page stays with the rest of it, and its phone is told that it is held.

use std::collections::BTreeMap;

use beatbook_protocol::codec;
use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::page::SealedPage;

use super::parting::{self, COLUMN};
use crate::destruction::{Destroyed, Hand};
use crate::error::StationError;
use crate::seal::is_sensitive;
use crate::store::{ReadTx, WriteTx};

/// Whether an entry goes with what of its record is destroyed.
fn goes(destroyed: Destroyed, entry: &[u8]) -> bool {
    destroyed.whole || (destroyed.private && is_sensitive(entry))
}

/// Takes entries out of a page, and what its salts are made from: with it a guess could be held against the page's root.
fn empty(page: &mut SealedPage, positions: &[u32]) {
    page.seed = [0; 32];
    for position in positions {
        let entry = usize::try_from(*position).ok().and_then(|at| page.entries.get_mut(at));
        if let Some(entry) = entry {
            *entry = Vec::new().into();
        }
    }
}

/// The entries of a page that came when what they are about was destroyed already; they are taken out of it.
pub(super) fn late(tx: &ReadTx<'_>, page: &mut SealedPage) -> Result<Vec<u32>, StationError> {
    let mut known: BTreeMap<RecordId, Destroyed> = BTreeMap::new();
    let mut gone = Vec::new();
    for (position, bytes) in (0_u32..).zip(&page.entries) {
        let Some(record) = Entry::parse(bytes).ok().and_then(|entry| entry.record()) else {
            continue;
        };
        let destroyed = match known.get(&record) {
            Some(destroyed) => *destroyed,
            None => Destroyed::of(tx, record)?,
        };
        known.insert(record, destroyed);
        if goes(destroyed, bytes) {
            gone.push(position);
        }
    }
    if !gone.is_empty() {
        empty(page, &gone);
    }
    Ok(gone)
}

/// Takes what is destroyed of a record out of every held page; how many entries that were.
pub(crate) fn empty_all(hand: Hand<'_>, tx: &WriteTx<'_>, record: RecordId, destroyed: Destroyed) -> Result<u64, StationError> {
    let mut places: BTreeMap<Hash, Vec<u32>> = BTreeMap::new();
    for (page, position) in tx.held_about(record)? {
        places.entry(page).or_default().push(position);
    }
    let mut count = 0;
    for (hash, mut positions) in places {
        let Some(row) = tx.held_page(&hash)? else { continue };
        let mut page = parting::open(hand.keys, &row)?;
        positions.retain(|position| {
            let entry = usize::try_from(*position).ok().and_then(|at| page.entries.get(at));
            entry.is_some_and(|entry| goes(destroyed, entry))
        });
        if positions.is_empty() {
            continue;
        }
        empty(&mut page, &positions);
        let sealed = hand
            .keys
            .column
            .seal(hand.env, COLUMN, hash.as_bytes(), &codec::to_bytes(&page))?;
        tx.empty_held(&hash, &sealed, &positions)?;
        count += u64::try_from(positions.len()).unwrap_or(u64::MAX);
    }
    Ok(count)
}
