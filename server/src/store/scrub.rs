//! Sealing at rest: values go sealed into their columns and come out opened; a database of an earlier version is sealed batch by batch; and
//! bytes that were deleted are driven out of the search index, the free pages and the journal. Knows not whose data it is.

use std::borrow::Cow;
use std::sync::PoisonError;

use beatbook_protocol::id::Hash;
use rusqlite::params;

use super::connection::id;
use super::{ReadTx, Store, StoreError, WriteTx};
use crate::seal::is_sensitive;

/// Names of sealed columns: each has a key of its own.
pub(super) const CONTENT: &str = "content";
pub(super) const SNAPSHOT: &str = "snapshot";
pub(super) const QUARANTINE: &str = "quarantine";

/// Rows that are sealed in one step, while phones wait.
const ROWS: u32 = 500;

impl ReadTx<'_> {
    /// A value as it was before it was sealed.
    pub(super) fn opened(&self, column: &str, whose: &[u8], bytes: Vec<u8>, sealed: bool) -> Result<Vec<u8>, StoreError> {
        if !sealed {
            return Ok(bytes);
        }
        let seal = self
            .seal
            .ok_or_else(|| StoreError::Sql(format!("a sealed {column} is not read without the keys directory")))?;
        let opened = seal.open(column, whose, &bytes);
        Ok(opened.map_err(|fault| StoreError::Damaged(fault.to_string()))?.to_vec())
    }

    /// Whether rows of an earlier version may lie unsealed.
    pub(crate) fn has_unsealed(&self) -> Result<bool, StoreError> {
        Ok(self.one("SELECT 1 FROM unsealed", [], |_| Ok(()))?.is_some())
    }
}

impl WriteTx<'_> {
    /// A value as it goes into its column, and whether it is sealed.
    pub(super) fn sealed<'b>(
        &self,
        column: &str,
        whose: &[u8],
        bytes: &'b [u8],
        sensitive: bool,
    ) -> Result<(Cow<'b, [u8]>, bool), StoreError> {
        if !sensitive {
            return Ok((Cow::Borrowed(bytes), false));
        }
        let seal = self
            .seal
            .ok_or_else(|| StoreError::Sql(format!("a {column} is not written without the keys directory")))?;
        let sealed = seal.seal_kept(column, whose, bytes);
        Ok((Cow::Owned(sealed.map_err(|fault| StoreError::Sql(fault.to_string()))?), true))
    }

    /// Seals the next rows of an earlier version; whether there may be more.
    pub(crate) fn seal_some(&self) -> Result<bool, StoreError> {
        let Some(after) = self.one("SELECT after FROM unsealed", [], |row| row.get::<_, i64>(0))? else {
            return Ok(false);
        };
        let rows: Vec<(i64, Hash, Vec<u8>)> = self.all(
            "SELECT rowid, id, bytes FROM content WHERE rowid > ?1 AND sealed = 0 ORDER BY rowid LIMIT ?2",
            params![after, ROWS],
            |row| Ok((row.get(0)?, id!(row, 1, Hash), row.get(2)?)),
        )?;
        let last = rows.last().map(|(row, ..)| *row);
        for (row, id, bytes) in rows.iter().filter(|(.., bytes)| is_sensitive(bytes)) {
            let (sealed, _) = self.sealed(CONTENT, id.as_bytes(), bytes, true)?;
            self.run(
                "UPDATE content SET bytes = ?2, sealed = 1 WHERE rowid = ?1",
                params![row, sealed.as_ref()],
            )?;
        }
        if let Some(last) = last {
            self.run("UPDATE unsealed SET after = ?1", [last])?;
            return Ok(true);
        }
        let pages: Vec<(i64, Hash, Vec<u8>)> =
            self.all("SELECT number, hash, bytes FROM quarantine WHERE sealed = 0", [], |row| {
                Ok((row.get(0)?, id!(row, 1, Hash), row.get(2)?))
            })?;
        for (number, hash, bytes) in &pages {
            let (sealed, _) = self.sealed(QUARANTINE, hash.as_bytes(), bytes, true)?;
            self.run(
                "UPDATE quarantine SET bytes = ?2, sealed = 1 WHERE number = ?1",
                params![number, sealed.as_ref()],
            )?;
        }
        self.run("DELETE FROM unsealed", [])?;
        Ok(false)
    }

    /// Notes that bytes were deleted which may still lie in the search index and the journal.
    pub(crate) fn ask_scrub(&self) -> Result<(), StoreError> {
        self.run("INSERT INTO scrub (one, whole) VALUES (1, 0) ON CONFLICT DO NOTHING", [])?;
        Ok(())
    }

    /// Visits the pages that were set aside; those of which the visitor says so are taken away.
    pub(crate) fn drop_quarantined(&self, mut goes: impl FnMut(&[u8]) -> bool) -> Result<u64, StoreError> {
        let rows: Vec<(i64, Hash, Vec<u8>, bool)> = self.all(
            "SELECT number, hash, bytes, sealed FROM quarantine ORDER BY number",
            [],
            |row| Ok((row.get(0)?, id!(row, 1, Hash), row.get(2)?, row.get(3)?)),
        )?;
        let mut gone = 0;
        for (number, hash, bytes, sealed) in rows {
            if goes(&self.opened(QUARANTINE, hash.as_bytes(), bytes, sealed)?) {
                self.run("DELETE FROM quarantine WHERE number = ?1", [number])?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

impl Store {
    /// Drives deleted bytes out of the search index, of the free pages where that is due, and of the journal. Whether nothing is left to
    /// do: long reads may hold the journal for a while.
    pub(crate) fn scrub(&self) -> Result<bool, StoreError> {
        let due = self.read(|tx| tx.one("SELECT whole FROM scrub", [], |row| row.get::<_, bool>(0)))?;
        let Some(whole) = due else { return Ok(true) };
        let conn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Deleted words stay in the index's segments until these are merged.
        conn.execute_batch(
            "INSERT INTO search (search) VALUES ('optimize'); INSERT INTO search_open (search_open) VALUES ('optimize');",
        )?;
        if whole {
            conn.execute_batch("VACUUM")?;
        }
        let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            return Ok(false);
        }
        conn.execute_batch("DELETE FROM scrub")?;
        Ok(true)
    }
}
