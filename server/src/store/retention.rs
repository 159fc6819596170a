//! Rows for retention: what is known of a record's age, and holds. Counts no days.

use beatbook_protocol::entry::HoldEvent;
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::params;

use super::connection::{id, int, maybe_id};
use super::{ReadTx, StoreError, WriteTx};

/// A record as retention sees it.
#[derive(Debug, Clone)]
pub(crate) struct KeptRecord {
    /// The record.
    pub(crate) record: RecordId,
    /// Kind and version.
    pub(crate) kind: (String, u32),
    /// Unit.
    pub(crate) unit: UnitId,
    /// Its state.
    pub(crate) state: String,
    /// When its newest entry came, by the station's clock.
    pub(crate) last: UnixMillis,
    /// Whether it waits for the chief.
    pub(crate) review: bool,
    /// Whether anything is written in its private document.
    pub(crate) has_private: bool,
    /// The record at the end of its merges.
    pub(crate) root: Option<RecordId>,
    /// The record that it is about.
    pub(crate) about: Option<RecordId>,
    /// The ground on which it is held.
    pub(crate) held: Option<String>,
}

/// A hold.
#[derive(Debug, Clone)]
pub(crate) struct HoldRow {
    /// The record.
    pub(crate) record: RecordId,
    /// Its ground.
    pub(crate) ground: String,
    /// Since when, by the station's clock.
    pub(crate) since: UnixMillis,
    /// Who said so; none for the operator.
    pub(crate) by: Option<UserId>,
}

impl ReadTx<'_> {
    /// All records, in the order in which they were opened.
    pub(crate) fn kept_records(&self) -> Result<Vec<KeptRecord>, StoreError> {
        self.all(
            "SELECT r.id, r.kind, r.kind_version, r.unit, r.state, r.received, r.review, length(r.private_heads) > 0,
               m.root, a.target, h.ground
             FROM record AS r LEFT JOIN merged AS m ON m.record = r.id LEFT JOIN about AS a ON a.record = r.id
               LEFT JOIN hold AS h ON h.record = r.id ORDER BY r.number",
            [],
            |row| {
                Ok(KeptRecord {
                    record: id!(row, 0, RecordId),
                    kind: (row.get(1)?, row.get(2)?),
                    unit: id!(row, 3, UnitId),
                    state: row.get(4)?,
                    last: UnixMillis(row.get(5)?),
                    review: row.get(6)?,
                    has_private: row.get(7)?,
                    root: maybe_id!(row, 8, RecordId),
                    about: maybe_id!(row, 9, RecordId),
                    held: row.get(10)?,
                })
            },
        )
    }

    /// Whether any record had no news since a time: else nothing can be over.
    pub(crate) fn any_older(&self, than: UnixMillis) -> Result<bool, StoreError> {
        Ok(self
            .one("SELECT 1 FROM record WHERE received < ?1 LIMIT 1", [than.0], |_| Ok(()))?
            .is_some())
    }

    /// The last news of the records about one.
    pub(crate) fn newest_about(&self, record: RecordId) -> Result<Option<UnixMillis>, StoreError> {
        let found = self.one(
            "SELECT max(r.received) FROM about AS a JOIN record AS r ON r.id = a.record WHERE a.target = ?1",
            [record.as_bytes()],
            |row| row.get::<_, Option<i64>>(0),
        )?;
        Ok(found.flatten().map(UnixMillis))
    }

    /// The hold on a record.
    pub(crate) fn hold(&self, record: RecordId) -> Result<Option<HoldRow>, StoreError> {
        self.one(
            "SELECT record, ground, since, on_behalf FROM hold WHERE record = ?1",
            [record.as_bytes()],
            |row| {
                Ok(HoldRow {
                    record: id!(row, 0, RecordId),
                    ground: row.get(1)?,
                    since: UnixMillis(row.get(2)?),
                    by: maybe_id!(row, 3, UserId),
                })
            },
        )
    }
}

impl WriteTx<'_> {
    /// Puts a hold, or its end.
    pub(crate) fn put_hold(&self, event: &HoldEvent, leaf: u64, at: UnixMillis) -> Result<(), StoreError> {
        if event.ended == Some(true) {
            self.run("DELETE FROM hold WHERE record = ?1", [event.record.as_bytes()])?;
            return Ok(());
        }
        self.run(
            "INSERT INTO hold (record, ground, since, leaf, on_behalf) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (record) DO UPDATE SET ground = excluded.ground, since = excluded.since, leaf = excluded.leaf,
               on_behalf = excluded.on_behalf",
            params![
                event.record.as_bytes(),
                event.ground,
                at.0,
                int(leaf),
                event.on_behalf.map(|user| *user.as_bytes())
            ],
        )?;
        Ok(())
    }
}
