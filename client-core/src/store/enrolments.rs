//! How this file's books were enrolled: what an invitation said of the station, and the digits that both screens show.

use beatbook_protocol::id::BookId;
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// What is known of a book's enrolment beside its request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EnrolmentRow {
    /// The station's name and fingerprint, where an invitation said them.
    pub(crate) expected: Option<(String, [u8; 16])>,
    /// The check digits.
    pub(crate) digits: Option<String>,
    /// Whether the station waits until somebody compared them.
    pub(crate) awaits: bool,
}

/// What is known of a book's enrolment.
pub(crate) fn enrolment(tx: &Tx<'_>, book: BookId) -> Result<EnrolmentRow, StoreError> {
    let row = tx
        .prepare_cached("SELECT origin, fingerprint, digits, awaits FROM enrolment WHERE book = ?1")?
        .query_row([book.as_bytes()], |row| {
            let origin: Option<String> = row.get(0)?;
            Ok(EnrolmentRow {
                expected: origin.zip(row.get(1)?),
                digits: row.get(2)?,
                awaits: row.get(3)?,
            })
        })
        .optional()?;
    Ok(row.unwrap_or_default())
}

/// Keeps what is known of a book's enrolment.
pub(crate) fn put_enrolment(tx: &Tx<'_>, book: BookId, row: &EnrolmentRow) -> Result<(), StoreError> {
    let (origin, fingerprint) = row.expected.clone().unzip();
    tx.prepare_cached(
        "INSERT INTO enrolment (book, origin, fingerprint, digits, awaits) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (book) DO UPDATE SET origin = excluded.origin, fingerprint = excluded.fingerprint, digits = excluded.digits,
         awaits = excluded.awaits",
    )?
    .execute((book.as_bytes(), origin, fingerprint, &row.digits, row.awaits))?;
    Ok(())
}

/// The station takes this file's pages in: nobody waits any more.
pub(crate) fn is_let_in(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE enrolment SET awaits = 0 WHERE awaits <> 0")?
        .execute([])?;
    Ok(())
}
