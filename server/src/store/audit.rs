//! Rows of the audit log: appended, never changed, read in order.

use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{int, maybe_id, uint};
use super::{ReadTx, StoreError, WriteTx};
use crate::audit::Written;

fn read_line(row: &Row<'_>) -> rusqlite::Result<Written> {
    Ok(Written {
        number: uint(row.get(0)?),
        at: UnixMillis(row.get(1)?),
        user: maybe_id!(row, 2, UserId),
        what: row.get(3)?,
        record: maybe_id!(row, 4, RecordId),
        detail: row.get(5)?,
        reason: row.get(6)?,
        hash: Hash::from_bytes(row.get(7)?),
    })
}

impl ReadTx<'_> {
    /// How many lines there are, and the hash of the last.
    pub(crate) fn audit_head(&self) -> Result<(u64, Hash), StoreError> {
        let last = self.one("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((uint(row.get(0)?), Hash::from_bytes(row.get(1)?)))
        })?;
        Ok(last.unwrap_or((0, Hash::from_bytes([0; 32]))))
    }

    /// Lines from a number on, in order.
    pub(crate) fn audit_from(&self, number: u64, limit: u32) -> Result<Vec<Written>, StoreError> {
        self.all(
            "SELECT number, at, user, what, record, detail, reason, hash FROM audit WHERE number >= ?1 ORDER BY number LIMIT ?2",
            params![int(number), limit],
            read_line,
        )
    }
}

impl WriteTx<'_> {
    /// Puts a line behind the others.
    pub(crate) fn put_audit(&self, line: &Written) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO audit (number, at, user, what, record, detail, reason, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                int(line.number),
                line.at.0,
                line.user.map(|user| *user.as_bytes()),
                line.what,
                line.record.map(|record| *record.as_bytes()),
                line.detail,
                line.reason,
                line.hash.as_bytes()
            ],
        )?;
        Ok(())
    }
}
