//! The database as a file: a copy while work goes on, and looks at a file that is not opened for work.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{ReadTx, StoreError};

/// Copies the database to a new file, as it is at one moment; writers go on meanwhile.
pub(crate) fn copy_into(from: &Path, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(from, flags)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    // One read transaction over the whole copy; the backup API would begin anew at each foreign write.
    conn.execute("VACUUM INTO ?1", [to.to_string_lossy().as_ref()])?;
    Ok(())
}

/// Looks into a copy that nobody writes in, without changing a byte of it or beside it.
pub(crate) fn look<T, E: From<StoreError>>(path: &Path, look: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
    let plain = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(format!("file:{plain}?immutable=1"), flags).map_err(StoreError::from)?;
    look(&ReadTx { conn: &conn, seal: None })
}

/// Asks SQLite whether a file is whole: `ok`, or its first fault.
pub(crate) fn inspect(path: &Path) -> Result<String, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    Ok(conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?)
}

/// Whether a database, of this or an earlier version, holds values that are sealed under the key of columns.
pub(crate) fn holds_sealed(path: &Path) -> Result<bool, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    ReadTx { conn: &conn, seal: None }.has_sealed()
}

/// Where sealed values stand: table, column, and what a row is sealed by.
const SEALED: [(&str, &str, &str); 6] = [
    ("content", "sealed", "sealed = 1"),
    ("quarantine", "sealed", "sealed = 1"),
    ("held_page", "sealed", "1"),
    ("unlock_share", "share", "1"),
    ("account", "password", "password IS NOT NULL"),
    ("account", "totp", "totp IS NOT NULL OR totp_next IS NOT NULL"),
];

impl ReadTx<'_> {
    /// Whether any value is sealed; tables that an earlier version had not yet are passed over.
    pub(crate) fn has_sealed(&self) -> Result<bool, StoreError> {
        for (table, column, sealed) in SEALED {
            let known = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
            if self.conn.query_row(known, [table, column], |row| row.get::<_, i64>(0))? == 0 {
                continue;
            }
            let any = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {sealed})");
            if self.conn.query_row(&any, [], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
