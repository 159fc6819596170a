//! Rows of what was destroyed: which entries lost salt and bytes under which event, which records are gone, which blobs go with them. Knows
//! not why.

use beatbook_protocol::codec;
use beatbook_protocol::entry::{DestructionEvent, Opens};
use beatbook_protocol::id::{ActorId, BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, maybe_id, uint};
use super::scrub::CONTENT;
use super::{ReadTx, StoreError, WriteTx};

/// What stays of a destroyed entry.
#[derive(Debug, Clone)]
pub(crate) struct DestroyedRow {
    /// Where it stands.
    pub(crate) place: (u64, u32),
    /// Its record.
    pub(crate) record: Option<RecordId>,
    /// The destruction that names it.
    pub(crate) event: Hash,
    /// Whose book wrote it.
    pub(crate) book: BookId,
    /// The author mark that it bound to that book.
    pub(crate) actor: Option<ActorId>,
    /// What it opened its record with.
    pub(crate) opens: Option<Opens>,
    /// Whether it came when its record was destroyed already.
    pub(crate) late: bool,
}

/// An entry about a record, before it is destroyed.
#[derive(Debug)]
pub(crate) struct AboutRow {
    /// Where it stands.
    pub(crate) place: (u64, u32),
    /// Its identity.
    pub(crate) id: Hash,
    /// Verdict by number.
    pub(crate) verdict: u32,
    /// Its salt.
    pub(crate) salt: [u8; 16],
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The book of its page.
    pub(crate) book: BookId,
}

/// A destruction, as its event tells of it.
#[derive(Debug, Clone)]
pub(crate) struct DestructionRow {
    /// The event's entry.
    pub(crate) event: Hash,
    /// Where it stands.
    pub(crate) place: (u64, u32),
    /// When it was done, by the station's clock.
    pub(crate) at: UnixMillis,
    /// What was said.
    pub(crate) said: DestructionEvent,
}

/// A record that was destroyed as a whole.
#[derive(Debug, Clone)]
pub(crate) struct GoneRow {
    /// It.
    pub(crate) record: RecordId,
    /// The number that it had.
    pub(crate) number: Option<u64>,
    /// Its kind and version.
    pub(crate) kind: Option<(String, u32)>,
    /// Its unit.
    pub(crate) unit: Option<UnitId>,
}

fn read_destruction(row: &Row<'_>) -> rusqlite::Result<DestructionRow> {
    let document: Option<u8> = row.get(5)?;
    Ok(DestructionRow {
        event: id!(row, 0, Hash),
        place: (uint(row.get(1)?), row.get(2)?),
        at: UnixMillis(row.get(3)?),
        said: DestructionEvent {
            record: id!(row, 4, RecordId),
            document: document.map(|code| match code {
                0 => DocumentName::Facts.into(),
                _ => DocumentName::Private.into(),
            }),
            why: row.get(6)?,
            rule: row.get(7)?,
            entries: row.get(8)?,
            root: id!(row, 9, Hash),
            on_behalf: maybe_id!(row, 10, UserId),
        },
    })
}

const DESTRUCTION: &str =
    "SELECT event, leaf, position, at, record, document, why, rule, entries, root, on_behalf FROM destruction";

