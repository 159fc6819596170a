//! Rows of glass that was broken: who reads which record unmasked, why, and until when. Never deleted.

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// Glass that somebody broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GlassRow {
    /// The line of the audit log that says so.
    pub(crate) line: u64,
    /// Before which record.
    pub(crate) record: RecordId,
    /// Who.
    pub(crate) user: UserId,
    /// Why.
    pub(crate) reason: String,
    /// From when.
    pub(crate) begun_at: UnixMillis,
    /// Until when.
    pub(crate) ends_at: UnixMillis,
}

const GLASS: &str = "SELECT g.line, g.record, g.user, g.reason, g.begun_at, g.ends_at FROM glass AS g";

fn read(row: &Row<'_>) -> rusqlite::Result<GlassRow> {
    Ok(GlassRow {
        line: uint(row.get(0)?),
        record: id!(row, 1, RecordId),
        user: id!(row, 2, UserId),
        reason: row.get(3)?,
        begun_at: UnixMillis(row.get(4)?),
        ends_at: UnixMillis(row.get(5)?),
    })
}

impl ReadTx<'_> {
    /// The glass that is broken for somebody before a record at a time; the newest.
    pub(crate) fn broken_glass(&self, record: RecordId, user: UserId, at: UnixMillis) -> Result<Option<GlassRow>, StoreError> {
        self.one(
            &format!(
                "{GLASS} WHERE g.record = ?1 AND g.user = ?2 AND g.begun_at <= ?3 AND g.ends_at > ?3 ORDER BY g.line DESC LIMIT 1"
            ),
            params![record.as_bytes(), user.as_bytes(), at.0],
            read,
        )
    }

    /// All glass before records of a unit and of those below it, below a line, the newest first.
    pub(crate) fn glass_of(&self, unit: UnitId, below: u64, limit: u32) -> Result<Vec<GlassRow>, StoreError> {
        self.all(
            &format!(
                "WITH RECURSIVE scope (unit) AS (VALUES (?1) UNION SELECT n.unit FROM unit AS n JOIN scope AS s ON n.parent = s.unit)
                 {GLASS} JOIN record AS r ON r.id = g.record
                 WHERE r.unit IN (SELECT unit FROM scope) AND g.line < ?2 ORDER BY g.line DESC LIMIT ?3"
            ),
            params![unit.as_bytes(), int(below), limit],
            read,
        )
    }
}

impl WriteTx<'_> {
    /// Puts glass that was broken.
    pub(crate) fn put_glass(&self, row: &GlassRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO glass (line, record, user, reason, begun_at, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                int(row.line),
                row.record.as_bytes(),
                row.user.as_bytes(),
                row.reason,
                row.begun_at.0,
                row.ends_at.0
            ],
        )?;
        Ok(())
    }
}
