//! Rows of the audit log: appended, never changed, read in order; and where the ledger fixed it.

use beatbook_protocol::entry::AuditAnchorEvent;
use beatbook_protocol::id::{Hash, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Row, params, params_from_iter};

use super::connection::{id, int, maybe_id, uint};
use super::{ReadTx, StoreError, WriteTx};
use crate::audit::Written;

/// Which lines to read. Every condition that is there must hold.
#[derive(Debug, Clone)]
pub(crate) struct AuditQuery {
    /// Of the records and people of this unit and of those below it; where it is a root, of nobody's too.
    pub(crate) unit: UnitId,
    /// By this person.
    pub(crate) user: Option<UserId>,
    /// About this record.
    pub(crate) record: Option<RecordId>,
    /// This, or what begins with it and a dot.
    pub(crate) what: Option<String>,
    /// Not before.
    pub(crate) from: Option<UnixMillis>,
    /// Before.
    pub(crate) until: Option<UnixMillis>,
    /// Below this number; the newest come first. None: from the first on, ascending, which is how exports read.
    pub(crate) below: Option<u64>,
    /// Above this number.
    pub(crate) above: u64,
    /// Lines at most.
    pub(crate) limit: u32,
}

/// A line with the name of who did it, as far as the registry knows one.
#[derive(Debug, Clone)]
pub(crate) struct AuditedLine {
    /// The line.
    pub(crate) line: Written,
    /// His name.
    pub(crate) name: Option<String>,
}

const LINE: &str = "SELECT a.number, a.at, a.user, a.what, a.record, a.detail, a.reason, a.hash";

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
    /// The number of the last line, and its hash.
    pub(crate) fn audit_head(&self) -> Result<(u64, Hash), StoreError> {
        let last = self.one("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((uint(row.get(0)?), id!(row, 1, Hash)))
        })?;
        Ok(last.unwrap_or((0, Hash::from_bytes([0; 32]))))
    }

    /// Lines from a number on, in order.
    pub(crate) fn audit_from(&self, number: u64, limit: u32) -> Result<Vec<Written>, StoreError> {
        self.all(
            &format!("{LINE} FROM audit AS a WHERE a.number >= ?1 ORDER BY a.number LIMIT ?2"),
            params![int(number), limit],
            read_line,
        )
    }

    /// The hash of a line.
    pub(crate) fn audit_hash(&self, number: u64) -> Result<Option<Hash>, StoreError> {
        self.one("SELECT hash FROM audit WHERE number = ?1", [int(number)], |row| {
            Ok(id!(row, 0, Hash))
        })
    }

    /// The last line that the ledger fixed; 0 while it fixed none.
    pub(crate) fn audit_anchored(&self) -> Result<u64, StoreError> {
        self.count("SELECT coalesce(max(lines), 0) FROM audit_anchor", [])
    }

    /// Lines that belong to a unit: of its records, of its people.
    pub(crate) fn audit_lines(&self, query: &AuditQuery) -> Result<Vec<AuditedLine>, StoreError> {
        let mut values = vec![
            SqlValue::Blob(query.unit.as_bytes().to_vec()),
            SqlValue::Integer(int(query.above)),
        ];
        let mut wheres = vec![
            "a.number > ?2".to_owned(),
            "(EXISTS (SELECT 1 FROM record AS r WHERE r.id = a.record AND r.unit IN (SELECT unit FROM scope)) \
             OR u.unit IN (SELECT unit FROM scope) \
             OR (a.user IS NULL AND a.record IS NULL AND EXISTS (SELECT 1 FROM unit WHERE unit = ?1 AND parent IS NULL)))"
                .to_owned(),
        ];
        let mut put = |condition: &str, value: SqlValue| {
            values.push(value);
            wheres.push(condition.replace('?', &format!("?{}", values.len())));
        };
        if let Some(user) = query.user {
            put("a.user = ?", SqlValue::Blob(user.as_bytes().to_vec()));
        }
        if let Some(record) = query.record {
            put("a.record = ?", SqlValue::Blob(record.as_bytes().to_vec()));
        }
        if let Some(what) = &query.what {
            put(
                "(a.what = ? OR substr(a.what, 1, length(?) + 1) = ? || '.')",
                SqlValue::Text(what.clone()),
            );
        }
        if let Some(from) = query.from {
            put("a.at >= ?", SqlValue::Integer(from.0));
        }
        if let Some(until) = query.until {
            put("a.at < ?", SqlValue::Integer(until.0));
        }
        if let Some(below) = query.below {
            put("a.number < ?", SqlValue::Integer(int(below)));
        }
        let direction = if query.below.is_some() { "DESC" } else { "ASC" };
        values.push(SqlValue::Integer(query.limit.into()));
        let sql = format!(
            "WITH RECURSIVE scope (unit) AS (VALUES (?1) UNION SELECT n.unit FROM unit AS n JOIN scope AS s ON n.parent = s.unit)
             {LINE}, u.name FROM audit AS a LEFT JOIN user AS u ON u.user = a.user
             WHERE {} ORDER BY a.number {direction} LIMIT ?{}",
            wheres.join(" AND "),
            values.len()
        );
        self.all(&sql, params_from_iter(values), |row| {
            Ok(AuditedLine {
                line: read_line(row)?,
                name: row.get(8)?,
            })
        })
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

    /// Remembers where the ledger fixed the log.
    pub(crate) fn put_audit_anchor(&self, event: &AuditAnchorEvent, (leaf, position): (u64, u32)) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO audit_anchor (leaf, position, lines, head) VALUES (?1, ?2, ?3, ?4)",
            params![int(leaf), position, int(event.lines), event.head.as_bytes()],
        )?;
        Ok(())
    }
}
