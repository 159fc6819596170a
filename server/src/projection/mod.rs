//! Projections: what the station shows, folded from the ledger. One fold serves live work and `rebuild` alike; given the same leaves it
//! makes the same rows.
//!
//! ```text
//!  leaf + entries ─► pages     (known pages, tips of chains)
//!                 ─► registry  (units, people, books, kinds, grants)
//!                 ─► records   (state, versions, changes, acts)  ─► touched records
//!                    merges    (which record stands for which)
//!                 ─► recovered (what was given back, as what it is, with a mark)
//!                 ─► destroyed (what is gone, and what stays of it)
//!  touched record ─► digests   (its digest, and the sums)
//!                 ─► reading   (title, words, conflicts, findings; opens the documents)
//! ```

pub(crate) mod destroyed;
pub(crate) mod digests;
pub(crate) mod merges;
pub(crate) mod pages;
pub(crate) mod reading;
pub(crate) mod record;
pub(crate) mod records;
pub(crate) mod recovered;
pub(crate) mod registry;

use std::collections::BTreeSet;

use beatbook_protocol::codec;
use beatbook_protocol::entry::{Entry, RegistryEvent};
use beatbook_protocol::id::{BookId, Hash, RecordId, UserId};
use beatbook_protocol::ledger::Leaf;
use beatbook_protocol::page::Header;
use beatbook_protocol::time::UnixMillis;

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{DestroyedRow, WriteTx};
use records::InHand;

/// An entry of a leaf, for folding.
#[derive(Debug)]
pub(crate) struct Folded<'a> {
    /// Its place in the page.
    pub(crate) position: u32,
    /// Its identity.
    pub(crate) id: Hash,
    /// Verdict by number: 0 accepted, 2 refused, 4 offered.
    pub(crate) verdict: u32,
    /// What there is of it.
    pub(crate) matter: Matter<'a>,
}

/// What there is of an entry, for folding.
#[derive(Debug)]
pub(crate) enum Matter<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// What stays of it since it was destroyed.
    Destroyed(&'a DestroyedRow),
}

/// Where an entry stands: what a projection may know besides the entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Leaf.
    pub(crate) leaf: u64,
    /// Position in the page.
    pub(crate) position: u32,
    /// The entry.
    pub(crate) entry: Hash,
    /// The book that wrote it.
    pub(crate) book: BookId,
    /// Whose book that is.
    pub(crate) user: UserId,
    /// When it came.
    pub(crate) received: UnixMillis,
}

/// Folds one leaf into every projection but the readings; returns the records that it touched.
pub(crate) fn fold_leaf(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    number: u64,
    leaf: &Leaf,
    entries: &[Folded<'_>],
) -> Result<BTreeSet<RecordId>, StationError> {
    let header: Header = codec::from_bytes("page header", &leaf.header)
        .map_err(|fault| StationError::Damaged(format!("leaf {number}: {fault}")))?;
    pages::fold(tx, number, leaf, &header)?;
    let mut touched = BTreeSet::new();
    let mut hand = InHand::default();
    let mut author = None;
    for folded in entries {
        let bytes = match &folded.matter {
            Matter::Bytes(bytes) => bytes,
            Matter::Destroyed(row) => {
                hand.put_down(tx, kinds)?;
                destroyed::fold_entry(tx, folded.verdict, row)?;
                continue;
            }
        };
        // What could not be read was refused as such and moves nothing.
        let Ok(entry) = Entry::parse(bytes) else { continue };
        if !hand.goes_on(folded.verdict, &entry) {
            hand.put_down(tx, kinds)?;
        }
        if let (0, Entry::Registry(event)) = (folded.verdict, &entry) {
            registry::fold(tx, event, (number, folded.position), leaf.received)?;
            // The station's own book is enrolled by the first entry of its first page.
            author = None;
        }
        let user = match author {
            Some(user) => user,
            None => *author.insert(tx.book(header.book)?.map_or(UserId::from_bytes([0; 16]), |book| book.user)),
        };
        let place = Place {
            leaf: number,
            position: folded.position,
            entry: folded.id,
            book: header.book,
            user,
            received: leaf.received,
        };
        let moved = match (folded.verdict, &entry) {
            (0, Entry::Registry(RegistryEvent::Destruction(event))) => destroyed::fold(tx, kinds, &place, event)?,
            (0 | 4, Entry::Recovered(inner)) => recovered::fold(tx, kinds, &place, folded.verdict, inner)?,
            _ => records::fold(tx, kinds, &place, (folded.verdict, &entry), &mut hand)?,
        };
        touched.extend(moved);
        recovered::returned(tx, &place, folded)?;
    }
    hand.put_down(tx, kinds)?;
    digests::fold(tx, number, &touched)?;
    Ok(touched)
}
