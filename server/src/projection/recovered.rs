//! What was given back after a restore counts as what it is, under the name of the book that it is said to come from, and is marked until
//! it comes in a page of that book. What a chief admitted of a book that had ended comes the same way, and bears his name.

use beatbook_protocol::entry::{RecoveredEntry, identity};
use beatbook_protocol::id::{RecordId, UserId};

use super::records::{self, InHand};
use super::{Folded, Place};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{RecoveredRow, WriteTx};

const DUPLICATE: u32 = 1;

/// Folds an entry that was given back.
pub(crate) fn fold(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    place: &Place,
    verdict: u32,
    recovered: &RecoveredEntry,
) -> Result<Option<RecordId>, StationError> {
    let damaged = |why: &str| StationError::Damaged(format!("leaf {}, entry {}: {why}", place.leaf, place.position));
    let inner = recovered.inner().map_err(|fault| damaged(&fault.to_string()))?;
    let record = inner
        .record()
        .ok_or_else(|| damaged("what was given back is about no record"))?;
    let entry = identity(&recovered.entry);
    let row = RecoveredRow {
        entry,
        record,
        place: (place.leaf, place.position),
        book: recovered.book,
        giver: recovered.giver,
    };
    tx.put_recovered(&row, &recovered.entry)?;
    if let Some(by) = recovered.admitted_by {
        tx.put_admitted(&entry, record, by)?;
    }
    let place = Place {
        entry,
        book: recovered.book,
        user: tx.book(recovered.book)?.map_or(UserId::from_bytes([0; 16]), |book| book.user),
        ..*place
    };
    let mut hand = InHand::default();
    let moved = records::fold(tx, kinds, &place, (verdict, &inner), &mut hand)?;
    hand.put_down(tx, kinds)?;
    Ok(moved)
}

/// Takes the mark off what came in a page of its author.
pub(crate) fn returned(tx: &WriteTx<'_>, place: &Place, folded: &Folded<'_>) -> Result<(), StationError> {
    if folded.verdict == DUPLICATE {
        tx.put_returned(&folded.id, place.book, place.leaf)?;
    }
    Ok(())
}
