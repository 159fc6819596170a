//! Rows of what came back after a restore, and of the alarm that stops a station whose history is in doubt.

use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::params;

use super::connection::{id, int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// An entry that was given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecoveredRow {
    /// It.
    pub(crate) entry: Hash,
    /// Its record.
    pub(crate) record: RecordId,
    /// Where it stands.
    pub(crate) place: (u64, u32),
    /// The book that it is said to come from.
    pub(crate) book: BookId,
    /// The book that gave it back.
    pub(crate) giver: BookId,
}

/// A history that was signed here and is not this ledger's.
#[derive(Debug, Clone)]
pub(crate) struct AlarmRow {
    /// When it was shown.
    pub(crate) at: UnixMillis,
    /// By which book.
    pub(crate) book: BookId,
    /// The signed note.
    pub(crate) note: String,
}

impl ReadTx<'_> {
    /// The entries of a record that rest on their giver's word.
    pub(crate) fn recovered_of(&self, record: RecordId) -> Result<Vec<RecoveredRow>, StoreError> {
        self.all(
            "SELECT entry, record, leaf, position, book, giver FROM recovered WHERE record = ?1 AND returned IS NULL
             ORDER BY leaf, position",
            [record.as_bytes()],
            |row| {
                Ok(RecoveredRow {
                    entry: id!(row, 0, Hash),
                    record: id!(row, 1, RecordId),
                    place: (uint(row.get(2)?), row.get(3)?),
                    book: id!(row, 4, BookId),
                    giver: id!(row, 5, BookId),
                })
            },
        )
    }

    /// Records with entries that rest on their giver's word. What a chief admitted rests on its author's signature, as he saw it.
    pub(crate) fn recovered_records(&self) -> Result<u64, StoreError> {
        self.count(
            "SELECT count(DISTINCT record) FROM recovered WHERE returned IS NULL AND entry NOT IN (SELECT entry FROM admitted)",
            [],
        )
    }

    /// The alarm, if it was raised.
    pub(crate) fn alarm(&self) -> Result<Option<AlarmRow>, StoreError> {
        self.one("SELECT at, book, note FROM alarm", [], |row| {
            Ok(AlarmRow {
                at: UnixMillis(row.get(0)?),
                book: id!(row, 1, BookId),
                note: row.get(2)?,
            })
        })
    }

    /// Whether the projections were made by an older version.
    pub(crate) fn is_stale(&self) -> Result<bool, StoreError> {
        Ok(self.one("SELECT 1 FROM stale", [], |_| Ok(()))?.is_some())
    }
}

impl WriteTx<'_> {
    /// Notes an entry that was given back, and keeps its bytes under its own name.
    pub(crate) fn put_recovered(&self, row: &RecoveredRow, bytes: &[u8]) -> Result<(), StoreError> {
        self.put_content(&row.entry, bytes)?;
        self.run(
            "INSERT INTO recovered (entry, record, leaf, position, book, giver) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                row.entry.as_bytes(),
                row.record.as_bytes(),
                int(row.place.0),
                row.place.1,
                row.book.as_bytes(),
                row.giver.as_bytes()
            ],
        )?;
        Ok(())
    }

    /// Notes that an entry came in a page of its author: it rests on his signature again.
    pub(crate) fn put_returned(&self, entry: &Hash, book: BookId, leaf: u64) -> Result<(), StoreError> {
        self.run(
            "UPDATE recovered SET returned = ?3 WHERE entry = ?1 AND book = ?2 AND returned IS NULL",
            params![entry.as_bytes(), book.as_bytes(), int(leaf)],
        )?;
        Ok(())
    }

    /// Raises the alarm; the first one stays.
    pub(crate) fn put_alarm(&self, alarm: &AlarmRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO alarm (one, at, book, note) VALUES (1, ?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![alarm.at.0, alarm.book.as_bytes(), alarm.note],
        )?;
        Ok(())
    }

    /// Takes the alarm back: a new epoch begins, whose notes name what it follows.
    pub(crate) fn clear_alarm(&self) -> Result<(), StoreError> {
        self.run("DELETE FROM alarm", [])?;
        Ok(())
    }

    /// Notes that the projections are this version's.
    pub(crate) fn clear_stale(&self) -> Result<(), StoreError> {
        self.run("DELETE FROM stale", [])?;
        Ok(())
    }
}
