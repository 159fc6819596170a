//! Opening a file that may be damaged: what cannot be read is moved aside, never deleted, and never for want of the right key.
//!
//! Beside the file `book.db` may stand `book.db.key`, a hash of its key, by which a wrong key is told from a broken file (to SQLCipher
//! both are bytes that do not decrypt); and `book.db.suspect`, left when a page turned out to be broken while the file was open, by
//! which the next opening knows that it has to read the file through.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;

use super::connection::{Store, StoreError, Tx};

/// What a file's key mark is a hash of; the key itself is 256 random bits and cannot be guessed from it.
const KEY_MARK: &[u8] = b"beatbook/keymark/1\0";
const PLAIN_HEADER: &[u8] = b"SQLite format 3\0";

/// What opening came to.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// The file is open, and this was read first.
    Open(Store, T),
    /// A new file is open, and this was read first; the damaged one was moved here.
    Renewed(Store, T, PathBuf),
    /// The key is another's.
    WrongKey,
}

/// Opens the file and reads from it what nothing can be done without. If either shows that it is damaged, it is set aside under
/// `NAME.damaged-TIME` with all that belongs to it, and a new one is begun.
pub(crate) fn open_or_set_aside<T>(
    path: &Path,
    key: Option<&[u8; 32]>,
    pages_max: Option<u32>,
    now: UnixMillis,
    first: impl Fn(&Tx<'_>) -> Result<T, StoreError>,
) -> Result<Outcome<T>, StoreError> {
    if !key_fits(path, key)? {
        return Ok(Outcome::WrongKey);
    }
    let opened = Store::open(path, key, pages_max).and_then(|store| {
        if beside(path, ".suspect").exists() {
            store.read_through()?;
            fs::remove_file(beside(path, ".suspect"))?;
        }
        let read = store.read(&first)?;
        Ok((store, read))
    });
    match opened {
        Ok((store, read)) => {
            write_key_mark(path, key)?;
            Ok(Outcome::Open(store, read))
        }
        Err(StoreError::Damaged(why)) => {
            let kept_at = set_aside(path, now)?;
            tracing::error!(why, kept_at = %kept_at.display(), "the file is damaged; a new one is begun");
            let store = Store::open(path, key, pages_max)?;
            write_key_mark(path, key)?;
            let read = store.read(&first)?;
            Ok(Outcome::Renewed(store, read, kept_at))
        }
        Err(error) => Err(error),
    }
}

/// Remembers that a page of the open file is broken. Should even that fail, the error that led here is told all the same.
pub(crate) fn suspect(path: &Path) {
    if let Err(error) = fs::write(beside(path, ".suspect"), []) {
        tracing::error!(%error, "the damaged file could not be marked");
    }
}

/// Whether the key can be this file's. A file that says nothing about its key is taken at its word, but for what its header shows.
fn key_fits(path: &Path, key: Option<&[u8; 32]>) -> Result<bool, StoreError> {
    let mut header = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(16).read_to_end(&mut header)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let is_plain = header == PLAIN_HEADER;
    let mark = match fs::read(beside(path, ".key")) {
        Ok(mark) => Some(mark),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    Ok(match (key, mark) {
        (_, _) if header.is_empty() => true,
        (Some(_), None) => !is_plain,
        (Some(key), Some(mark)) => mark == mark_of(key),
        (None, Some(_)) => false,
        (None, None) => true,
    })
}

fn write_key_mark(path: &Path, key: Option<&[u8; 32]>) -> Result<(), StoreError> {
    let place = beside(path, ".key");
    if let Some(key) = key
        && !place.exists()
    {
        fs::write(place, mark_of(key))?;
    }
    Ok(())
}

fn mark_of(key: &[u8; 32]) -> Vec<u8> {
    Hash::of(&[KEY_MARK, key]).as_bytes().to_vec()
}

fn set_aside(path: &Path, now: UnixMillis) -> Result<PathBuf, StoreError> {
    let mut number = now.0;
    let kept_at = loop {
        let place = beside(path, &format!(".damaged-{number}"));
        if !place.exists() {
            break place;
        }
        number += 1;
    };
    // The file itself goes first: were the phone to die between, a journal without its file is nothing that SQLite would apply.
    fs::rename(path, &kept_at)?;
    for part in ["-wal", "-shm"] {
        match fs::rename(beside(path, part), beside(&kept_at, part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    match fs::remove_file(beside(path, ".suspect")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(kept_at),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
