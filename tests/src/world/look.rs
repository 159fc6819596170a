//! Looks into the files of phones and station while they are open, past the programs that wrote them: what a program says of itself is
//! not what it is judged by. Writes nothing but a lost token.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use beatbook_protocol::id::{Hash, RecordId};
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
    pub fn own(&self) -> Result<BTreeMap<Hash, Stage>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT entry, status FROM change WHERE book IN (SELECT book FROM own_book)
             UNION ALL SELECT entry, status FROM act WHERE book IN (SELECT book FROM own_book)",
        )?;
        let rows: Vec<(Hash, i64)> = rows
            .query_map([], |row| Ok((hash(row, 0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        rows.into_iter()
            .map(|(entry, status)| {
                let stage = match status {
                    0 | 3 | 4 => Stage::Acknowledged,
                    1 => Stage::Waiting,
                    2 => Stage::Refused,
                    5 => Stage::DealtWith,
                    other => return Err(broken(format!("entry {entry} has status {other}"))),
                };
                Ok((entry, stage))
            })
            .collect()
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

    /// Every entry that the station has, by the phone's word.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted(&self) -> Result<BTreeSet<Hash>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT entry FROM change WHERE status IN (0, 3, 4) UNION ALL SELECT entry FROM act WHERE status IN (0, 3, 4)",
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
             WHERE EXISTS (SELECT 1 FROM change c WHERE c.record = r.record AND c.opens IS NOT NULL AND c.status IN (0, 3, 4))",
        )
    }

    /// Records that the phone could not read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unreadable(&self) -> Result<Vec<String>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT unreadable FROM record WHERE unreadable IS NOT NULL UNION ALL SELECT why FROM unread
             UNION ALL SELECT 'a change of status ' || status FROM change WHERE status IN (3, 4)",
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

    /// Accepted and offered entries of records, with how often each stands on the ledger as such.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted(&self) -> Result<BTreeMap<Hash, u32>, Broken> {
        let mut rows = self.0.prepare_cached(
            "SELECT id, count(*) FROM entry WHERE verdict IN (0, 4) AND record IS NOT NULL GROUP BY id ORDER BY id",
        )?;
        Ok(rows
            .query_map([], |row| Ok((hash(row, 0)?, row.get(1)?)))?
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
