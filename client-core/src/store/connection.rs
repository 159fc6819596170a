//! The file itself: opening, keys, migrations, transactions. Knows no table but SQLite's own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use beatbook_protocol::codec::CodecError;
use beatbook_protocol::document::DocumentError;
use beatbook_protocol::id::ParseIdError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use zeroize::Zeroizing;

/// A transaction; only rooms of `store` know what it is made of.
pub(crate) type Tx<'c> = rusqlite::Transaction<'c>;

/// What SQLite or the rows themselves had to say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Disk or quota full.
    #[error("the disk or the quota is full")]
    Full,
    /// Not a database, torn pages, or rows that cannot be ours.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// Written by a newer app.
    #[error("the file has schema {0}, newer than this app")]
    Newer(u32),
    /// A key was given, and the SQLite of this build would leave the file plain.
    #[error("a key was given to a build without SQLCipher")]
    NoCodec,
    /// The file system, beside the database.
    #[error("the file system: {0}")]
    Files(std::io::Error),
    /// A record's document that would not open.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Anything else of SQLite.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            Self::Full
        } else {
            Self::Files(error)
        }
    }
}

impl From<ParseIdError> for StoreError {
    fn from(error: ParseIdError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<CodecError> for StoreError {
    fn from(error: CodecError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The steps that make the tables, in order; `user_version` counts those that were taken.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001_records.sql"),
    include_str!("migrations/002_sync.sql"),
    include_str!("migrations/003_desk.sql"),
    include_str!("migrations/004_parcels.sql"),
    include_str!("migrations/005_scope.sql"),
    include_str!("migrations/006_blobs.sql"),
    include_str!("migrations/007_registry.sql"),
    include_str!("migrations/008_lock.sql"),
    include_str!("migrations/009_ended.sql"),
    include_str!("migrations/010_destroyed.sql"),
    include_str!("migrations/011_pins.sql"),
    include_str!("migrations/012_unknown.sql"),
];

/// Statements kept prepared for each connection; there are about a hundred.
const STATEMENTS: usize = 160;

/// An open file: one connection that writes, one that reads.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    // Closed first: the last to close puts the journal into the file, and a reader may not.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

impl Store {
    /// Opens the file, or makes it, and brings its tables up to date.
    pub(crate) fn open(path: &Path, key: Option<&[u8; 32]>, pages_max: Option<u32>) -> Result<Self, StoreError> {
        let mut writer = connect(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "foreign_keys", "ON")?;
        // What was destroyed is not to be found in free pages, even by who has the key.
        writer.pragma_update(None, "secure_delete", true)?;
        if let Some(pages) = pages_max {
            writer.pragma_update(None, "max_page_count", pages)?;
        }
        migrate(&mut writer)?;
        let reader = connect(path, key, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every page.
    pub(crate) fn read_through(&self) -> Result<(), StoreError> {
        let said: String = lock(&self.reader).query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said == "ok" {
            Ok(())
        } else {
            Err(StoreError::Damaged(said))
        }
    }

    /// Runs work in one transaction that is on the disk when this returns, or did not happen.
    pub(crate) fn write<T, E: From<StoreError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut writer = lock(&self.writer);
        let tx = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let done = work(&tx)?;
        tx.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// Drives deleted bytes out of the search index and the journal; whether nothing is left to do.
    pub(crate) fn scrub(&self) -> Result<bool, StoreError> {
        let writer = lock(&self.writer);
        // Words that were deleted stay in the index's segments until these are merged.
        writer.execute_batch("INSERT INTO search (search) VALUES ('optimize')")?;
        let busy: bool = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            return Ok(false);
        }
        writer.execute("UPDATE destroyed SET done = 3 WHERE done = 2", [])?;
        Ok(true)
    }

    /// Runs work that reads one state of the file.
    pub(crate) fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut reader = lock(&self.reader);
        let tx = reader.transaction().map_err(StoreError::from)?;
        let done = work(&tx)?;
        tx.finish().map_err(StoreError::from)?;
        Ok(done)
    }
}

/// A panic elsewhere left the connection between transactions, where it is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the SQLite that was linked can encrypt: a plain one takes `PRAGMA key` without a word, and writes everybody's records in the clear. It is
/// asked itself, since what features Cargo put together says nothing of a library that was linked in its place.
pub(crate) fn has_codec() -> Result<bool, StoreError> {
    let asked = Connection::open_in_memory()?.query_row("PRAGMA cipher_version", [], |row| row.get::<_, String>(0));
    match asked {
        Ok(version) => Ok(!version.is_empty()),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn connect(path: &Path, key: Option<&[u8; 32]>, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // It would write to standard error; what it finds comes back as an error all the same.
    connection.execute_batch("PRAGMA cipher_log_level = NONE")?;
    if let Some(key) = key {
        // Room for all of it at once: a string that grows leaves copies of the key behind.
        let mut statement = Zeroizing::new(String::with_capacity(2 * key.len() + 20));
        statement.push_str("PRAGMA key = \"x'");
        for byte in key {
            for digit in [byte >> 4, byte & 15] {
                statement.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        statement.push_str("'\"");
        connection.execute_batch(&statement)?;
    }
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // 2 MiB of pages and no more: phones have 2 GB for everybody.
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let taken: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if taken > known {
        return Err(StoreError::Newer(taken));
    }
    for (number, step) in (1_u32..).zip(MIGRATIONS).filter(|(number, _)| *number > taken) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}
