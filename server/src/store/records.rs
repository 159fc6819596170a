//! Rows of records: their state, its history and versions, acts, and what lists show.

use beatbook_protocol::entry::Opens;
use beatbook_protocol::id::{BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{concat, id, int, maybe_id, split, uint};
use super::{FileRow, ReadTx, StoreError, WriteTx};
use crate::projection::record::{Opening, RecordState};
use crate::review::view::FindingView;

/// An act that was taken in.
#[derive(Debug, Clone)]
pub(crate) struct ActRow {
    /// Its entry.
    pub(crate) entry: Hash,
    /// Its leaf.
    pub(crate) leaf: u64,
    /// Its place in the page.
    pub(crate) position: u32,
    /// Code.
    pub(crate) code: String,
    /// Who did it.
    pub(crate) author: UserId,
    /// When, by his clock.
    pub(crate) at: UnixMillis,
    /// When it came.
    pub(crate) received: UnixMillis,
    /// The state after it.
    pub(crate) state: String,
    /// Whether it was only offered.
    pub(crate) offered: bool,
}

/// What a record's facts say for lists and search.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ReadingRow {
    /// What it is about.
    pub(crate) about: Option<RecordId>,
    /// By what it may be told to be another one.
    pub(crate) keys: Vec<String>,
    /// Title.
    pub(crate) title: String,
    /// Words, as the search index takes them.
    pub(crate) words: String,
    /// Those of them that are not personal.
    pub(crate) open_words: String,
    /// Places that differ between the official view and what is written now.
    pub(crate) pending: u32,
    /// Places in conflict.
    pub(crate) conflicts: Vec<String>,
    /// Findings.
    pub(crate) findings: Vec<FindingView>,
    /// Files that it names.
    pub(crate) files: Vec<FileRow>,
}

/// The number of the next record: above all that are there and all that were.
pub(super) const NEXT_NUMBER: &str =
    "(SELECT max(coalesce((SELECT max(number) FROM record), 0), coalesce((SELECT max(number) FROM gone), 0)) + 1)";

fn read_state(row: &Row<'_>) -> rusqlite::Result<RecordState> {
    let heads = |bytes: Option<Vec<u8>>| bytes.map(|bytes| split(&bytes));
    Ok(RecordState {
        id: id!(row, "id", RecordId),
        opening: Opening {
            opens: Opens {
                kind: row.get("kind")?,
                version: row.get("kind_version")?,
                unit: id!(row, "unit", UnitId),
            },
            book: id!(row, "opener_book", BookId),
            user: id!(row, "opener_user", UserId),
            at: UnixMillis(row.get("opened_at")?),
        },
        last_at: UnixMillis(row.get("last_at")?),
        state: row.get("state")?,
        state_since: UnixMillis(row.get("state_since")?),
        heads: split(&row.get::<_, Vec<u8>>("heads")?),
        private_heads: split(&row.get::<_, Vec<u8>>("private_heads")?),
        pinned: heads(row.get("pinned")?),
        offered: heads(row.get("offered")?),
        last_act: maybe_id!(row, "last_act", Hash),
        received: UnixMillis(row.get("received")?),
        leaf: uint(row.get("leaf")?),
    })
}

impl ReadTx<'_> {
    /// A record's state.
    pub(crate) fn record(&self, record: RecordId) -> Result<Option<RecordState>, StoreError> {
        self.one("SELECT * FROM record WHERE id = ?1", [record.as_bytes()], read_state)
    }

    /// The leaf of a record's newest entry.
    pub(crate) fn record_leaf(&self, record: RecordId) -> Result<Option<u64>, StoreError> {
        self.one("SELECT leaf FROM record WHERE id = ?1", [record.as_bytes()], |row| {
            row.get(0).map(uint)
        })
    }

    /// The states that a record had from a ledger size on: the one it was in then, and each after it.
    pub(crate) fn states_since(&self, record: RecordId, size: u64) -> Result<Vec<String>, StoreError> {
        self.all(
            "SELECT state FROM record_state WHERE record = ?1 AND (leaf, position) >= (
               SELECT coalesce(max(leaf), 0), coalesce(max(position), 0) FROM (
                 SELECT leaf, position FROM record_state WHERE record = ?1 AND leaf < ?2 ORDER BY leaf DESC, position DESC LIMIT 1))
             ORDER BY leaf, position",
            params![record.as_bytes(), int(size)],
            |row| row.get(0),
        )
    }

    /// When a record had this version, and the heads of its facts then.
    pub(crate) fn version(&self, record: RecordId, version: &Hash) -> Result<Option<(u64, Vec<Hash>)>, StoreError> {
        self.one(
            "SELECT leaf, heads FROM record_version WHERE record = ?1 AND version = ?2",
            params![record.as_bytes(), version.as_bytes()],
            |row| Ok((uint(row.get(0)?), split(&row.get::<_, Vec<u8>>(1)?))),
        )
    }

    /// The acts of a record after a leaf (or all), in the ledger's order.
    pub(crate) fn acts(&self, record: RecordId, after: Option<u64>) -> Result<Vec<ActRow>, StoreError> {
        self.all(
            "SELECT entry, leaf, position, code, author, at, received, state, offered FROM act
             WHERE record = ?1 AND leaf > ?2 ORDER BY leaf, position",
            params![record.as_bytes(), after.map_or(-1, int)],
            |row| {
                Ok(ActRow {
                    entry: id!(row, 0, Hash),
                    leaf: uint(row.get(1)?),
                    position: row.get(2)?,
                    code: row.get(3)?,
                    author: id!(row, 4, UserId),
                    at: UnixMillis(row.get(5)?),
                    received: UnixMillis(row.get(6)?),
                    state: row.get(7)?,
                    offered: row.get(8)?,
                })
            },
        )
    }

    /// The findings on a record.
    pub(crate) fn findings(&self, record: RecordId) -> Result<Vec<FindingView>, StoreError> {
        self.all(
            "SELECT path, code, severity, zh, en FROM finding WHERE record = ?1 ORDER BY number",
            [record.as_bytes()],
            |row| {
                Ok(FindingView {
                    path: row.get(0)?,
                    code: row.get(1)?,
                    severity: row.get(2)?,
                    message: beatbook_protocol::kind::Label {
                        zh: row.get(3)?,
                        en: row.get(4)?,
                    },
                })
            },
        )
    }
}

