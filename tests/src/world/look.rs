//! Looks into the files of phones and station while they are open, past the programs that wrote them: what a program says of itself is
//! not what it is judged by. Writes nothing but a lost token.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use beatbook_protocol::id::{Hash, RecordId, UserId};
use rusqlite::{Connection, OpenFlags, Row};

use super::{Broken, broken};

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        broken(format!("a look into a file: {error}"))
    }
}

/// How a record stands, in words that are equal on phone and station when both hold the same.
pub type Standings = BTreeMap<RecordId, String>;

fn connect(path: &Path) -> Result<Connection, Broken> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

/// What the columns after an entry's name say that it is about.
fn about(row: &Row<'_>) -> rusqlite::Result<About> {
    Ok(About {
        record: RecordId::from_bytes(row.get(1)?),
        is_private: row.get(2)?,
    })
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    Ok(Hash::from_bytes(row.get(column)?))
}

fn hex(bytes: Option<Vec<u8>>) -> String {
    bytes.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn standings(conn: &Connection, sql: &str) -> Result<Standings, Broken> {
    let mut rows = conn.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        let line = format!(
            "{} {} unit {} {} heads {} pinned {} offered {} last {} conflicts {}",
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            hex(row.get(3)?),
            row.get::<_, String>(4)?,
            hex(row.get(5)?),
            hex(row.get(6)?),
            hex(row.get(7)?),
            hex(row.get(8)?),
            row.get::<_, i64>(9)?,
        );
        Ok((RecordId::from_bytes(row.get(0)?), line))
    };
    Ok(rows.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

/// Where an own entry stands on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Without a verdict.
    Waiting,
    /// The station has it.
    Acknowledged,
    /// Refused, and shown to its author.
    Refused,
    /// Refused, and its author has dealt with it.
    DealtWith,
    /// Accepted once; a restored station would not have it back.
    NotTakenBack,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its record.
    pub record: RecordId,
    /// Whether it is a change of the private document.
    pub is_private: bool,
}

/// An own entry on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// What it is about.
    pub about: About,
    /// Where it stands.
    pub stage: Stage,
}

/// A look into a phone's file.
#[derive(Debug)]
pub struct PhoneLook(Connection);

