//! Blobs as files: where they lie, what they really are, and copies of them. Serves the running station, backup, restore and `doctor`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use beatbook_protocol::blob::BlobHasher;
use beatbook_protocol::id::Hash;

use super::PARTS;
use crate::error::StationError;
use crate::keys::{io, sync_dir};

/// Bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What was looked at or copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Blobs that are what their name says.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Blobs that are not.
    pub(crate) damaged: Vec<Hash>,
}

/// Where a blob lies: 256 folders by the first byte, so that none grows long.
pub(crate) fn place(folder: &Path, hash: &Hash) -> PathBuf {
    let name = hash.to_string();
    folder.join(name.get(..2).unwrap_or_default()).join(name)
}

/// Length and SHA-256 of a file, read through.
pub(crate) fn digest(path: &Path) -> Result<(u64, Hash), StationError> {
    let mut file = File::open(path).map_err(io(path))?;
    let (mut hasher, mut buffer, mut bytes) = (BlobHasher::default(), vec![0; PIECE_BYTES], 0_u64);
    loop {
        let read = file.read(&mut buffer).map_err(io(path))?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok((bytes, hasher.finish()));
        };
        hasher.update(piece);
        bytes += piece.len() as u64;
    }
}

/// Moves a whole, flushed file to its place among the blobs, wholly or not at all.
pub(crate) fn take_over(folder: &Path, file: &Path, hash: &Hash) -> Result<(), StationError> {
    let place = place(folder, hash);
    let shelf = place.parent().unwrap_or(folder);
    if !shelf.is_dir() {
        fs::create_dir_all(shelf).map_err(io(shelf))?;
        sync_dir(folder)?;
    }
    fs::rename(file, &place).map_err(io(&place))?;
    sync_dir(shelf)
}

/// Visits every blob in a folder, in the order of names: the name it bears, and its file.
pub(crate) fn each(folder: &Path, mut visit: impl FnMut(Hash, &Path) -> Result<(), StationError>) -> Result<(), StationError> {
    for shelf in listed(folder)? {
        if !shelf.is_dir() || shelf.ends_with(PARTS) {
            continue;
        }
        for file in listed(&shelf)? {
            let name = file.file_name().and_then(|name| name.to_str()?.parse::<Hash>().ok());
            if let Some(hash) = name {
                visit(hash, &file)?;
            }
        }
    }
    Ok(())
}

/// Reads every blob of a folder through.
pub(crate) fn inspect(folder: &Path) -> Result<Tally, StationError> {
    let mut found = Tally::default();
    each(folder, |hash, file| {
        let (bytes, is) = digest(file)?;
        if is == hash {
            found.blobs += 1;
            found.bytes += bytes;
        } else {
            found.damaged.push(hash);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Copies the blobs that the other folder lacks; what is there already is left, since a name is its content.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Tally, StationError> {
    let mut copied = Tally::default();
    fs::create_dir_all(to).map_err(io(to))?;
    each(from, |hash, file| {
        let length = fs::metadata(file).map_err(io(file))?.len();
        if fs::metadata(place(to, &hash)).is_ok_and(|there| there.len() == length) {
            return Ok(());
        }
        let draft = to.join(format!("{hash}.part"));
        let found = copy_whole(file, &draft)?;
        if found.1 != hash {
            tracing::error!(blob = %hash, "it is not what its name says, and was not copied");
            copied.damaged.push(hash);
            return fs::remove_file(&draft).map_err(io(&draft));
        }
        take_over(to, &draft, &hash)?;
        copied.blobs += 1;
        copied.bytes += found.0;
        Ok(())
    })?;
    Ok(copied)
}

fn copy_whole(from: &Path, to: &Path) -> Result<(u64, Hash), StationError> {
    let mut source = File::open(from).map_err(io(from))?;
    let mut copy = File::create(to).map_err(io(to))?;
    let (mut hasher, mut buffer, mut bytes) = (BlobHasher::default(), vec![0; PIECE_BYTES], 0_u64);
    loop {
        let read = source.read(&mut buffer).map_err(io(from))?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        hasher.update(piece);
        copy.write_all(piece).map_err(io(to))?;
        bytes += piece.len() as u64;
    }
    copy.sync_all().map_err(io(to))?;
    Ok((bytes, hasher.finish()))
}

/// What is in a folder, by name; nothing when it is not there.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, StationError> {
    let inside = match fs::read_dir(folder) {
        Ok(inside) => inside,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(io(folder)(fault)),
    };
    let mut paths = inside
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io(folder))?;
    paths.sort();
    Ok(paths)
}
