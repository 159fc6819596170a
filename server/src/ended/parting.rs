//! The exchange of a book that has ended: its pages are held for the chief, within bounds, and it is told to part with what it has. It gets
//! no feed, no token, no blobs. Let in by the book's signature alone. Judges nothing of what the pages say.

use beatbook_protocol::codec;
use beatbook_protocol::entry::{Entry, identity};
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::page::{BookPublicKey, SealedPage, VerifiedPage, header_hash};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    Cursor, ExchangeRequest, ExchangeResponse, Held, NotHeld, PageAnswer, Receipt, WipeOrder, receipt_root,
};

use super::emptied;
use crate::error::StationError;
use crate::intake::known_answer;
use crate::keys::Keys;
use crate::ledger::{self, OldPosition};
use crate::station::Station;
use crate::store::{BookEndRow, BookRow, HeldPageRow, HeldState, ReadTx, WriteTx};

/// Pages that are held of one book: weeks without a network, of an officer who seals at each lock.
pub(crate) const HELD_PAGES_MAX: u64 = 2_048;
/// Bytes of entries that are held of one book: four times the longest reply.
pub(crate) const HELD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The column that they are sealed as.
pub(super) const COLUMN: &str = "held_page";

/// What became of the pages of a request.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// On the ledger since before the end.
    answers: Vec<PageAnswer>,
    held: Vec<Hash>,
    refused: Vec<NotHeld>,
}

/// Answers a request of a book that has ended.
pub(crate) fn answer(
    station: &Station,
    book: &BookRow,
    end: &BookEndRow,
    request: ExchangeRequest,
    now: UnixMillis,
) -> Result<ExchangeResponse, StationError> {
    let (cursor, restored) = station.store.read(|tx| place(station, tx, request.cursor))?;
    let sorted = hold(station, book, None, request.pages, now)?;
    station.count("partings");
    let receipt =
        (!sorted.answers.is_empty()).then(|| Receipt::sign(receipt_root(&sorted.answers, &[], &[]), &station.keys.receipt));
    let key = &station.keys.receipt;
    Ok(ExchangeResponse {
        answers: sorted.answers,
        receipt,
        wipe: Some(WipeOrder::sign(book.book, &end.why, end.at, &station.origin, key)),
        held: Some(Held::sign(sorted.held, sorted.refused, book.book, &station.origin, key)),
        checkpoint: restored.as_ref().map(|restored| restored.checkpoint.clone()),
        consistency: restored.map(|restored| restored.consistency),
        ..ExchangeResponse::plain(now, cursor)
    })
}

/// What tells a phone that the ledger lives another life than it has seen.
struct Restored {
    checkpoint: String,
    consistency: Vec<Hash>,
}

/// Where the phone stands: its cursor stays what it is. Where the station was restored since, it is told so, with what may show it what both
/// lives share, and hands in what was lost of its pages too.
fn place(station: &Station, tx: &ReadTx<'_>, cursor: Option<Cursor>) -> Result<(Cursor, Option<Restored>), StationError> {
    let Some(cursor) = cursor else {
        let position = ledger::position_at(tx, 0)?;
        return Ok((Cursor { position, fill: None }, None));
    };
    let shared = match ledger::place_of(tx, &cursor.position)? {
        _ if cursor.position.epoch == tx.epoch()?.epoch => return Ok((cursor, None)),
        OldPosition::Strange => return Ok((cursor, None)),
        OldPosition::Beginning(size) | OldPosition::Lost(size) => size,
    };
    let (position, checkpoint) = ledger::sign(tx, &station.keys, &station.origin)?;
    let consistency = ledger::consistency(tx, shared, position.size)?;
    Ok((cursor, Some(Restored { checkpoint, consistency })))
}

