//! Opening a file that may be damaged: what cannot be read is moved aside, never deleted, and never for want of the right key.
//!
//! Beside the file `book.db` may stand `book.db.key`, a hash of its key, by which a wrong key is told from a broken file (to SQLCipher
//! both are bytes that do not decrypt); and `book.db.suspect`, left when a page turned out to be broken while the file was open, by
//! which the next opening knows that it has to read the file through.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;

use super::connection::{Store, StoreError, Tx, has_codec};

/// What a file's key mark is a hash of; the key itself is 256 random bits and cannot be guessed from it.
const KEY_MARK: &[u8] = b"beatbook/keymark/1\0";
/// How long a whole mark is.
const MARK_BYTES: usize = 32;
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
    // Before anything is written, a mark or an empty file.
    if key.is_some() && !has_codec()? {
        return Err(StoreError::NoCodec);
    }
    let is_marked = match key_seen(path, key)? {
        KeySeen::Wrong => return Ok(Outcome::WrongKey),
        KeySeen::NewFile => {
            // Before there is anything to open, so that no crash leaves an encrypted file without its mark.
            write_key_mark(path, key)?;
            true
        }
        KeySeen::Fits => true,
        KeySeen::Unmarked => false,
    };
    let store = match Store::open(path, key, pages_max) {
        // Without a mark, a file that this key does not decrypt may be sound under another.
        Err(StoreError::Damaged(_)) if !is_marked => return Ok(Outcome::WrongKey),
        opened => opened,
    };
    if !is_marked && store.is_ok() {
        // It can be mended at any other opening too: a full disk must not lock the owner out.
        if let Err(error) = write_key_mark(path, key) {
            tracing::warn!(%error, "the mark of the file's key could not be mended");
        }
    }
    let opened = store.and_then(|store| {
        if beside(path, ".suspect").exists() {
            store.read_through()?;
            fs::remove_file(beside(path, ".suspect"))?;
        }
        let read = store.read(&first)?;
        Ok((store, read))
    });
    match opened {
        Ok((store, read)) => Ok(Outcome::Open(store, read)),
        Err(StoreError::Damaged(why)) => {
            let kept_at = set_aside(path, now)?;
            tracing::error!(why, kept_at = %kept_at.display(), "the file is damaged; a new one is begun");
            write_key_mark(path, key)?;
            let store = Store::open(path, key, pages_max)?;
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

/// What the file and its mark say about a key before the file is opened.
enum KeySeen {
    /// There is no file yet: any key will do.
    NewFile,
    /// It is this file's key, as far as can be seen.
    Fits,
    /// An encrypted file with no whole mark beside it: only opening it tells.
    Unmarked,
    /// It is another's.
    Wrong,
}

/// A file that is opened without a key and says nothing about one is taken to be plain.
fn key_seen(path: &Path, key: Option<&[u8; 32]>) -> Result<KeySeen, StoreError> {
    let mut header = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(16).read_to_end(&mut header)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(KeySeen::NewFile),
        Err(error) => return Err(error.into()),
    };
    if header.is_empty() {
        return Ok(KeySeen::NewFile);
    }
    let mark = match fs::read(beside(path, ".key")) {
        Ok(mark) => Some(mark),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    Ok(match (key, mark) {
        (Some(key), Some(mark)) if mark.len() == MARK_BYTES => {
            if mark == mark_of(key) {
                KeySeen::Fits
            } else {
                KeySeen::Wrong
            }
        }
        (Some(_), Some(_) | None) if header == PLAIN_HEADER => KeySeen::Wrong,
        // A mark that was torn as it was written says no more than none.
        (Some(_), Some(_) | None) => KeySeen::Unmarked,
        (None, Some(_)) => KeySeen::Wrong,
        (None, None) => KeySeen::Fits,
    })
}

/// Puts the key's mark beside the file, whole or not at all; a mark of a file that is gone goes with it.
fn write_key_mark(path: &Path, key: Option<&[u8; 32]>) -> Result<(), StoreError> {
    let place = beside(path, ".key");
    let Some(key) = key else {
        return match fs::remove_file(place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    };
    let fresh = beside(path, ".key.new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(&mark_of(key))?;
    file.sync_all()?;
    drop(file);
    fs::rename(fresh, place)?;
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
    for part in ["-wal", "-shm", ".blobs"] {
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

/// A path with an ending put behind its file's name.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
