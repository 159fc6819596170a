//! The database as a file: a copy while work goes on, and a look at a file that is not opened for work.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// Copies the database to a new file, as it is at one moment; writers go on meanwhile.
pub(crate) fn copy_into(from: &Path, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(from, flags)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    // One read transaction over the whole copy; the backup API would begin anew at each foreign write.
    conn.execute("VACUUM INTO ?1", [to.to_string_lossy().as_ref()])?;
    Ok(())
}

/// Asks SQLite whether a file is whole: `ok`, or its first fault.
pub(crate) fn inspect(path: &Path) -> Result<String, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    Ok(conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?)
}