impl ReadTx<'_> {
    /// What stays of the destroyed entries of a leaf.
    pub(crate) fn destroyed_in(&self, leaf: u64) -> Result<Vec<DestroyedRow>, StoreError> {
        self.destroyed_where("d.leaf = ?1", [int(leaf)])
    }

    fn destroyed_where(&self, condition: &str, values: impl rusqlite::Params) -> Result<Vec<DestroyedRow>, StoreError> {
        let sql = format!(
            "SELECT d.leaf, d.position, e.record, d.event, d.book, d.actor, d.opens, d.late
             FROM destroyed_entry AS d JOIN entry AS e ON e.leaf = d.leaf AND e.position = d.position
             WHERE {condition} ORDER BY d.leaf, d.position"
        );
        let rows: Vec<(DestroyedRow, Option<Vec<u8>>)> = self.all(&sql, values, |row| {
            let found = DestroyedRow {
                place: (uint(row.get(0)?), row.get(1)?),
                record: maybe_id!(row, 2, RecordId),
                event: id!(row, 3, Hash),
                book: id!(row, 4, BookId),
                actor: maybe_id!(row, 5, ActorId),
                opens: None,
                late: row.get(7)?,
            };
            Ok((found, row.get(6)?))
        })?;
        rows.into_iter()
            .map(|(row, opens)| {
                let read = |bytes: Vec<u8>| codec::from_bytes("opening", &bytes);
                let opens = opens.map(read).transpose();
                let opens = opens.map_err(|fault| StoreError::Damaged(format!("a destroyed entry: {fault}")))?;
                Ok(DestroyedRow { opens, ..row })
            })
            .collect()
    }

    /// Every entry about a record that still has its bytes, whatever its verdict, in the ledger's order.
    pub(crate) fn entries_about(&self, record: RecordId) -> Result<Vec<AboutRow>, StoreError> {
        let rows: Vec<(AboutRow, bool)> = self.all(
            "SELECT e.leaf, e.position, e.id, e.verdict, e.salt, c.bytes, p.book, c.sealed
             FROM entry AS e JOIN content AS c ON c.id = e.id JOIN page AS p ON p.leaf = e.leaf
             WHERE e.record = ?1 AND length(e.salt) = 16 ORDER BY e.leaf, e.position",
            [record.as_bytes()],
            |row| {
                let found = AboutRow {
                    place: (uint(row.get(0)?), row.get(1)?),
                    id: id!(row, 2, Hash),
                    verdict: row.get(3)?,
                    salt: row.get(4)?,
                    bytes: row.get(5)?,
                    book: id!(row, 6, BookId),
                };
                Ok((found, row.get(7)?))
            },
        )?;
        rows.into_iter()
            .map(|(row, sealed)| {
                let bytes = self.opened(CONTENT, row.id.as_bytes(), row.bytes, sealed)?;
                Ok(AboutRow { bytes, ..row })
            })
            .collect()
    }

    /// How many entries about a record still have salt or bytes.
    pub(crate) fn undestroyed(&self, record: RecordId) -> Result<u64, StoreError> {
        self.count(
            "SELECT count(*) FROM entry AS e LEFT JOIN content AS c ON c.id = e.id
             WHERE e.record = ?1 AND (length(e.salt) > 0 OR c.id IS NOT NULL)",
            [record.as_bytes()],
        )
    }

    /// The destructions of a record, in the ledger's order.
    pub(crate) fn destructions_of(&self, record: RecordId) -> Result<Vec<DestructionRow>, StoreError> {
        let sql = format!("{DESTRUCTION} WHERE record = ?1 ORDER BY leaf, position");
        self.all(&sql, [record.as_bytes()], read_destruction)
    }

    /// Destructions after a place of the ledger, in its order.
    pub(crate) fn destructions(&self, after: Option<(u64, u32)>, limit: u32) -> Result<Vec<DestructionRow>, StoreError> {
        let sql = format!("{DESTRUCTION} WHERE (leaf, position) > (?1, ?2) ORDER BY leaf, position LIMIT ?3");
        let (leaf, position) = after.map_or((-1, 0), |(leaf, position)| (int(leaf), position));
        self.all(&sql, params![leaf, position, limit], read_destruction)
    }

    /// A record that was destroyed as a whole.
    pub(crate) fn gone(&self, record: RecordId) -> Result<Option<GoneRow>, StoreError> {
        self.one(
            "SELECT record, number, kind, kind_version, unit FROM gone WHERE record = ?1",
            [record.as_bytes()],
            |row| {
                let kind: Option<String> = row.get(2)?;
                let version: Option<u32> = row.get(3)?;
                Ok(GoneRow {
                    record: id!(row, 0, RecordId),
                    number: row.get::<_, Option<i64>>(1)?.map(uint),
                    kind: kind.zip(version),
                    unit: maybe_id!(row, 4, UnitId),
                })
            },
        )
    }
}

