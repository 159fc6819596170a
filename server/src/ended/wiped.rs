//! The last word of a phone that parted with its records: signed by the book's key before that was destroyed, kept as it came. Believed as
//! far as it goes: it says what an honest phone did.

use beatbook_protocol::id::BookId;
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Refusal, RefusalCode, WIRE_VERSION, WipeReceipt, WipedRequest, WipedResponse};
use serde::Serialize;

use crate::audit::{self, Line};
use crate::error::StationError;
use crate::refused::refusal_of;
use crate::station::Station;
use crate::store::ReadTx;

/// What a phone said last, as the chief sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WipedView {
    /// When it came, by the station's clock.
    #[schema(value_type = i64)]
    pub received: UnixMillis,
    /// When keys and records were destroyed, by the phone's clock.
    #[schema(value_type = i64)]
    pub wiped_at: UnixMillis,
    /// Pages that it had handed in.
    pub held_pages: u64,
    /// Entries in them.
    pub held_entries: u64,
    /// Entries that went with the phone.
    pub lost_entries: u64,
    /// Photos and recordings that went with it.
    pub lost_blobs: u64,
    /// Drafts that went with it.
    pub lost_drafts: u64,
    /// Emergency notes that the station has not: sealed as they are, they stay on the phone, where a custodian finds them.
    pub left_notes: u64,
}

/// Takes a last word in. The same again gets the same answer.
pub(crate) fn take(station: &Station, request: &WipedRequest) -> Result<WipedResponse, Refusal> {
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    let receipt = request
        .receipt()
        .map_err(|fault| Refusal::new(&RefusalCode::Malformed, fault.to_string()))?;
    let now = station.env.clock.now();
    let taken = station.store.write(|tx| {
        let Some(book) = tx.book(receipt.book)?.filter(|book| book.book != station.book) else {
            return Ok(Err(Refusal::new(&RefusalCode::UnknownBook, "this book is not enrolled here")));
        };
        let signed = BookPublicKey::parse(book.suite, &book.key).is_ok_and(|key| request.is_of(&key, &station.origin));
        if !signed {
            return Ok(Err(Refusal::new(
                &RefusalCode::Malformed,
                "the last word is not signed by its book",
            )));
        }
        if tx.book_end(receipt.book)?.is_none() {
            let text = "this book has not ended here: nothing was to be destroyed";
            return Ok(Err(Refusal::new(&RefusalCode::Malformed, text)));
        }
        if tx.put_wiped(receipt.book, now, &request.receipt, &request.signature)? {
            audit::append(tx, &station.env, &Line::of(Some(book.user), "wipe.receipt", detail(&receipt)))?;
        }
        Ok::<_, StationError>(Ok(WipedResponse {
            version: WIRE_VERSION,
            server_time: now,
        }))
    });
    let answer = taken.map_err(|fault| refusal_of(&fault))?;
    station.count(if answer.is_ok() {
        "wipe_receipts"
    } else {
        "wipe_receipts_refused"
    });
    answer
}

fn detail(receipt: &WipeReceipt) -> String {
    format!(
        "book {}: {} entries held, {} entries, {} blobs and {} drafts gone with the phone, {} emergency notes left on it",
        receipt.book,
        receipt.held_entries,
        receipt.lost_entries,
        receipt.lost_blobs,
        receipt.lost_drafts,
        receipt.left_notes.unwrap_or(0)
    )
}

/// What the phone of a book said last.
pub(crate) fn of(tx: &ReadTx<'_>, book: BookId) -> Result<Option<WipedView>, StationError> {
    let Some(row) = tx.wiped(book)? else { return Ok(None) };
    let receipt: WipeReceipt = beatbook_protocol::codec::from_bytes("wipe receipt", &row.receipt)
        .map_err(|fault| StationError::Damaged(format!("the last word of book {book}: {fault}")))?;
    Ok(Some(WipedView {
        received: row.received,
        wiped_at: receipt.wiped_at,
        held_pages: receipt.held_pages,
        held_entries: receipt.held_entries,
        lost_entries: receipt.lost_entries,
        lost_blobs: receipt.lost_blobs,
        lost_drafts: receipt.lost_drafts,
        left_notes: receipt.left_notes.unwrap_or(0),
    }))
}
