//! Operational rows: what each phone said of itself last. Knows nothing of when it says it, and of what is to be done about it.

use beatbook_protocol::id::BookId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Owes;
use rusqlite::params;

use super::connection::{int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// What a phone said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwedRow {
    /// Its app, as it calls itself.
    pub(crate) app: String,
    /// When it said so, by the station's clock.
    pub(crate) said_at: UnixMillis,
    /// What it had beside what that request carried.
    pub(crate) owes: Owes,
    /// Whether its digest was the station's, and when that was compared.
    pub(crate) agrees: Option<(bool, UnixMillis)>,
}

impl ReadTx<'_> {
    /// What a phone said last.
    pub(crate) fn owed(&self, book: BookId) -> Result<Option<OwedRow>, StoreError> {
        self.one(
            "SELECT app, said_at, entries, since, blobs, blob_bytes, came_back, agrees, compared_at FROM owed WHERE book = ?1",
            [book.as_bytes()],
            |row| {
                let agrees: Option<bool> = row.get(7)?;
                let compared_at: Option<i64> = row.get(8)?;
                Ok(OwedRow {
                    app: row.get(0)?,
                    said_at: UnixMillis(row.get(1)?),
                    owes: Owes {
                        entries: uint(row.get(2)?),
                        since: row.get::<_, Option<i64>>(3)?.map(UnixMillis),
                        blobs: uint(row.get(4)?),
                        blob_bytes: uint(row.get(5)?),
                        came_back: uint(row.get(6)?),
                    },
                    agrees: agrees.zip(compared_at.map(UnixMillis)),
                })
            },
        )
    }
}

impl WriteTx<'_> {
    /// Puts what a phone said.
    pub(crate) fn put_owed(&self, book: BookId, app: &str, owes: &Owes, now: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO owed (book, app, said_at, entries, since, blobs, blob_bytes, came_back) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (book) DO UPDATE SET app = excluded.app, said_at = excluded.said_at, entries = excluded.entries,
               since = excluded.since, blobs = excluded.blobs, blob_bytes = excluded.blob_bytes, came_back = excluded.came_back",
            params![
                book.as_bytes(),
                app,
                now.0,
                int(owes.entries),
                owes.since.map(|since| since.0),
                int(owes.blobs),
                int(owes.blob_bytes),
                int(owes.came_back)
            ],
        )?;
        Ok(())
    }

    /// Notes whether a phone's digest was the station's.
    pub(crate) fn put_agrees(&self, book: BookId, agrees: bool, now: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO owed (book, app, said_at, entries, blobs, blob_bytes, came_back, agrees, compared_at)
             VALUES (?1, '', ?3, 0, 0, 0, 0, ?2, ?3)
             ON CONFLICT (book) DO UPDATE SET agrees = excluded.agrees, compared_at = excluded.compared_at",
            params![book.as_bytes(), agrees, now.0],
        )?;
        Ok(())
    }
}
