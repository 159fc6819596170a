//! Blobs as files of a folder beside the database: written whole under a passing name and renamed once the database knows their key;
//! named by a hash of that key, so that the folder tells nothing of what is in it. Knows the cipher, no rows.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use beatbook_protocol::blob::{BlobHasher, check_length};
use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::BLOB_BYTES_MAX;

use super::BlobFault;
use super::cipher::{self, CHUNK_BYTES, Place, SEAL_BYTES};
use crate::platform::Platform;

/// What a file's name is a hash of.
const NAME: &[u8] = b"beatbook/blobfile/1\0";
/// Ending of a captured blob that the database may not know yet.
pub(super) const FRESH: &str = ".part";
/// Ending of a blob that is being fetched.
pub(super) const FETCHED: &str = ".down";

/// The folder of one user's blobs.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// Content that was written down.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) hash: Hash,
    pub(super) bytes: u64,
    pub(super) secret: [u8; 32],
}

impl Folder {
    /// The folder beside a database file.
    pub(crate) fn beside(database: &Path) -> Self {
        let mut name: OsString = database.as_os_str().to_owned();
        name.push(".blobs");
        Self(PathBuf::from(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The name of the file under a key.
    pub(super) fn name(secret: &[u8; 32]) -> String {
        Hash::of(&[NAME, secret]).to_string()
    }

    pub(super) fn file(&self, secret: &[u8; 32], ending: &str) -> PathBuf {
        self.0.join(Self::name(secret) + ending)
    }

    /// Encrypts content as it comes into a fresh file, flushed, under a key of its own.
    pub(super) fn write(&self, platform: &Platform, mut content: impl Read) -> Result<Written, BlobFault> {
        fs::create_dir_all(&self.0)?;
        let secret = platform.bytes();
        let path = self.file(&secret, FRESH);
        let written = self.write_at(platform, &path, &secret, &mut content);
        if written.is_err() {
            // Nobody was promised anything yet.
            drop(fs::remove_file(&path));
        }
        let (hash, bytes) = written?;
        Ok(Written { hash, bytes, secret })
    }

    fn write_at(
        &self,
        platform: &Platform,
        path: &Path,
        secret: &[u8; 32],
        content: &mut impl Read,
    ) -> Result<(Hash, u64), BlobFault> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let (mut hasher, mut bytes, mut index) = (BlobHasher::default(), 0_u64, 0_u64);
        let mut chunk = read_chunk(content)?;
        loop {
            // Only what follows tells whether this one is the last.
            let next = read_chunk(content)?;
            hasher.update(&chunk);
            bytes += chunk.len() as u64;
            if bytes > BLOB_BYTES_MAX {
                return Err(BlobFault::Length(bytes));
            }
            let place = Place {
                index,
                last: next.is_empty(),
            };
            file.write_all(&cipher::seal(secret, platform.bytes(), place, &chunk)?)?;
            if next.is_empty() {
                break;
            }
            chunk = next;
            index += 1;
        }
        check_length(bytes).map_err(|_| BlobFault::Length(bytes))?;
        file.sync_all()?;
        sync(&self.0)?;
        Ok((hasher.finish(), bytes))
    }

    /// Gives a file its lasting name. Again is no harm.
    pub(super) fn keep(&self, secret: &[u8; 32], ending: &str) -> Result<(), BlobFault> {
        match fs::rename(self.file(secret, ending), self.file(secret, "")) {
            Err(fault) if fault.kind() == ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        Ok(sync(&self.0)?)
    }

    /// Takes a file's lasting name away from it. Again is no harm.
    pub(super) fn set_down(&self, secret: &[u8; 32]) -> Result<(), BlobFault> {
        match fs::rename(self.file(secret, ""), self.file(secret, FRESH)) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => Err(fault.into()),
            _ => Ok(()),
        }
    }

    /// Removes a file that may be gone already.
    pub(super) fn remove(&self, secret: &[u8; 32], ending: &str) -> Result<(), BlobFault> {
        match fs::remove_file(self.file(secret, ending)) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => Err(fault.into()),
            _ => Ok(()),
        }
    }

    /// Opens a whole blob; none when its file is not there.
    pub(super) fn open(&self, secret: &[u8; 32], bytes: u64) -> Result<Option<Content>, BlobFault> {
        for ending in ["", FRESH] {
            match File::open(self.file(secret, ending)) {
                Ok(file) => return Ok(Some(Content::new(file, *secret, bytes))),
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(None)
    }

    /// Opens what was fetched so far.
    pub(super) fn open_fetched(&self, secret: &[u8; 32], bytes: u64) -> Result<Content, BlobFault> {
        let file = File::open(self.file(secret, FETCHED))?;
        Ok(Content::new(file, *secret, bytes))
    }

    /// Writes what was fetched from `held` on: whole chunks alone, flushed. Returns how much is held then.
    pub(super) fn append(
        &self,
        platform: &Platform,
        secret: &[u8; 32],
        (held, bytes): (u64, u64),
        content: &[u8],
    ) -> Result<u64, BlobFault> {
        fs::create_dir_all(&self.0)?;
        let path = self.file(secret, FETCHED);
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let first = held / CHUNK_BYTES as u64;
        // What a kill left behind the last chunk that counts is written anew.
        file.seek(SeekFrom::Start(Place::of(first, bytes).at()))?;
        let mut held = held;
        for (index, chunk) in (first..).zip(content.chunks(CHUNK_BYTES)) {
            let place = Place::of(index, bytes);
            if chunk.len() < CHUNK_BYTES && held + chunk.len() as u64 != bytes {
                break;
            }
            file.write_all(&cipher::seal(secret, platform.bytes(), place, chunk)?)?;
            held += chunk.len() as u64;
        }
        let end = file.stream_position()?;
        file.set_len(end)?;
        file.sync_data()?;
        Ok(held)
    }

    /// Files by name and ending; nothing when the folder is not there.
    pub(super) fn names(&self) -> Result<Vec<String>, BlobFault> {
        let inside = match fs::read_dir(&self.0) {
            Ok(inside) => inside,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(fault.into()),
        };
        let mut names = Vec::new();
        for entry in inside {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// A blob's content, decrypted chunk by chunk as it is read.
#[derive(Debug)]
pub struct Content {
    file: File,
    secret: [u8; 32],
    bytes: u64,
    at: u64,
    chunk: Option<(u64, Vec<u8>)>,
}

impl Content {
    fn new(file: File, secret: [u8; 32], bytes: u64) -> Self {
        Self {
            file,
            secret,
            bytes,
            at: 0,
            chunk: None,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads from a place, as much as there is and at most so much.
    pub(super) fn piece(&mut self, from: u64, bytes_max: usize) -> Result<Vec<u8>, BlobFault> {
        self.at = from.min(self.bytes);
        let mut piece = Vec::new();
        self.take(bytes_max as u64)
            .read_to_end(&mut piece)
            .map_err(BlobFault::from_reading)?;
        Ok(piece)
    }

    /// The name of what is really there.
    pub(super) fn hash(&mut self) -> Result<Hash, BlobFault> {
        let (mut hasher, mut buffer) = (BlobHasher::default(), vec![0; CHUNK_BYTES]);
        self.at = 0;
        loop {
            let read = self.read(&mut buffer).map_err(BlobFault::from_reading)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                return Ok(hasher.finish());
            };
            hasher.update(piece);
        }
    }

    fn load(&mut self, index: u64) -> std::io::Result<()> {
        if self.chunk.as_ref().is_some_and(|(loaded, _)| *loaded == index) {
            return Ok(());
        }
        let place = Place::of(index, self.bytes);
        let content = (self.bytes - index * CHUNK_BYTES as u64).min(CHUNK_BYTES as u64);
        let mut sealed = vec![0; usize::try_from(content).unwrap_or(CHUNK_BYTES) + SEAL_BYTES];
        let damaged = |fault| std::io::Error::new(ErrorKind::InvalidData, fault);
        self.file.seek(SeekFrom::Start(place.at()))?;
        self.file.read_exact(&mut sealed).map_err(|fault| match fault.kind() {
            ErrorKind::UnexpectedEof => damaged(cipher::ChunkDamaged { index }),
            _ => fault,
        })?;
        self.chunk = Some((index, cipher::open(&self.secret, place, &sealed).map_err(damaged)?));
        Ok(())
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let index = self.at / CHUNK_BYTES as u64;
        self.load(index)?;
        let within = usize::try_from(self.at - index * CHUNK_BYTES as u64).unwrap_or(usize::MAX);
        let there = self
            .chunk
            .as_ref()
            .and_then(|(_, chunk)| chunk.get(within..))
            .unwrap_or_default();
        let count = there.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(there) {
            *to = *from;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Content {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let from = |base: u64, by: i64| base.checked_add_signed(by);
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => from(self.bytes, by),
            SeekFrom::Current(by) => from(self.at, by),
        };
        self.at = place.ok_or_else(|| std::io::Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

fn read_chunk(content: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut chunk = Vec::new();
    content.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

fn sync(folder: &Path) -> std::io::Result<()> {
    // Where directories cannot be flushed (some systems of phones), the rename is as lasting as the file system makes it.
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(fault)
            if matches!(
                fault.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}
