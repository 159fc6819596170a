//! Destroying keys and records, in an order in which a kill at any moment leaves nothing that is half gone and unknown: first the note, then
//! keys, then files. What is not a file of this database stays.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::farewell::{Farewell, FarewellFault};
use super::note::{ENDING, Note, sync_folder};
use super::parting::LastWord;
use crate::core::Core;
use crate::store::{beside, ended};

/// Bytes at a database's beginning without which not even its key opens it: SQLCipher's salt, and the schema.
const HEAD_BYTES: usize = 4096;
/// Ending of a database that is on its way out.
const GONE: &str = ".gone";

/// Destroys what opens a user's file and signs for him. Every call may come again, also when there is nothing left to destroy.
pub trait Shredder {
    /// Destroys the private key under a handle of the keystore.
    ///
    /// # Errors
    /// What the keystore says; it is tried again at the next start.
    fn destroy_book_key(&self, handle: &str) -> Result<(), String>;

    /// Destroys whatever wraps the database's key: the wraps, and the keystore's part of them.
    ///
    /// # Errors
    /// Likewise.
    fn destroy_database_key(&self) -> Result<(), String>;
}

/// Where all keys are in the file itself: they go with it.
#[derive(Debug, Clone, Copy)]
pub struct KeysInFile;

impl Shredder for KeysInFile {
    fn destroy_book_key(&self, _handle: &str) -> Result<(), String> {
        Ok(())
    }

    fn destroy_database_key(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Destroys keys and records of a core whose parting is done.
///
/// # Errors
/// When something cannot be destroyed now: [`Farewell::find`] and [`Farewell::go_on`] finish it at the next start.
pub fn shred(core: Core, word: LastWord, shredder: &dyn Shredder) -> Result<Farewell, FarewellFault> {
    shred_watched(core, word, shredder, &mut |_| true)
}

/// The same; stops where `goes_on` says no, as a kill would.
pub(crate) fn shred_watched(
    core: Core,
    word: LastWord,
    shredder: &dyn Shredder,
    goes_on: &mut dyn FnMut(&'static str) -> bool,
) -> Result<Farewell, FarewellFault> {
    let database = core.file().to_owned();
    let note = Note::begin(word.note, word.packed.as_deref(), word.key_handles);
    note.write(&database)?;
    if !goes_on("note written") {
        return Err(FarewellFault::Stopped);
    }
    core.write_past_end(|records| ended::forget_secrets(records.tx()))
        .map_err(|fault| FarewellFault::Keys(fault.to_string()))?;
    drop(core);
    if !goes_on("secrets forgotten") {
        return Err(FarewellFault::Stopped);
    }
    finish(&database, note, shredder, goes_on)
}

/// Destroys what is left of a file whose note says that it is being destroyed.
pub(super) fn finish(
    database: &Path,
    mut note: Note,
    shredder: &dyn Shredder,
    goes_on: &mut dyn FnMut(&'static str) -> bool,
) -> Result<Farewell, FarewellFault> {
    for handle in &note.key_handles {
        shredder.destroy_book_key(handle).map_err(FarewellFault::Keys)?;
    }
    shredder.destroy_database_key().map_err(FarewellFault::Keys)?;
    if !goes_on("keys destroyed") {
        return Err(FarewellFault::Stopped);
    }
    let gone = beside(database, GONE);
    match fs::rename(database, &gone) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault.into()),
        _ => {}
    }
    if !goes_on("file renamed") {
        return Err(FarewellFault::Stopped);
    }
    if gone.exists() {
        let mut file = OpenOptions::new().write(true).open(&gone)?;
        file.write_all(&[0; HEAD_BYTES])?;
        file.sync_all()?;
    }
    if !goes_on("file overwritten") {
        return Err(FarewellFault::Stopped);
    }
    for path in parts(database)? {
        remove(&path)?;
    }
    sync_folder(database)?;
    if !goes_on("files removed") {
        return Err(FarewellFault::Stopped);
    }
    note.shredded();
    note.write(database)?;
    Farewell::find(database)?.ok_or(FarewellFault::Stopped)
}

/// Everything that belongs to a database: itself, its journal, marks, blobs, and what was set aside of it as damaged; not the note.
fn parts(database: &Path) -> std::io::Result<Vec<PathBuf>> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = database.file_name().map(OsString::from).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = found.strip_prefix(&name) else { continue };
        let is_part = rest.is_empty() || rest.starts_with('-') || rest.starts_with('.');
        if is_part && !rest.starts_with(ENDING) {
            parts.push(entry.path());
        }
    }
    parts.sort();
    Ok(parts)
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(fault) => Err(fault),
    };
    match removed {
        Err(fault) if fault.kind() != ErrorKind::NotFound => Err(fault),
        _ => Ok(()),
    }
}
