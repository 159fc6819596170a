//! For tests: looks into tables behind the station's back, changes single bytes of the ledger's, and mends them.

use rusqlite::types::Value;

use super::{Store, StoreError};

/// A column of a row of a ledger table, and which byte of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    table: &'static str,
    column: &'static str,
    key: String,
    byte: usize,
}

/// Tables with their key columns, and the columns that are changed.
const LEDGER: [(&str, &str, &[&str]); 4] = [
    ("leaf", "number", &["bytes"]),
    ("tree", "level * 100000 + node", &["hash"]),
    ("entry", "leaf * 1000 + position", &["id", "salt", "record", "verdict"]),
    ("content", "rowid", &["bytes", "id"]),
];

impl Store {
    /// In how many parts a search index lies. FTS5 keeps a part's number in an id's upper bits, and no part under the ids up to 10.
    pub(crate) fn search_parts(&self, table: &str) -> i64 {
        let said = format!("SELECT count(DISTINCT id >> 37) FROM {table}_data WHERE id > 10");
        self.read(|tx| tx.all(&said, [], |row| row.get(0))).unwrap()[0]
    }

    /// A byte near the beginning and one near the end of every value of the ledger.
    pub(crate) fn tamper_targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (table, key, columns) in LEDGER {
            for column in columns {
                let rows = self
                    .read(|tx| {
                        tx.all(
                            &format!("SELECT {key}, length({column}) FROM {table} WHERE {column} IS NOT NULL ORDER BY 1"),
                            [],
                            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
                        )
                    })
                    .unwrap();
                for (row, length) in rows {
                    for byte in [length / 7, length - 1] {
                        let key = format!("{key} = {row}");
                        targets.push(Target {
                            table,
                            column,
                            key,
                            byte: usize::try_from(byte).unwrap(),
                        });
                    }
                }
            }
        }
        targets
    }

    /// Changes one bit; gives back what was there.
    pub(crate) fn tamper(&self, target: &Target) -> Value {
        let Target {
            table,
            column,
            key,
            byte,
        } = target;
        let old: Value = self
            .read(|tx| tx.one(&format!("SELECT {column} FROM {table} WHERE {key}"), [], |row| row.get(0)))
            .unwrap()
            .unwrap();
        let new = match old.clone() {
            Value::Blob(mut bytes) => {
                bytes[*byte] ^= 1;
                Value::Blob(bytes)
            }
            Value::Integer(number) => Value::Integer(number ^ 1),
            other => other,
        };
        self.mend(target, &new);
        old
    }

    /// Puts a value there.
    pub(crate) fn mend(&self, target: &Target, value: &Value) {
        let Target { table, column, key, .. } = target;
        let changed = self.write(|tx| {
            tx.run("PRAGMA defer_foreign_keys = 1", [])?;
            tx.run(&format!("UPDATE {table} SET {column} = ?1 WHERE {key}"), [value])
        });
        assert_eq!(changed.map_err(|fault: StoreError| fault.to_string()), Ok(1));
    }

    /// Lets no line be written in the audit log, as when the disk is full; or again.
    pub(crate) fn hinder_audit(&self, hindered: bool) {
        self.sql(if hindered {
            "CREATE TRIGGER hindered BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'hindered'); END"
        } else {
            "DROP TRIGGER hindered"
        })
        .unwrap();
    }

    /// Runs a statement, as whoever has the file can.
    pub(crate) fn sql(&self, statement: &str) -> Result<usize, String> {
        let done = self.write(|tx| tx.run(statement, []));
        done.map_err(|fault: StoreError| fault.to_string())
    }

    /// Takes salt and bytes of an entry away as a thief would, with or without a word on a destruction.
    pub(crate) fn rob(&self, (leaf, position): (u64, u32), event: Option<beatbook_protocol::id::Hash>, late: bool) {
        let robbed = self.write(|tx| {
            let salted: Vec<u8> = tx
                .entries_of(leaf)?
                .into_iter()
                .find(|row| row.position == position)
                .map(|row| match row.kept {
                    super::Kept::Whole(salt, bytes) => beatbook_protocol::page::salted_hash(&salt, &bytes).as_bytes().to_vec(),
                    super::Kept::Destroyed | super::Kept::Missing => Vec::new(),
                })
                .unwrap_or_default();
            let at = rusqlite::params![leaf.cast_signed(), position];
            tx.run(
                "DELETE FROM content WHERE id = (SELECT id FROM entry WHERE leaf = ?1 AND position = ?2)",
                at,
            )?;
            tx.run(
                "UPDATE entry SET salt = x'', id = ?3 WHERE leaf = ?1 AND position = ?2",
                rusqlite::params![leaf.cast_signed(), position, salted],
            )?;
            if let Some(event) = event {
                tx.run(
                    "INSERT INTO destroyed_entry (leaf, position, event, book, late) VALUES (?1, ?2, ?3, zeroblob(16), ?4)",
                    rusqlite::params![leaf.cast_signed(), position, event.as_bytes(), late],
                )?;
            }
            Ok::<_, StoreError>(())
        });
        robbed.unwrap();
    }

    /// Opens every seal, as a database of an earlier version was.
    pub(crate) fn unseal_all(&self) {
        let done = self.write(|tx| {
            let mut open = Vec::new();
            tx.each_content(|row| {
                open.push((row.id, row.bytes));
                Ok::<_, StoreError>(())
            })?;
            for (id, bytes) in open {
                tx.run(
                    "UPDATE content SET bytes = ?2, sealed = 0 WHERE id = ?1",
                    rusqlite::params![id.as_bytes(), bytes],
                )?;
            }
            tx.run("INSERT INTO unsealed (one, after) VALUES (1, 0)", [])?;
            tx.run("INSERT INTO scrub (one, whole) VALUES (1, 1) ON CONFLICT DO NOTHING", [])
        });
        done.unwrap();
    }
}
