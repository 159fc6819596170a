//! Rows of digests: each record's, and their sums by unit, kind, version and opener.

use beatbook_protocol::digest::RecordDigest;
use beatbook_protocol::id::{Hash, RecordId, UnitId, UserId};
use rusqlite::{Row, params};

use super::connection::{id, int, uint};
use super::scope::Grantee;
use super::{ReadTx, StoreError, WriteTx};

/// The two parts of a digest: what everybody in scope holds, and what those hold besides who may read `private`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DigestParts {
    /// Facts and acts.
    pub(crate) facts: RecordDigest,
    /// The private document.
    pub(crate) private: RecordDigest,
}

/// What a sum is over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DigestGroup {
    /// Unit.
    pub(crate) unit: UnitId,
    /// Kind and version.
    pub(crate) kind: (String, u32),
    /// Who opened the records.
    pub(crate) opener: UserId,
}

/// A sum, or one record of it.
#[derive(Debug, Clone)]
pub(crate) struct DigestRow {
    /// What it is over.
    pub(crate) group: DigestGroup,
    /// How many records.
    pub(crate) records: u64,
    /// The digests' sum.
    pub(crate) parts: DigestParts,
}

fn read_parts(row: &Row<'_>, column: usize) -> rusqlite::Result<DigestParts> {
    Ok(DigestParts {
        facts: RecordDigest::from_bytes(row.get(column)?),
        private: RecordDigest::from_bytes(row.get(column + 1)?),
    })
}

fn read_group(row: &Row<'_>) -> rusqlite::Result<DigestGroup> {
    Ok(DigestGroup {
        unit: id!(row, 0, UnitId),
        kind: (row.get(1)?, row.get(2)?),
        opener: id!(row, 3, UserId),
    })
}

fn read_record(row: &Row<'_>) -> rusqlite::Result<(RecordId, DigestRow)> {
    let found = DigestRow {
        group: read_group(row)?,
        records: 1,
        parts: read_parts(row, 4)?,
    };
    Ok((id!(row, 6, RecordId), found))
}

const RECORD: &str = "SELECT r.unit, r.kind, r.kind_version, r.opener_user, d.facts, d.private, r.id
     FROM record AS r JOIN record_digest AS d ON d.record = r.id";

impl ReadTx<'_> {
    /// A record's digest.
    pub(crate) fn record_digest(&self, record: RecordId) -> Result<Option<DigestParts>, StoreError> {
        self.one(
            "SELECT facts, private FROM record_digest WHERE record = ?1",
            [record.as_bytes()],
            |row| read_parts(row, 0),
        )
    }

    /// The sums of a unit.
    pub(crate) fn digest_sums(&self, unit: UnitId) -> Result<Vec<DigestRow>, StoreError> {
        self.all(
            "SELECT unit, kind, kind_version, opener, records, facts, private FROM digest_sum WHERE unit = ?1
             ORDER BY kind, kind_version, opener",
            [unit.as_bytes()],
            |row| {
                Ok(DigestRow {
                    group: read_group(row)?,
                    records: uint(row.get(4)?),
                    parts: read_parts(row, 5)?,
                })
            },
        )
    }

    /// The digests of a unit's records.
    pub(crate) fn digests_of_unit(&self, unit: UnitId) -> Result<Vec<(RecordId, DigestRow)>, StoreError> {
        let sql = format!("{RECORD} WHERE r.unit = ?1 ORDER BY r.number");
        self.all(&sql, [unit.as_bytes()], read_record)
    }

    /// The digests of the records granted to somebody.
    pub(crate) fn digests_granted(&self, to: Grantee) -> Result<Vec<(RecordId, DigestRow)>, StoreError> {
        let sql = format!("{RECORD} WHERE r.id IN (SELECT record FROM granted WHERE grantee = ?1) ORDER BY r.number");
        self.all(&sql, [to.bytes()], read_record)
    }

    /// All acts of a record that were taken in, whatever they led to, in their order.
    pub(crate) fn act_entries(&self, record: RecordId) -> Result<Vec<Hash>, StoreError> {
        self.all(
            "SELECT entry FROM act WHERE record = ?1 ORDER BY leaf, position",
            [record.as_bytes()],
            |row| Ok(id!(row, 0, Hash)),
        )
    }
}

impl WriteTx<'_> {
    /// Puts a record's digest.
    pub(crate) fn put_record_digest(&self, record: RecordId, opened: u64, parts: DigestParts) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO record_digest (record, opened, facts, private) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (record) DO UPDATE SET facts = excluded.facts, private = excluded.private",
            params![
                record.as_bytes(),
                int(opened),
                parts.facts.to_bytes(),
                parts.private.to_bytes()
            ],
        )?;
        Ok(())
    }

    /// Adds to a sum what became more, and takes away what it was before.
    pub(crate) fn add_to_digest_sum(
        &self,
        group: &DigestGroup,
        records: u64,
        added: DigestParts,
        taken: DigestParts,
    ) -> Result<(), StoreError> {
        let key = params![group.unit.as_bytes(), group.kind.0, group.kind.1, group.opener.as_bytes()];
        let (count, sum) = self
            .one(
                "SELECT records, facts, private FROM digest_sum WHERE unit = ?1 AND kind = ?2 AND kind_version = ?3 AND opener = ?4",
                key,
                |row| Ok((uint(row.get(0)?), read_parts(row, 1)?)),
            )?
            .unwrap_or_default();
        self.run(
            "INSERT INTO digest_sum (unit, kind, kind_version, opener, records, facts, private) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (unit, kind, kind_version, opener) DO UPDATE SET records = excluded.records, facts = excluded.facts,
               private = excluded.private",
            params![
                group.unit.as_bytes(),
                group.kind.0,
                group.kind.1,
                group.opener.as_bytes(),
                int(count.saturating_add(records)),
                sum.facts.with(added.facts).without(taken.facts).to_bytes(),
                sum.private.with(added.private).without(taken.private).to_bytes()
            ],
        )?;
        Ok(())
    }

    /// Takes a record that is gone out of a sum; a sum of nothing goes with it.
    pub(crate) fn take_from_digest_sum(&self, group: &DigestGroup, taken: DigestParts) -> Result<(), StoreError> {
        self.add_to_digest_sum(group, 0, DigestParts::default(), taken)?;
        let key = params![group.unit.as_bytes(), group.kind.0, group.kind.1, group.opener.as_bytes()];
        self.run(
            "UPDATE digest_sum SET records = records - 1 WHERE unit = ?1 AND kind = ?2 AND kind_version = ?3 AND opener = ?4",
            key,
        )?;
        self.run("DELETE FROM digest_sum WHERE records <= 0", [])?;
        Ok(())
    }
}
