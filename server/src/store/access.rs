//! Operational rows: the station's own line, enrolment codes, tokens, challenges, contacts. Secrets come here as hashes only.

use beatbook_protocol::id::{BookId, Hash, IncarnationId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::params;

use super::connection::{id, int, maybe_id, uint};
use super::{ReadTx, StoreError, WriteTx};

/// The station itself.
#[derive(Debug, Clone)]
pub(crate) struct StationRow {
    /// Name for people.
    pub(crate) name: String,
    /// Name in checkpoints.
    pub(crate) origin: String,
    /// The station's own book.
    pub(crate) book: BookId,
    /// The life of this database, for that book's chain.
    pub(crate) incarnation: IncarnationId,
    /// Ledger size up to which there is a backup.
    pub(crate) backed_up_to: u64,
}

/// A token.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    /// Whose.
    pub(crate) user: UserId,
    /// The phone's book; none for a token of the API.
    pub(crate) book: Option<BookId>,
    /// When it was issued.
    pub(crate) issued_at: UnixMillis,
    /// When it runs out.
    pub(crate) expires_at: UnixMillis,
}

/// An enrolment code.
#[derive(Debug, Clone)]
pub(crate) struct UsedCode {
    /// Who may enrol with it.
    pub(crate) user: UserId,
    /// When it runs out.
    pub(crate) expires_at: UnixMillis,
    /// The book and key that it made, once used.
    pub(crate) used_by: Option<(BookId, Vec<u8>)>,
}

/// When a book was last heard of, and what it had then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    /// When.
    pub(crate) at: UnixMillis,
    /// Epoch of its cursor.
    pub(crate) epoch: u64,
    /// Size of its cursor.
    pub(crate) size: u64,
}

impl ReadTx<'_> {
    /// The station itself; none in a database that `init` did not finish.
    pub(crate) fn station(&self) -> Result<Option<StationRow>, StoreError> {
        self.one(
            "SELECT name, origin, book, incarnation, backed_up_to FROM station",
            [],
            |row| {
                Ok(StationRow {
                    name: row.get(0)?,
                    origin: row.get(1)?,
                    book: id!(row, 2, BookId),
                    incarnation: id!(row, 3, IncarnationId),
                    backed_up_to: uint(row.get(4)?),
                })
            },
        )
    }

    /// A token by its hash; none of a book that has ended or whose check digits wait to be compared, wherever it is shown.
    pub(crate) fn token(&self, hash: &Hash) -> Result<Option<TokenRow>, StoreError> {
        self.one(
            "SELECT user, book, issued_at, expires_at FROM token AS t WHERE hash = ?1
             AND NOT EXISTS (SELECT 1 FROM book_end AS e WHERE e.book = t.book)
             AND NOT EXISTS (SELECT 1 FROM enrolment AS n WHERE n.book = t.book AND n.confirmed_at IS NULL)",
            [hash.as_bytes()],
            |row| {
                Ok(TokenRow {
                    user: id!(row, 0, UserId),
                    book: maybe_id!(row, 1, BookId),
                    issued_at: UnixMillis(row.get(2)?),
                    expires_at: UnixMillis(row.get(3)?),
                })
            },
        )
    }

    /// An enrolment code by its hash.
    pub(crate) fn enrolment_code(&self, hash: &Hash) -> Result<Option<UsedCode>, StoreError> {
        self.one(
            "SELECT user, expires_at, book, key FROM enrolment_code WHERE hash = ?1",
            [hash.as_bytes()],
            |row| {
                let key: Option<Vec<u8>> = row.get(3)?;
                Ok(UsedCode {
                    user: id!(row, 0, UserId),
                    expires_at: UnixMillis(row.get(1)?),
                    used_by: maybe_id!(row, 2, BookId).zip(key),
                })
            },
        )
    }

    /// When a book was last heard of.
    pub(crate) fn contact(&self, book: BookId) -> Result<Option<Contact>, StoreError> {
        self.one(
            "SELECT at, epoch, size FROM contact WHERE book = ?1",
            [book.as_bytes()],
            |row| {
                Ok(Contact {
                    at: UnixMillis(row.get(0)?),
                    epoch: uint(row.get(1)?),
                    size: uint(row.get(2)?),
                })
            },
        )
    }

    /// Leaves of the present ledger that a book is known to hold by its last contact: of a life before a restore only what both lives share.
    pub(crate) fn confirmed_by(&self, contact: Option<&Contact>) -> Result<u64, StoreError> {
        let Some(contact) = contact else { return Ok(0) };
        let shared = self.shared_with(contact.epoch)?;
        Ok(shared.map_or(contact.size, |shared| shared.min(contact.size)))
    }
}