/// Holds pages of a book that has ended, in one step. `carrier` brought them in a parcel.
pub(crate) fn hold(
    station: &Station,
    book: &BookRow,
    carrier: Option<BookId>,
    pages: Vec<SealedPage>,
    now: UnixMillis,
) -> Result<Sorted, StationError> {
    let mut sorted = Sorted::default();
    if pages.is_empty() {
        return Ok(sorted);
    }
    let key = BookPublicKey::parse(book.suite, &book.key)
        .map_err(|fault| StationError::Damaged(format!("book {}: {fault}", book.book)))?;
    let mut whole = Vec::new();
    for page in pages {
        let hash = header_hash(&page.header);
        match page.verify(&key) {
            Ok(page) if page.header().book == book.book => whole.push(page),
            Ok(_) => sorted
                .refused
                .push(not_held(hash, "page_signature", "the page is another book's")),
            Err(fault) => sorted.refused.push(not_held(hash, fault.code(), &fault.to_string())),
        }
    }
    station
        .store
        .write(|tx| hold_in(station, tx, book, carrier, &whole, now, &mut sorted))?;
    if !sorted.held.is_empty() {
        tracing::warn!(book = %book.book, pages = sorted.held.len(), "pages of a book that has ended are held for the chief");
    }
    if !sorted.refused.is_empty() {
        tracing::warn!(book = %book.book, pages = sorted.refused.len(), "pages of a book that has ended were not held");
    }
    Ok(sorted)
}

fn hold_in(
    station: &Station,
    tx: &WriteTx<'_>,
    book: &BookRow,
    carrier: Option<BookId>,
    pages: &[VerifiedPage],
    now: UnixMillis,
    sorted: &mut Sorted,
) -> Result<(), StationError> {
    let (mut count, mut bytes) = tx.held_of(book.book)?;
    for page in pages {
        let hash = page.hash();
        if let Some(answer) = known_answer(tx, &hash)? {
            sorted.answers.push(answer);
            continue;
        }
        if tx.is_held(&hash)? {
            sorted.held.push(hash);
            continue;
        }
        let size: usize = page.page().entries.iter().map(|entry| entry.len()).sum();
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if count >= HELD_PAGES_MAX || bytes.saturating_add(size) > HELD_BYTES_MAX {
            let text = "the station holds as much of this book as it may: what this page says and is still needed has to be written anew";
            sorted.refused.push(not_held(hash, "full", text));
            continue;
        }
        let entries = entries(tx, page)?;
        let mut kept = page.page().clone();
        let gone = emptied::late(tx, &mut kept)?;
        let sealed = station
            .keys
            .column
            .seal(&station.env, COLUMN, hash.as_bytes(), &codec::to_bytes(&kept))?;
        let row = HeldPageRow {
            hash,
            book: book.book,
            received: now,
            carrier,
            sealed,
        };
        tx.put_held(&row, size, &entries)?;
        if !gone.is_empty() {
            tx.empty_held(&hash, &row.sealed, &gone)?;
        }
        (count, bytes) = (count + 1, bytes + size);
        sorted.held.push(hash);
    }
    Ok(())
}

/// The entries of a page, those that the ledger has already marked as known.
fn entries(tx: &ReadTx<'_>, page: &VerifiedPage) -> Result<Vec<(Hash, Option<RecordId>, HeldState)>, StationError> {
    let mut entries = Vec::with_capacity(page.page().entries.len());
    for (bytes, _) in page.entries() {
        let id = identity(bytes);
        let record = Entry::parse(bytes).ok().and_then(|entry| entry.record());
        let state = if tx.is_accepted(&id)? {
            HeldState::Known
        } else {
            HeldState::Open
        };
        entries.push((id, record, state));
    }
    Ok(entries)
}

/// A held page, opened.
pub(super) fn open(keys: &Keys, row: &HeldPageRow) -> Result<SealedPage, StationError> {
    let bytes = keys.column.open(COLUMN, row.hash.as_bytes(), &row.sealed)?;
    codec::from_bytes("page", &bytes).map_err(|fault| StationError::Damaged(format!("held page {}: {fault}", row.hash)))
}

fn not_held(page: Hash, code: &str, text: &str) -> NotHeld {
    NotHeld {
        page,
        code: code.to_owned(),
        text: text.to_owned(),
    }
}