impl PhoneLook {
    /// Opens the file beside its core.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(path: &Path) -> Result<Self, Broken> {
        connect(path).map(Self)
    }

    /// The own entries, by where they stand. Own are those of the phone's books.
    ///
    /// # Errors
    /// When a row has a status that this look does not know.
    pub fn own(&self) -> Result<BTreeMap<Hash, Own>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT entry, record, document = 1, status FROM change WHERE book IN (SELECT book FROM own_book)
             UNION ALL SELECT entry, record, 0, status FROM act WHERE book IN (SELECT book FROM own_book)",
        )?;
        let rows: Vec<(Hash, About, i64)> = rows
            .query_map([], |row| Ok((hash(row, 0)?, about(row)?, row.get(3)?)))?
            .collect::<rusqlite::Result<_>>()?;
        rows.into_iter()
            .map(|(entry, about, status)| {
                let stage = match status {
                    0 | 3 | 4 => Stage::Acknowledged,
                    1 => Stage::Waiting,
                    2 => Stage::Refused,
                    5 => Stage::DealtWith,
                    6 => Stage::NotTakenBack,
                    other => return Err(broken(format!("entry {entry} has status {other}"))),
                };
                Ok((entry, Own { about, stage }))
            })
            .collect()
    }

    /// Own entries whose record was destroyed before the station had taken them in, and that are kept in words.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stranded(&self) -> Result<BTreeSet<Hash>, Broken> {
        let mut rows = self.0.prepare_cached("SELECT entry FROM stranded")?;
        Ok(rows.query_map([], |row| hash(row, 0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Records that left the scope, and whether something of the officer's own hangs on each.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn leaving(&self) -> Result<BTreeMap<RecordId, bool>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT r.record, EXISTS (SELECT 1 FROM change c WHERE c.record = r.record AND c.status IN (1, 2))
               OR EXISTS (SELECT 1 FROM act a WHERE a.record = r.record AND a.status IN (1, 2))
               OR EXISTS (SELECT 1 FROM draft d WHERE d.record = r.record) OR EXISTS (SELECT 1 FROM patrol p WHERE p.record = r.record)
             FROM record r WHERE r.leaving > 0",
        )?;
        Ok(rows
            .query_map([], |row| Ok((RecordId::from_bytes(row.get(0)?), row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// Every record of which the phone holds an accepted entry, with where its entries stand, but those that are leaving. Own entries that wait, or came back and are not
    /// dealt with, stay wherever they were written; what a restored station would not have back is kept hidden, since nobody else may have it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(&self) -> Result<Standings, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT record, group_concat(status || ' at ' || coalesce(leaf, '-'), ', ') FROM
               (SELECT record, status, leaf FROM change UNION ALL SELECT record, status, leaf FROM act)
             WHERE status IN (0, 3, 4) AND record NOT IN (SELECT record FROM record WHERE leaving > 0) GROUP BY record",
        )?;
        Ok(rows
            .query_map([], |row| Ok((RecordId::from_bytes(row.get(0)?), row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// Entries that will be sent: queued, or in a page without an answer.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn to_be_sent(&self) -> Result<BTreeSet<Hash>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT entry FROM outbox o WHERE EXISTS (SELECT 1 FROM queue q WHERE q.n = o.n) OR EXISTS (
               SELECT 1 FROM page_entry e JOIN page p ON p.life = e.life AND p.sequence = e.sequence
               WHERE e.n = o.n AND p.state = 'sealed')",
        )?;
        Ok(rows.query_map([], |row| hash(row, 0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Own entries that the phone itself parked, because what they were built on was refused. The station is still to hear of them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn descendants(&self) -> Result<BTreeSet<Hash>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT entry FROM change WHERE status IN (2, 5) AND code = 'descendant'
             UNION SELECT entry FROM act WHERE status IN (2, 5) AND code = 'descendant'",
        )?;
        Ok(rows.query_map([], |row| hash(row, 0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Every entry that the station has, by the phone's word; not those of records that are leaving.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted(&self) -> Result<BTreeSet<Hash>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT entry FROM change WHERE status IN (0, 3, 4) AND record NOT IN (SELECT record FROM record WHERE leaving > 0)
             UNION ALL SELECT entry FROM act WHERE status IN (0, 3, 4)
               AND record NOT IN (SELECT record FROM record WHERE leaving > 0)",
        )?;
        Ok(rows.query_map([], |row| hash(row, 0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// How records stand that the station knows, by the phone's word.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn standings(&self) -> Result<Standings, Broken> {
        standings(
            &self.0,
            "SELECT record, kind, version, unit, state, heads, pinned, offered, last_act, conflicts FROM record r
             WHERE leaving = 0 AND EXISTS (SELECT 1 FROM change c WHERE c.record = r.record AND c.opens IS NOT NULL AND c.status IN (0, 3, 4))",
        )
    }

    /// Records that the phone could not read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unreadable(&self) -> Result<Vec<String>, Broken> {
        let mut rows = self.0.prepare_cached(
            // What is only kept until its author has dealt with it, or has walked his patrol to its end, is another matter.
            "SELECT unreadable FROM record WHERE unreadable IS NOT NULL UNION ALL SELECT why FROM unread
             UNION ALL SELECT 'change ' || lower(hex(entry)) || ' of ' || lower(hex(record)) || ', status ' || status
               FROM change WHERE status IN (3, 4) AND record NOT IN
               (SELECT record FROM record WHERE leaving = 1 UNION ALL SELECT record FROM destroyed WHERE done = 0)",
        )?;
        Ok(rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Pages of 4 KiB that the file has now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pages(&self) -> Result<u32, Broken> {
        Ok(self.0.query_row("PRAGMA page_count", [], |row| row.get(0))?)
    }

    /// Forgets the token, as a phone does whose keystore was reset. For a file that no core has open.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn lose_token(&self) -> Result<(), Broken> {
        self.0.execute("UPDATE exchange SET token = NULL", [])?;
        Ok(())
    }
}

/// A look into the station's file.
#[derive(Debug)]
pub struct StationLook(Connection);

impl StationLook {
    /// Opens the file beside the station.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(path: &Path) -> Result<Self, Broken> {
        connect(path).map(Self)
    }

    /// Leaves of the ledger.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn leaves(&self) -> Result<u64, Broken> {
        let count: i64 = self
            .0
            .prepare_cached("SELECT count(*) FROM leaf")?
            .query_row([], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Accepted and offered entries of records, with their records and how often each stands on the ledger as such. What was given back
    /// stands there within an entry of the station's own.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted(&self) -> Result<BTreeMap<Hash, (About, u32)>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT id, record, EXISTS (SELECT 1 FROM change c WHERE c.record = a.record AND c.document = 1 AND c.entry = a.id), count(*)
             FROM (
               SELECT e.id, e.record FROM entry e WHERE e.verdict IN (0, 4) AND e.record IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM recovered r WHERE r.leaf = e.leaf AND r.position = e.position)
                 AND NOT EXISTS (SELECT 1 FROM destroyed_entry d WHERE d.leaf = e.leaf AND d.position = e.position)
               UNION ALL SELECT entry, record FROM recovered) a
             GROUP BY id ORDER BY id",
        )?;
        Ok(rows
            .query_map([], |row| Ok((hash(row, 0)?, (about(row)?, row.get(3)?))))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The records that were destroyed, as a whole, or (true) their private document alone.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn destroyed(&self) -> Result<BTreeSet<(RecordId, bool)>, Broken> {
        let mut rows = self
            .0
            .prepare_cached("SELECT record, document IS NOT NULL FROM destruction")?;
        Ok(rows
            .query_map([], |row| Ok((RecordId::from_bytes(row.get(0)?), row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// Every entry that the station has, whatever it thinks of it: on the ledger, or held of a book that ended.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn known(&self) -> Result<BTreeSet<Hash>, Broken> {
        let mut rows = self
            .0
            .prepare_cached("SELECT id FROM entry UNION SELECT entry FROM recovered UNION SELECT entry FROM held_entry")?;
        Ok(rows.query_map([], |row| hash(row, 0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// The records that a person may hold now: those of his unit, of his memberships, and of the units below, and those granted to him or
    /// to one of these. For people whose roles hold their units' records, with private documents: no departments.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn scope(&self, user: UserId) -> Result<BTreeSet<RecordId>, Broken> {
        let mut rows = self.0.prepare_cached(
            "WITH RECURSIVE mine (unit) AS (
               SELECT unit FROM user WHERE user = ?1 UNION SELECT unit FROM membership WHERE user = ?1 AND phase = 1
               UNION SELECT u.unit FROM unit u JOIN mine m ON u.parent = m.unit)
             SELECT id FROM record WHERE unit IN mine
               OR id IN (SELECT record FROM granted WHERE grantee = ?1 OR grantee IN (SELECT unit FROM mine))",
        )?;
        Ok(rows
            .query_map([user.as_bytes()], |row| Ok(RecordId::from_bytes(row.get(0)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// All records.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(&self) -> Result<BTreeSet<RecordId>, Broken> {
        let mut rows = self.0.prepare_cached("SELECT id FROM record")?;
        Ok(rows
            .query_map([], |row| Ok(RecordId::from_bytes(row.get(0)?)))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// How the records stand.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn standings(&self) -> Result<Standings, Broken> {
        standings(
            &self.0,
            "SELECT id, kind, kind_version, unit, state, heads, pinned, offered, last_act, conflicts FROM record",
        )
    }
}