impl WriteTx<'_> {
    /// Puts the station's own line.
    pub(crate) fn put_station(&self, row: &StationRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO station (one, name, origin, book, incarnation, backed_up_to) VALUES (1, ?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (one) DO UPDATE SET incarnation = excluded.incarnation, backed_up_to = excluded.backed_up_to",
            params![
                row.name,
                row.origin,
                row.book.as_bytes(),
                row.incarnation.as_bytes(),
                int(row.backed_up_to)
            ],
        )?;
        Ok(())
    }

    /// Notes up to where there is a backup.
    pub(crate) fn put_backed_up_to(&self, size: u64) -> Result<(), StoreError> {
        self.run("UPDATE station SET backed_up_to = ?1", [int(size)])?;
        Ok(())
    }

    /// Puts a token and takes away those that ran out.
    pub(crate) fn put_token(&self, hash: &Hash, token: &TokenRow) -> Result<(), StoreError> {
        self.run("DELETE FROM token WHERE expires_at < ?1", [token.issued_at.0])?;
        self.run(
            "INSERT INTO token (hash, user, book, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                hash.as_bytes(),
                token.user.as_bytes(),
                token.book.map(|book| *book.as_bytes()),
                token.issued_at.0,
                token.expires_at.0
            ],
        )?;
        Ok(())
    }

    /// Puts an enrolment code.
    pub(crate) fn put_enrolment_code(&self, hash: &Hash, user: UserId, expires_at: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO enrolment_code (hash, user, expires_at) VALUES (?1, ?2, ?3)",
            params![hash.as_bytes(), user.as_bytes(), expires_at.0],
        )?;
        Ok(())
    }

    /// Marks a code as used by a book.
    pub(crate) fn use_enrolment_code(&self, hash: &Hash, book: BookId, key: &[u8]) -> Result<(), StoreError> {
        self.run(
            "UPDATE enrolment_code SET book = ?2, key = ?3 WHERE hash = ?1",
            params![hash.as_bytes(), book.as_bytes(), key],
        )?;
        Ok(())
    }

    /// Puts a challenge; of one book only a few are kept.
    pub(crate) fn put_challenge(
        &self,
        hash: &Hash,
        book: BookId,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.run("DELETE FROM challenge WHERE expires_at < ?1", [now.0])?;
        self.run(
            "DELETE FROM challenge WHERE book = ?1 AND hash NOT IN (
               SELECT hash FROM challenge WHERE book = ?1 ORDER BY expires_at DESC, hash LIMIT 7)",
            [book.as_bytes()],
        )?;
        self.run(
            "INSERT INTO challenge (hash, book, expires_at) VALUES (?1, ?2, ?3)",
            params![hash.as_bytes(), book.as_bytes(), expires_at.0],
        )?;
        Ok(())
    }

    /// Takes a challenge away; whether it was there, for this book, and in time.
    pub(crate) fn take_challenge(&self, hash: &Hash, book: BookId, now: UnixMillis) -> Result<bool, StoreError> {
        let taken = self.run(
            "DELETE FROM challenge WHERE hash = ?1 AND book = ?2 AND expires_at >= ?3",
            params![hash.as_bytes(), book.as_bytes(), now.0],
        )?;
        Ok(taken == 1)
    }

    /// Notes when a book was heard of and what it has.
    pub(crate) fn put_contact(&self, book: BookId, contact: &Contact) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO contact (book, at, epoch, size) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (book) DO UPDATE SET at = excluded.at, epoch = excluded.epoch, size = excluded.size",
            params![book.as_bytes(), contact.at.0, int(contact.epoch), int(contact.size)],
        )?;
        Ok(())
    }
}
