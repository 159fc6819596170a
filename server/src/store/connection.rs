//! Opening the database file, its migrations, and the few words in which the other files of this room speak SQL.

use std::path::Path;
use std::time::Duration;

use beatbook_protocol::id::Hash;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use super::{ReadTx, StoreError, WriteTx};

/// The steps, in order; `user_version` says how many a file has taken.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001_initial.sql"),
    include_str!("migrations/002_desk.sql"),
    include_str!("migrations/003_scope.sql"),
    include_str!("migrations/004_blobs.sql"),
    include_str!("migrations/005_registry.sql"),
    include_str!("migrations/006_audit.sql"),
    include_str!("migrations/007_sign_in.sql"),
    include_str!("migrations/008_ended_books.sql"),
    include_str!("migrations/009_retention.sql"),
    include_str!("migrations/010_unlock.sql"),
    include_str!("migrations/011_digests.sql"),
];

/// Kilobytes of pages that a reader keeps: lists and feeds touch few pages more than once, and the system caches the rest for all of them.
/// As many readers as calls at work keep as much each.
const READER_CACHE_KB: i64 = 1_000;

/// Kilobytes of pages that the writer keeps. What a batch changes beyond that goes to the log before its commit, which costs less than the
/// memory of a small machine.
const WRITER_CACHE_KB: i64 = 2_000;

/// How long one writer waits for another process's (a backup command beside the server).
const BUSY_MS: u64 = 10_000;

pub(super) fn create(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open(path)?;
    prepare(&conn)?;
    let conn = migrate(conn)?;
    // Nothing was ever written here in the clear.
    conn.execute_batch("DELETE FROM unsealed; DELETE FROM scrub;")?;
    Ok(conn)
}

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    prepare(&conn)?;
    let fault: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if fault != "ok" {
        return Err(StoreError::Damaged(fault));
    }
    migrate(conn)
}

pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    prepare(&conn)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KB)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn prepare(conn: &Connection) -> Result<(), StoreError> {
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged page must survive a power cut: flush at every commit, not at checkpoints only.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // What is deleted is overwritten, so that it cannot be read out of free pages of a copied file.
    conn.pragma_update(None, "secure_delete", true)?;
    // For the writer; see READER_CACHE_KB for the others.
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KB)?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn migrate(mut conn: Connection) -> Result<Connection, StoreError> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let taken: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    if taken > MIGRATIONS.len() {
        return Err(StoreError::Damaged(format!(
            "it is of a newer version (schema {taken}, this program knows {}): run the newer program",
            MIGRATIONS.len()
        )));
    }
    for step in MIGRATIONS.iter().skip(taken) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(0))?;
    tx.commit()?;
    Ok(conn)
}

impl ReadTx<'_> {
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.conn.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?.collect::<rusqlite::Result<Vec<T>>>()?;
        Ok(rows)
    }

    /// Rows one after another, so that a long list never stands in memory.
    pub(super) fn each<E: From<StoreError>>(
        &self,
        sql: &str,
        params: impl Params,
        mut visit: impl FnMut(&Row<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut statement = self.conn.prepare_cached(sql).map_err(StoreError::from)?;
        let mut rows = statement.query(params).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            if !visit(row)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn count(&self, sql: &str, params: impl Params) -> Result<u64, StoreError> {
        Ok(self.one(sql, params, |row| row.get(0))?.map_or(0, uint))
    }

    pub(super) fn conn(&self) -> &rusqlite::Connection {
        self.conn
    }
}

impl WriteTx<'_> {
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.conn().prepare_cached(sql)?.execute(params)?)
    }
}

/// A number as SQLite keeps it; ours stay far below 2^63.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was kept.
pub(super) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn concat(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

pub(super) fn split(bytes: &[u8]) -> Vec<Hash> {
    bytes
        .chunks_exact(32)
        .filter_map(|chunk| Hash::from_slice(chunk).ok())
        .collect()
}

/// Reads a fixed-length id or hash of a row.
macro_rules! id {
    ($row:expr, $column:expr, $type:ty) => {
        <$type>::from_bytes($row.get($column)?)
    };
}

/// Reads an id or hash that may be missing.
macro_rules! maybe_id {
    ($row:expr, $column:expr, $type:ty) => {
        $row.get::<_, Option<_>>($column)?.map(<$type>::from_bytes)
    };
}

pub(super) use {id, maybe_id};
