//! Where the exchange with the station stands: the books of this file, the cursor and checkpoint, the token, the receipts, the log of
//! contacts. Knows nothing of messages.

use beatbook_protocol::codec;
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Cursor, EnrolResponse};
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// The book in use, and the station it is enrolled with.
#[derive(Debug, Clone)]
pub(crate) struct OwnBook {
    /// The book.
    pub(crate) book: BookId,
    /// Suite of its key.
    pub(crate) suite: u8,
    /// Where the vault holds its private key.
    pub(crate) key_handle: String,
    /// The station's name in checkpoints.
    pub(crate) origin: String,
    /// Key of checkpoints.
    pub(crate) checkpoint_key: StationPublicKey,
    /// Key of receipts.
    pub(crate) receipt_key: StationPublicKey,
}

/// A book whose enrolment has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BegunBook {
    /// The book.
    pub(crate) book: BookId,
    /// Suite of its key.
    pub(crate) suite: u8,
    /// Where the vault holds its private key.
    pub(crate) key_handle: String,
    /// Its public key.
    pub(crate) public_key: Vec<u8>,
    /// The one-time code.
    pub(crate) code: String,
    /// The packed request, to be sent until an answer comes.
    pub(crate) request: Vec<u8>,
}

/// How far the file is with its station.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Exchanged {
    /// Up to where the ledger was taken in.
    pub(crate) cursor: Option<Cursor>,
    /// The newest checkpoint that was verified, as a signed note.
    pub(crate) checkpoint: Option<String>,
    /// Bearer token.
    pub(crate) token: Option<String>,
    /// The station asked not to be called before.
    pub(crate) not_before: Option<UnixMillis>,
    /// The last verified reply.
    pub(crate) contact_at: Option<UnixMillis>,
    /// The last exchange after which nothing was left to do on either side.
    pub(crate) complete_at: Option<UnixMillis>,
    /// The last fault since the last verified reply, and when.
    pub(crate) fault: Option<(UnixMillis, String)>,
}

/// The book in use.
pub(crate) fn own_book(tx: &Tx<'_>) -> Result<Option<OwnBook>, StoreError> {
    type Columns = ([u8; 16], u8, String, String, [u8; 32], [u8; 32]);
    let row: Option<Columns> = tx
        .prepare_cached(
            "SELECT book, suite, key_handle, origin, checkpoint_key, receipt_key FROM own_book WHERE state = 'enrolled'",
        )?
        .query_row([], |row| row.try_into())
        .optional()?;
    let Some((book, suite, key_handle, origin, checkpoint_key, receipt_key)) = row else {
        return Ok(None);
    };
    let key = |bytes| StationPublicKey::from_bytes(&bytes).map_err(|fault| StoreError::Damaged(fault.to_string()));
    Ok(Some(OwnBook {
        book: BookId::from_bytes(book),
        suite,
        key_handle,
        origin,
        checkpoint_key: key(checkpoint_key)?,
        receipt_key: key(receipt_key)?,
    }))
}

/// The book whose enrolment has begun.
pub(crate) fn begun_book(tx: &Tx<'_>) -> Result<Option<BegunBook>, StoreError> {
    let book = tx
        .prepare_cached("SELECT book, suite, key_handle, public_key, code, request FROM own_book WHERE state = 'begun'")?
        .query_row([], |row| {
            Ok(BegunBook {
                book: BookId::from_bytes(row.get(0)?),
                suite: row.get(1)?,
                key_handle: row.get(2)?,
                public_key: row.get(3)?,
                code: row.get(4)?,
                request: row.get(5)?,
            })
        })
        .optional()?;
    Ok(book)
}

/// The station refused the code of an enrolment that has begun: what begins next has another book.
pub(crate) fn leave_begun(tx: &Tx<'_>, book: BookId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE own_book SET state = 'left' WHERE state = 'begun' AND book = ?1",
        [book.as_bytes()],
    )?;
    Ok(())
}

/// Keeps an enrolment request before it is sent. One that had begun with the same book gives way; of another book stays, left.
pub(crate) fn begin_book(tx: &Tx<'_>, begun: &BegunBook, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE own_book SET state = 'left' WHERE state = 'begun' AND book <> ?1",
        [begun.book.as_bytes()],
    )?;
    tx.execute(
        "INSERT INTO own_book (book, state, suite, key_handle, public_key, code, request, begun_at)
         VALUES (?1, 'begun', ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (book) DO UPDATE SET code = excluded.code, request = excluded.request",
        (
            begun.book.as_bytes(),
            begun.suite,
            &begun.key_handle,
            &begun.public_key,
            &begun.code,
            &begun.request,
            now.0,
        ),
    )?;
    Ok(())
}

/// The book is enrolled, and is the one in use from now on. With another station the cursor begins anew; tells whether it is another
/// than before.
pub(crate) fn enrol_book(tx: &Tx<'_>, book: BookId, response: &EnrolResponse, now: UnixMillis) -> Result<bool, StoreError> {
    let before: Option<String> = tx
        .query_row("SELECT origin FROM own_book WHERE state = 'enrolled'", [], |row| row.get(0))
        .optional()?;
    tx.execute("UPDATE own_book SET state = 'left' WHERE state = 'enrolled'", [])?;
    tx.execute(
        "UPDATE own_book SET state = 'enrolled', origin = ?2, station = ?3, checkpoint_key = ?4, receipt_key = ?5 WHERE book = ?1",
        (
            book.as_bytes(),
            &response.origin,
            &response.station,
            &response.checkpoint_key,
            &response.receipt_key,
        ),
    )?;
    if before.as_ref() != Some(&response.origin) {
        tx.execute("DELETE FROM exchange", [])?;
    }
    set_token(tx, &response.token)?;
    tx.execute("UPDATE exchange SET contact_at = ?1, fault_at = NULL, fault = NULL", [now.0])?;
    Ok(before.is_some_and(|before| before != response.origin))
}

