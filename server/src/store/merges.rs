//! Rows of links and merges: what a record is about, what it was merged into, what it might be another one of. Knows nothing of who may merge.

use beatbook_protocol::id::{RecordId, UnitId, UserId};

use super::connection::{id, int};
use super::{ReadTx, ReadingRow, StoreError, WriteTx};

/// Two records that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairRow {
    /// The one that was registered first.
    pub(crate) older: RecordId,
    /// The other.
    pub(crate) newer: RecordId,
    /// By what.
    pub(crate) key: String,
}

/// The units of a person: his own (`?1`), those of his memberships (`?3`), and those below them.
const SCOPE: &str = "WITH RECURSIVE scope (unit) AS (VALUES (?1) UNION SELECT unit FROM membership WHERE user = ?3 AND phase = 1
     UNION SELECT u.unit FROM unit AS u JOIN scope AS s ON u.parent = s.unit)";
const PAIRS: &str = "FROM duplicate_key AS a JOIN duplicate_key AS b ON b.kind = a.kind AND b.key = a.key AND b.record > a.record
     JOIN record AS older ON older.id = a.record JOIN record AS newer ON newer.id = b.record
     WHERE older.unit IN (SELECT unit FROM scope) AND newer.unit IN (SELECT unit FROM scope)
       AND NOT EXISTS (SELECT 1 FROM merged AS m WHERE m.record IN (a.record, b.record))
       AND NOT EXISTS (SELECT 1 FROM not_duplicate AS n WHERE n.record = a.record AND n.other = b.record)";

impl ReadTx<'_> {
    /// What a record was merged into, if it was.
    pub(crate) fn merged_into(&self, record: RecordId) -> Result<Option<RecordId>, StoreError> {
        self.one("SELECT target FROM merged WHERE record = ?1", [record.as_bytes()], |row| {
            Ok(id!(row, 0, RecordId))
        })
    }

    /// The records that ended in this one, in the order of their registering.
    pub(crate) fn merged_here(&self, record: RecordId) -> Result<Vec<RecordId>, StoreError> {
        self.all(
            "SELECT record FROM merged WHERE root = ?1 ORDER BY record",
            [record.as_bytes()],
            |row| Ok(id!(row, 0, RecordId)),
        )
    }

    /// Pairs in a person's units that may be one thing, those registered last first.
    pub(crate) fn duplicates(&self, scope: (UnitId, UserId), limit: u32) -> Result<Vec<PairRow>, StoreError> {
        self.all(
            &format!("{SCOPE} SELECT a.record, b.record, min(a.key) {PAIRS} GROUP BY a.record, b.record ORDER BY b.record DESC, a.record LIMIT ?2"),
            rusqlite::params![scope.0.as_bytes(), int(limit.into()), scope.1.as_bytes()],
            read_pair,
        )
    }

    /// What a record might be another one of.
    pub(crate) fn duplicates_of(&self, record: RecordId, scope: (UnitId, UserId)) -> Result<Vec<RecordId>, StoreError> {
        self.all(
            &format!(
                "{SCOPE} SELECT DISTINCT a.record {PAIRS} AND b.record = ?2
                 UNION SELECT DISTINCT b.record {PAIRS} AND a.record = ?2 ORDER BY 1 LIMIT 50"
            ),
            rusqlite::params![scope.0.as_bytes(), record.as_bytes(), scope.1.as_bytes()],
            |row| Ok(id!(row, 0, RecordId)),
        )
    }
}

fn read_pair(row: &rusqlite::Row<'_>) -> rusqlite::Result<PairRow> {
    Ok(PairRow {
        older: id!(row, 0, RecordId),
        newer: id!(row, 1, RecordId),
        key: row.get(2)?,
    })
}

impl WriteTx<'_> {
    /// Puts what a record is about, and by what it may be told to be another one.
    pub(super) fn put_links(&self, record: RecordId, reading: &ReadingRow) -> Result<(), StoreError> {
        match reading.about {
            Some(target) => self.run(
                "INSERT INTO about (record, target) VALUES (?1, ?2) ON CONFLICT (record) DO UPDATE SET target = excluded.target",
                [record.as_bytes(), target.as_bytes()],
            )?,
            None => self.run("DELETE FROM about WHERE record = ?1", [record.as_bytes()])?,
        };
        self.run("DELETE FROM duplicate_key WHERE record = ?1", [record.as_bytes()])?;
        for key in &reading.keys {
            self.run(
                "INSERT INTO duplicate_key (record, key, kind) SELECT ?1, ?2, kind FROM record WHERE id = ?1 ON CONFLICT DO NOTHING",
                rusqlite::params![record.as_bytes(), key],
            )?;
        }
        Ok(())
    }

    /// Merges a record into another, with all that ended in it. A merge into what ends in it would be a loop, and is none.
    pub(crate) fn put_merged(&self, record: RecordId, target: RecordId) -> Result<(), StoreError> {
        let known = self.one("SELECT root FROM merged WHERE record = ?1", [target.as_bytes()], |row| {
            Ok(id!(row, 0, RecordId))
        })?;
        let root = known.unwrap_or(target);
        if root == record {
            return Ok(());
        }
        self.run(
            "INSERT INTO merged (record, target, root) VALUES (?1, ?2, ?3)
             ON CONFLICT (record) DO UPDATE SET target = excluded.target, root = excluded.root",
            [record.as_bytes(), target.as_bytes(), root.as_bytes()],
        )?;
        self.run(
            "UPDATE merged SET root = ?2 WHERE root = ?1",
            [record.as_bytes(), root.as_bytes()],
        )?;
        Ok(())
    }

    /// Takes a merge back: the record stands for itself again, and for what was merged into it before.
    pub(crate) fn drop_merged(&self, record: RecordId) -> Result<(), StoreError> {
        self.run("DELETE FROM merged WHERE record = ?1", [record.as_bytes()])?;
        self.run(
            "WITH RECURSIVE below (record) AS (
               SELECT record FROM merged WHERE target = ?1 UNION SELECT m.record FROM merged AS m JOIN below AS b ON m.target = b.record)
             UPDATE merged SET root = ?1 WHERE record IN (SELECT record FROM below)",
            [record.as_bytes()],
        )?;
        Ok(())
    }

    /// Puts that two records are two.
    pub(crate) fn put_not_duplicate(&self, one: RecordId, other: RecordId) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO not_duplicate (record, other) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [one.min(other).as_bytes(), one.max(other).as_bytes()],
        )?;
        Ok(())
    }
}
