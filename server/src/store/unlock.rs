//! Rows of shares, unlock codes and tries, custodians' keys and emergency notes. Shares come here sealed, codes as hashes, notes as files that
//! nobody but their readers can open.

use beatbook_protocol::entry::UnitKeyEvent;
use beatbook_protocol::id::{BookId, Hash, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, maybe_id, uint};
use super::{ReadTx, StoreError, WriteTx};

/// A share of a phone's key.
#[derive(Debug, Clone)]
pub(crate) struct ShareRow {
    /// Sealed under the station's key of columns.
    pub(crate) sealed: Vec<u8>,
    /// What both sides call it.
    pub(crate) name: Hash,
}

/// An unlock code.
#[derive(Debug, Clone)]
pub(crate) struct UnlockCodeRow {
    /// Who may come in with it.
    pub(crate) user: UserId,
    /// When it runs out.
    pub(crate) expires_at: UnixMillis,
    /// The book and the request's key that used it.
    pub(crate) used_by: Option<(BookId, Vec<u8>)>,
}

/// An emergency note.
#[derive(Debug, Clone)]
pub(crate) struct NoteRow {
    /// Its place among all; given by the database.
    pub(crate) number: u64,
    /// The hash of its file.
    pub(crate) note: Hash,
    /// The book under whose token it came.
    pub(crate) book: BookId,
    /// Whose.
    pub(crate) user: UserId,
    /// His unit then.
    pub(crate) unit: UnitId,
    /// When it came.
    pub(crate) received_at: UnixMillis,
    /// The file.
    pub(crate) file: Vec<u8>,
}

fn read_note(row: &Row<'_>) -> rusqlite::Result<NoteRow> {
    Ok(NoteRow {
        number: uint(row.get(0)?),
        note: Hash::from_bytes(row.get(1)?),
        book: id!(row, 2, BookId),
        user: id!(row, 3, UserId),
        unit: id!(row, 4, UnitId),
        received_at: UnixMillis(row.get(5)?),
        file: row.get(6)?,
    })
}

impl ReadTx<'_> {
    /// The share of a book's phone.
    pub(crate) fn unlock_share(&self, book: BookId) -> Result<Option<ShareRow>, StoreError> {
        self.one(
            "SELECT share, name FROM unlock_share WHERE book = ?1",
            [book.as_bytes()],
            |row| {
                Ok(ShareRow {
                    sealed: row.get(0)?,
                    name: Hash::from_bytes(row.get(1)?),
                })
            },
        )
    }

    /// An unlock code by its hash.
    pub(crate) fn unlock_code(&self, hash: &Hash) -> Result<Option<UnlockCodeRow>, StoreError> {
        self.one(
            "SELECT user, expires_at, book, reply_key FROM unlock_code WHERE hash = ?1",
            [hash.as_bytes()],
            |row| {
                let key: Option<Vec<u8>> = row.get(3)?;
                Ok(UnlockCodeRow {
                    user: id!(row, 0, UserId),
                    expires_at: UnixMillis(row.get(1)?),
                    used_by: maybe_id!(row, 2, BookId).zip(key),
                })
            },
        )
    }

    /// Wrong codes of a book, and since when.
    pub(crate) fn unlock_tries(&self, book: BookId) -> Result<Option<(u32, UnixMillis)>, StoreError> {
        self.one(
            "SELECT wrong, since FROM unlock_try WHERE book = ?1",
            [book.as_bytes()],
            |row| Ok((row.get(0)?, UnixMillis(row.get(1)?))),
        )
    }

    /// All custodians' keys, by unit.
    pub(crate) fn unit_keys(&self) -> Result<Vec<UnitKeyEvent>, StoreError> {
        self.all(
            "SELECT unit, key, custodian, ended FROM unit_key ORDER BY unit, key",
            [],
            |row| {
                Ok(UnitKeyEvent {
                    unit: id!(row, 0, UnitId),
                    key: row.get(1)?,
                    custodian: row.get(2)?,
                    ended: row.get::<_, bool>(3)?.then_some(true),
                    on_behalf: None,
                })
            },
        )
    }

    /// How many notes of a book are kept that came after a time.
    pub(crate) fn notes_since(&self, book: BookId, after: UnixMillis) -> Result<u64, StoreError> {
        self.count(
            "SELECT count(*) FROM note WHERE book = ?1 AND received_at > ?2",
            params![book.as_bytes(), after.0],
        )
    }

    /// Notes that somebody was shown first at a time or before, each by its number and unit.
    pub(crate) fn notes_read_until(&self, until: UnixMillis) -> Result<Vec<(u64, UnitId)>, StoreError> {
        self.all(
            "SELECT number, unit FROM note WHERE read_at <= ?1 ORDER BY number",
            [until.0],
            |row| Ok((uint(row.get(0)?), id!(row, 1, UnitId))),
        )
    }

    /// Whether a note is kept.
    pub(crate) fn has_note(&self, note: &Hash) -> Result<bool, StoreError> {
        Ok(self
            .one("SELECT 1 FROM note WHERE hash = ?1", [note.as_bytes()], |_| Ok(()))?
            .is_some())
    }

    /// Notes of these units, the newest first, before a number.
    pub(crate) fn notes_in(&self, units: &[UnitId], before: Option<u64>, limit: u32) -> Result<Vec<NoteRow>, StoreError> {
        let mut notes = Vec::new();
        self.each::<StoreError>(
            "SELECT number, hash, book, user, unit, received_at, file FROM note WHERE number < ?1 ORDER BY number DESC",
            [before.map_or(i64::MAX, int)],
            |row| {
                let note = read_note(row)?;
                if units.contains(&note.unit) {
                    notes.push(note);
                }
                Ok(notes.len() < usize::try_from(limit).unwrap_or(usize::MAX))
            },
        )?;
        Ok(notes)
    }
}

