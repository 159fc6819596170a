//! The database as a file: a copy while work goes on, and a look at a file that is not opened for work.

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