impl WriteTx<'_> {
    /// Puts a record's state, whether it is new or known.
    pub(crate) fn put_record(&self, state: &RecordState, review: bool) -> Result<(), StoreError> {
        self.concerns_holders(state.id, Some(state.opening.opens.unit))?;
        let version = state.version();
        self.run(
            &format!(
                "INSERT INTO record (number, id, kind, kind_version, unit, opener_book, opener_user, opened_at, last_at, state, state_since,
               heads, private_heads, pinned, offered, last_act, received, leaf, version, review, title, pending, conflicts, findings)
             VALUES ({NEXT_NUMBER}, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, '', 0, 0, 0)
             ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, state = excluded.state, state_since = excluded.state_since,
               heads = excluded.heads, private_heads = excluded.private_heads, pinned = excluded.pinned, offered = excluded.offered,
               last_act = excluded.last_act, received = excluded.received, leaf = excluded.leaf, version = excluded.version,
               review = excluded.review"
            ),
            params![
                state.id.as_bytes(),
                state.opening.opens.kind,
                state.opening.opens.version,
                state.opening.opens.unit.as_bytes(),
                state.opening.book.as_bytes(),
                state.opening.user.as_bytes(),
                state.opening.at.0,
                state.last_at.0,
                state.state,
                state.state_since.0,
                concat(&state.heads),
                concat(&state.private_heads),
                state.pinned.as_deref().map(concat),
                state.offered.as_deref().map(concat),
                state.last_act.map(|act| *act.as_bytes()),
                state.received.0,
                int(state.leaf),
                version.as_bytes(),
                review,
            ],
        )?;
        Ok(())
    }

    /// Notes the version that a record has now, so that it can be told what moved since.
    pub(crate) fn put_version(&self, state: &RecordState) -> Result<(), StoreError> {
        let version = state.version();
        self.run(
            "INSERT INTO record_version (record, version, leaf, heads) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![state.id.as_bytes(), version.as_bytes(), int(state.leaf), concat(&state.heads)],
        )?;
        Ok(())
    }

    /// Notes that a record entered a state.
    pub(crate) fn put_record_state(&self, record: RecordId, leaf: u64, position: u32, state: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO record_state (record, leaf, position, state) VALUES (?1, ?2, ?3, ?4)",
            params![record.as_bytes(), int(leaf), position, state],
        )?;
        Ok(())
    }

    /// Puts an act.
    pub(crate) fn put_act(&self, record: RecordId, act: &ActRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO act (record, leaf, position, entry, code, author, at, received, state, offered)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                record.as_bytes(),
                int(act.leaf),
                act.position,
                act.entry.as_bytes(),
                act.code,
                act.author.as_bytes(),
                act.at.0,
                act.received.0,
                act.state,
                act.offered
            ],
        )?;
        Ok(())
    }

    /// Puts what a record's facts say for lists. Its words are put by [`Self::put_words`], after all else of the step: a statement that may
    /// have to be undone by itself makes the search index write to the file what it has gathered so far.
    pub(crate) fn put_reading(&self, record: RecordId, reading: &ReadingRow) -> Result<(), StoreError> {
        let key = record.as_bytes();
        let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        self.run(
            "UPDATE record SET title = ?2, pending = ?3, conflicts = ?4, findings = ?5 WHERE id = ?1",
            params![
                key,
                reading.title,
                reading.pending,
                count(reading.conflicts.len()),
                count(reading.findings.len())
            ],
        )?;
        self.put_links(record, reading)?;
        self.run("DELETE FROM conflict WHERE record = ?1", [key])?;
        for path in &reading.conflicts {
            self.run("INSERT INTO conflict (record, path) VALUES (?1, ?2)", params![key, path])?;
        }
        self.run("DELETE FROM finding WHERE record = ?1", [key])?;
        for (number, finding) in (0_i64..).zip(&reading.findings) {
            self.run(
                "INSERT INTO finding (record, number, path, code, severity, zh, en) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    key,
                    number,
                    finding.path,
                    finding.code,
                    finding.severity,
                    finding.message.zh,
                    finding.message.en
                ],
            )?;
        }
        self.put_files(record, &reading.files)
    }

    /// Puts the words by which search finds these records.
    pub(crate) fn put_words<'r>(&self, readings: impl IntoIterator<Item = (RecordId, &'r ReadingRow)>) -> Result<(), StoreError> {
        let mut numbered = Vec::new();
        for (record, reading) in readings {
            numbered.extend(self.number_of(record)?.map(|number| (int(number), reading)));
        }
        // The index writes out what it has gathered whenever a number is below the last one, and merges what it wrote so.
        numbered.sort_by_key(|(number, _)| *number);
        for (number, reading) in numbered {
            for (table, words) in [("search", &reading.words), ("search_open", &reading.open_words)] {
                self.run(&format!("DELETE FROM {table} WHERE rowid = ?1"), [number])?;
                self.run(
                    &format!("INSERT INTO {table} (rowid, body) VALUES (?1, ?2)"),
                    params![number, words],
                )?;
            }
        }
        Ok(())
    }
}