impl WriteTx<'_> {
    /// Takes salt and bytes of an entry away, and those that it was kept under besides; what stays is its salted hash.
    pub(crate) fn destroy_entry(&self, names: &[Hash], salted: &Hash, row: &DestroyedRow) -> Result<(), StoreError> {
        for name in names {
            self.run("DELETE FROM content WHERE id = ?1", [name.as_bytes()])?;
        }
        self.run(
            "UPDATE entry SET id = ?3, salt = x'' WHERE leaf = ?1 AND position = ?2",
            params![int(row.place.0), row.place.1, salted.as_bytes()],
        )?;
        self.put_destroyed(row)
    }

    /// Puts an entry that came when its record was destroyed already: without salt and bytes from the beginning.
    pub(crate) fn put_late_entry(
        &self,
        salted: &Hash,
        record: RecordId,
        verdict: u32,
        row: &DestroyedRow,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO entry (leaf, position, id, record, verdict, salt) VALUES (?1, ?2, ?3, ?4, ?5, x'')",
            params![int(row.place.0), row.place.1, salted.as_bytes(), record.as_bytes(), verdict],
        )?;
        self.put_destroyed(row)
    }

    fn put_destroyed(&self, row: &DestroyedRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO destroyed_entry (leaf, position, event, book, actor, opens, late) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                int(row.place.0),
                row.place.1,
                row.event.as_bytes(),
                row.book.as_bytes(),
                row.actor.map(|actor| *actor.as_bytes()),
                row.opens.as_ref().map(codec::to_bytes),
                row.late
            ],
        )?;
        Ok(())
    }

    /// Puts a destruction.
    pub(crate) fn put_destruction(&self, row: &DestructionRow) -> Result<(), StoreError> {
        let document = row.said.document.map(|document| match document.name() {
            Some(DocumentName::Facts) => 0,
            Some(DocumentName::Private) | None => 1,
        });
        self.run(
            "INSERT INTO destruction (event, leaf, position, at, record, document, why, rule, entries, root, on_behalf)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                row.event.as_bytes(),
                int(row.place.0),
                row.place.1,
                row.at.0,
                row.said.record.as_bytes(),
                document,
                row.said.why,
                row.said.rule,
                row.said.entries,
                row.said.root.as_bytes(),
                row.said.on_behalf.map(|user| *user.as_bytes())
            ],
        )?;
        Ok(())
    }

    /// Keeps the number of a record whose opening is destroyed: records after it keep theirs.
    pub(crate) fn reserve_gone(&self, record: RecordId, opens: &Opens) -> Result<(), StoreError> {
        self.run(
            &format!(
                "INSERT INTO gone (record, number, kind, kind_version, unit) VALUES (?1, {}, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                super::records::NEXT_NUMBER
            ),
            params![record.as_bytes(), opens.kind, opens.version, opens.unit.as_bytes()],
        )?;
        Ok(())
    }

    /// Notes that a record is gone by an event; of what was reserved for it the rest stays.
    pub(crate) fn put_gone(&self, row: &GoneRow, event: &Hash) -> Result<(), StoreError> {
        self.concerns_holders(row.record, row.unit)?;
        self.run(
            "INSERT INTO gone (record, number, kind, kind_version, unit, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (record) DO UPDATE SET event = excluded.event",
            params![
                row.record.as_bytes(),
                row.number.map(int),
                row.kind.as_ref().map(|kind| &kind.0),
                row.kind.as_ref().map(|kind| kind.1),
                row.unit.map(|unit| *unit.as_bytes()),
                event.as_bytes()
            ],
        )?;
        Ok(())
    }

    /// Takes every projected row of a record away. What others say about it stays.
    pub(crate) fn drop_record(&self, record: RecordId) -> Result<(), StoreError> {
        self.drop_merged(record)?;
        let key = record.as_bytes();
        for table in ["search", "search_open"] {
            let sql = format!("DELETE FROM {table} WHERE rowid = (SELECT number FROM record WHERE id = ?1)");
            self.run(&sql, [key])?;
        }
        for table in [
            "record_state",
            "record_version",
            "change",
            "refused_change",
            "act",
            "conflict",
            "finding",
            "record_file",
            "snapshot",
            "about",
            "duplicate_key",
            "recovered",
            "admitted",
            "record_digest",
            "hold",
        ] {
            self.run(&format!("DELETE FROM {table} WHERE record = ?1"), [key])?;
        }
        self.run("DELETE FROM not_duplicate WHERE ?1 IN (record, other)", [key])?;
        self.run("DELETE FROM record WHERE id = ?1", [key])?;
        Ok(())
    }

    /// Takes the rows of a record's private document away, and its versions, which are to be counted again without it.
    pub(crate) fn drop_private(&self, record: RecordId, event: &Hash) -> Result<(), StoreError> {
        let key = record.as_bytes();
        self.run(
            "DELETE FROM admitted WHERE record = ?1
               AND entry IN (SELECT entry FROM change WHERE record = ?1 AND document = 1)",
            [key],
        )?;
        for table in ["change", "refused_change", "record_file", "snapshot"] {
            self.run(&format!("DELETE FROM {table} WHERE record = ?1 AND document = 1"), [key])?;
        }
        self.run(
            "DELETE FROM recovered WHERE record = ?1
               AND (leaf, position) IN (SELECT leaf, position FROM destroyed_entry WHERE event = ?2)",
            params![key, event.as_bytes()],
        )?;
        self.run("DELETE FROM record_version WHERE record = ?1", [key])?;
        Ok(())
    }
}
