//! Rows of enrolments: who was invited, which book came of it, and whether the check digits were compared. Codes are here as hashes only.

use beatbook_protocol::id::{BookId, EnrolmentId, Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, maybe_id};
use super::{ReadTx, StoreError, WriteTx};

/// An enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnrolmentRow {
    /// Its number; no secret.
    pub(crate) id: EnrolmentId,
    /// Who is enrolled.
    pub(crate) user: UserId,
    /// Who issued the code; none for the operator at the machine.
    pub(crate) issued_by: Option<UserId>,
    /// When.
    pub(crate) issued_at: UnixMillis,
    /// When the code runs out.
    pub(crate) expires_at: UnixMillis,
    /// What came of it.
    pub(crate) book: Option<EnrolledRow>,
}

/// The book that came of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnrolledRow {
    /// The book.
    pub(crate) book: BookId,
    /// When.
    pub(crate) used_at: UnixMillis,
    /// What the station drew for the check digits.
    pub(crate) nonce: [u8; 16],
    /// The check digits.
    pub(crate) digits: String,
    /// Since when its pages are taken in; none while the digits wait to be compared.
    pub(crate) confirmed_at: Option<UnixMillis>,
    /// Who compared them; none where nobody has to.
    pub(crate) confirmed_by: Option<UserId>,
}

const COLUMNS: &str =
    "SELECT id, user, issued_by, issued_at, expires_at, book, used_at, nonce, digits, confirmed_at, confirmed_by FROM enrolment";

fn read_enrolment(row: &Row<'_>) -> rusqlite::Result<EnrolmentRow> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(UnixMillis));
    let book = match (maybe_id!(row, 5, BookId), time(6)?, row.get::<_, Option<[u8; 16]>>(7)?) {
        (Some(book), Some(used_at), Some(nonce)) => Some(EnrolledRow {
            book,
            used_at,
            nonce,
            digits: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            confirmed_at: time(9)?,
            confirmed_by: maybe_id!(row, 10, UserId),
        }),
        _ => None,
    };
    Ok(EnrolmentRow {
        id: id!(row, 0, EnrolmentId),
        user: id!(row, 1, UserId),
        issued_by: maybe_id!(row, 2, UserId),
        issued_at: UnixMillis(row.get(3)?),
        expires_at: UnixMillis(row.get(4)?),
        book,
    })
}

impl ReadTx<'_> {
    /// An enrolment.
    pub(crate) fn enrolment(&self, id: EnrolmentId) -> Result<Option<EnrolmentRow>, StoreError> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.as_bytes()], read_enrolment)
    }

    /// The enrolment that a code stands for.
    pub(crate) fn enrolment_by_code(&self, code: &Hash) -> Result<Option<EnrolmentRow>, StoreError> {
        self.one(&format!("{COLUMNS} WHERE code_hash = ?1"), [code.as_bytes()], read_enrolment)
    }

    /// The enrolment that a book came of; none for books from before enrolments were kept.
    pub(crate) fn enrolment_of(&self, book: BookId) -> Result<Option<EnrolmentRow>, StoreError> {
        self.one(&format!("{COLUMNS} WHERE book = ?1"), [book.as_bytes()], read_enrolment)
    }

    /// Whether a book waits until its check digits are compared.
    pub(crate) fn is_awaiting(&self, book: BookId) -> Result<bool, StoreError> {
        Ok(self
            .one(
                "SELECT 1 FROM enrolment WHERE book = ?1 AND confirmed_at IS NULL",
                [book.as_bytes()],
                |_| Ok(()),
            )?
            .is_some())
    }
}

impl WriteTx<'_> {
    /// Puts an enrolment whose code was issued.
    pub(crate) fn put_enrolment(&self, row: &EnrolmentRow, code: &Hash) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO enrolment (id, code_hash, user, issued_by, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                row.id.as_bytes(),
                code.as_bytes(),
                row.user.as_bytes(),
                row.issued_by.map(|by| *by.as_bytes()),
                row.issued_at.0,
                row.expires_at.0
            ],
        )?;
        Ok(())
    }

    /// Notes the book that came of an enrolment.
    pub(crate) fn put_enrolled(&self, id: EnrolmentId, book: &EnrolledRow) -> Result<(), StoreError> {
        self.run(
            "UPDATE enrolment SET book = ?2, used_at = ?3, nonce = ?4, digits = ?5, confirmed_at = ?6 WHERE id = ?1",
            params![
                id.as_bytes(),
                book.book.as_bytes(),
                book.used_at.0,
                book.nonce,
                book.digits,
                book.confirmed_at.map(|at| at.0)
            ],
        )?;
        Ok(())
    }

    /// Notes that somebody compared a book's check digits.
    pub(crate) fn confirm_enrolment(&self, book: BookId, at: UnixMillis, by: Option<UserId>) -> Result<(), StoreError> {
        self.run(
            "UPDATE enrolment SET confirmed_at = ?2, confirmed_by = ?3 WHERE book = ?1 AND confirmed_at IS NULL",
            params![book.as_bytes(), at.0, by.map(|by| *by.as_bytes())],
        )?;
        Ok(())
    }
}