/// How far the file is with its station.
pub(crate) fn exchanged(tx: &Tx<'_>) -> Result<Exchanged, StoreError> {
    let row = tx
        .prepare_cached("SELECT cursor, checkpoint, token, not_before, contact_at, complete_at, fault_at, fault FROM exchange")?
        .query_row([], |row| {
            let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(UnixMillis));
            let exchanged = Exchanged {
                cursor: None,
                checkpoint: row.get(1)?,
                token: row.get(2)?,
                not_before: time(3)?,
                contact_at: time(4)?,
                complete_at: time(5)?,
                fault: time(6)?.zip(row.get(7)?),
            };
            Ok((row.get::<_, Option<Vec<u8>>>(0)?, exchanged))
        })
        .optional()?;
    let Some((cursor, exchanged)) = row else {
        return Ok(Exchanged::default());
    };
    let cursor = cursor.map(|bytes| codec::from_bytes("cursor", &bytes)).transpose()?;
    Ok(Exchanged { cursor, ..exchanged })
}

/// Moves the cursor; without one, everything is fetched again.
pub(crate) fn set_cursor(tx: &Tx<'_>, cursor: Option<&Cursor>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO exchange (one, cursor) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET cursor = excluded.cursor",
    )?
    .execute([cursor.map(codec::to_bytes)])?;
    Ok(())
}

/// Keeps a verified checkpoint.
pub(crate) fn set_checkpoint(tx: &Tx<'_>, note: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO exchange (one, checkpoint) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET checkpoint = excluded.checkpoint",
    )?
    .execute([note])?;
    Ok(())
}

/// Keeps the least version of the app that the station wants; none when it wants none.
pub(crate) fn set_app_min(tx: &Tx<'_>, version: Option<&str>) -> Result<(), StoreError> {
    match version {
        Some(version) => tx
            .prepare_cached(
                "INSERT INTO app_min (one, version) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET version = excluded.version
                 WHERE version <> excluded.version",
            )?
            .execute([version])?,
        None => tx.prepare_cached("DELETE FROM app_min")?.execute([])?,
    };
    Ok(())
}

/// The least version of the app that the station wants, by its last word.
pub(crate) fn app_min(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    Ok(tx
        .prepare_cached("SELECT version FROM app_min")?
        .query_row([], |row| row.get(0))
        .optional()?)
}

/// Keeps a token.
pub(crate) fn set_token(tx: &Tx<'_>, token: &str) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO exchange (one, token) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET token = excluded.token")?
        .execute([token])?;
    Ok(())
}

/// A verified reply came; whether it left nothing to do on either side.
pub(crate) fn log_contact(tx: &Tx<'_>, now: UnixMillis, complete: bool) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO exchange (one, contact_at, complete_at) VALUES (1, ?1, iif(?2, ?1, NULL)) ON CONFLICT (one) DO UPDATE SET
         contact_at = ?1, complete_at = iif(?2, ?1, complete_at), fault_at = NULL, fault = NULL, not_before = NULL",
    )?
    .execute((now.0, complete))?;
    super::enrolments::is_let_in(tx)
}

/// An exchange failed, and perhaps the station said for how long.
pub(crate) fn log_fault(tx: &Tx<'_>, now: UnixMillis, fault: &str, not_before: Option<UnixMillis>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO exchange (one, fault_at, fault, not_before) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE SET
         fault_at = ?1, fault = ?2, not_before = ?3",
    )?
    .execute((now.0, fault, not_before.map(|at| at.0)))?;
    Ok(())
}

/// Keeps the station's word on a reply.
pub(crate) fn put_receipt(tx: &Tx<'_>, root: &Hash, signature: &[u8], items: &[u8], now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO receipt (root, signature, items, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute((root.as_bytes(), signature, items, now.0))?;
    Ok(())
}

/// How long a sealing key is believed to be the station's before it is asked for again.
const SEALING_KEY_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Whether the station's sealing key is to be asked for: there is none, or it was told long ago, or under a clock that was ahead.
pub(crate) fn wants_sealing_key(tx: &Tx<'_>, origin: &str, now: UnixMillis) -> Result<bool, StoreError> {
    let told = super::parcels::sealing_key(tx, origin)?.map(|(_, told_at)| told_at);
    Ok(told.is_none_or(|told_at| !(0..SEALING_KEY_MS).contains(&now.since(told_at))))
}

/// Keeps a book's private key.
pub(crate) fn put_secret(tx: &Tx<'_>, handle: &str, secret: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute("INSERT INTO vault (handle, secret) VALUES (?1, ?2)", (handle, secret))?;
    Ok(())
}

/// A book's private key.
pub(crate) fn secret(tx: &Tx<'_>, handle: &str) -> Result<Option<[u8; 32]>, StoreError> {
    let secret = tx
        .query_row("SELECT secret FROM vault WHERE handle = ?1", [handle], |row| row.get(0))
        .optional()?;
    Ok(secret)
}

/// Whether a record shows conflicts; false when it is not here.
pub(crate) fn is_conflicted(tx: &Tx<'_>, record: RecordId) -> Result<bool, StoreError> {
    let conflicts: Option<i64> = tx
        .prepare_cached("SELECT conflicts FROM record WHERE record = ?1")?
        .query_row([record.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(conflicts.unwrap_or(0) > 0)
}