impl WriteTx<'_> {
    /// Puts the share of a book's phone in the place of the one before.
    pub(crate) fn put_unlock_share(&self, book: BookId, sealed: &[u8], name: &Hash, now: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO unlock_share (book, share, name, kept_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (book) DO UPDATE SET share = excluded.share, name = excluded.name, kept_at = excluded.kept_at",
            params![book.as_bytes(), sealed, name.as_bytes(), now.0],
        )?;
        Ok(())
    }

    /// Takes the share of a book's phone away: the station can let nobody in there any more.
    pub(crate) fn drop_unlock_share(&self, book: BookId) -> Result<(), StoreError> {
        self.run("DELETE FROM unlock_share WHERE book = ?1", [book.as_bytes()])?;
        Ok(())
    }

    /// Puts an unlock code, in the place of all others of its person, and takes away those that ran out.
    pub(crate) fn put_unlock_code(
        &self,
        hash: &Hash,
        user: UserId,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM unlock_code WHERE expires_at < ?1 OR user = ?2",
            params![now.0, user.as_bytes()],
        )?;
        self.run(
            "INSERT INTO unlock_code (hash, user, expires_at) VALUES (?1, ?2, ?3)",
            params![hash.as_bytes(), user.as_bytes(), expires_at.0],
        )?;
        Ok(())
    }

    /// Marks a code as used by a request.
    pub(crate) fn use_unlock_code(&self, hash: &Hash, book: BookId, reply_key: &[u8; 32]) -> Result<(), StoreError> {
        self.run(
            "UPDATE unlock_code SET book = ?2, reply_key = ?3 WHERE hash = ?1",
            params![hash.as_bytes(), book.as_bytes(), reply_key],
        )?;
        Ok(())
    }

    /// Puts how many wrong codes came from a book, and since when.
    pub(crate) fn put_unlock_tries(&self, book: BookId, wrong: u32, since: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO unlock_try (book, wrong, since) VALUES (?1, ?2, ?3)
             ON CONFLICT (book) DO UPDATE SET wrong = excluded.wrong, since = excluded.since",
            params![book.as_bytes(), wrong, since.0],
        )?;
        Ok(())
    }

    /// Puts a custodian's key as it is from now on.
    pub(crate) fn put_unit_key(&self, event: &UnitKeyEvent) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        self.run(
            "INSERT INTO unit_key (unit, key, custodian, ended) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (unit, key) DO UPDATE SET custodian = excluded.custodian, ended = excluded.ended",
            params![event.unit.as_bytes(), event.key, event.custodian, event.ended == Some(true)],
        )?;
        Ok(())
    }

    /// Marks a note as shown to somebody; the first time stays.
    pub(crate) fn put_note_read(&self, number: u64, at: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "UPDATE note SET read_at = ?2 WHERE number = ?1 AND read_at IS NULL",
            params![int(number), at.0],
        )?;
        Ok(())
    }

    /// Takes a note away.
    pub(crate) fn drop_note(&self, number: u64) -> Result<(), StoreError> {
        self.run("DELETE FROM note WHERE number = ?1", [int(number)])?;
        Ok(())
    }

    /// Puts a note, once.
    pub(crate) fn put_note(&self, note: &NoteRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO note (hash, book, user, unit, received_at, file) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            params![
                note.note.as_bytes(),
                note.book.as_bytes(),
                note.user.as_bytes(),
                note.unit.as_bytes(),
                note.received_at.0,
                note.file
            ],
        )?;
        Ok(())
    }
}
