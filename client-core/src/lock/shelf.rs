//! Small files that must never be half there: each in two copies, each copy written beside, flushed, put in place, and the folder flushed.
//! Whatever is torn, the other copy says what was. Knows nothing of what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"BBSHELF1";
const HASH_BYTES: usize = 32;
/// Bytes that are given up on a full disk, so that the lock can still count.
const RESERVE: &str = "reserve";
/// Some blocks for each of the few files that an unlocking writes.
const RESERVE_BYTES: usize = 64 * 1024;
/// The two copies.
const COPIES: [&str; 2] = ["a", "b"];

/// Where a test ends the process: it counts the steps that change the disk, and none happens after its last. Outside tests it is nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate {
    #[cfg(test)]
    left: Option<Arc<AtomicI64>>,
    /// The disk is full until somebody makes room.
    #[cfg(test)]
    full: Option<Arc<AtomicBool>>,
}

impl Fate {
    /// Ends after so many steps.
    #[cfg(test)]
    pub(crate) fn after(steps: i64) -> Self {
        Self {
            left: Some(Arc::new(AtomicI64::new(steps))),
            full: None,
        }
    }

    /// A disk on which nothing can be written any more, until what was kept in reserve is given up.
    #[cfg(test)]
    pub(crate) fn full() -> Self {
        Self {
            left: None,
            full: Some(Arc::new(AtomicBool::new(true))),
        }
    }

    /// Steps that were not taken; negative when it ended before all was done.
    #[cfg(test)]
    pub(crate) fn left(&self) -> i64 {
        self.left.as_ref().map_or(0, |left| left.load(Ordering::SeqCst))
    }

    pub(super) fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(left) = &self.left
            && left.fetch_sub(1, Ordering::SeqCst) <= 0
        {
            return Err(io::Error::other("the process was killed"));
        }
        Ok(())
    }

    fn room(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.full.as_ref().is_some_and(|full| full.load(Ordering::SeqCst)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn makes_room(&self) {
        #[cfg(test)]
        if let Some(full) = &self.full {
            full.store(false, Ordering::SeqCst);
        }
    }
}

/// A folder of such files.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    dir: PathBuf,
    fate: Fate,
}

impl Shelf {
    /// Opens the folder, or makes it for its owner alone.
    pub(crate) fn open(dir: PathBuf, fate: Fate) -> io::Result<Self> {
        if !dir.is_dir() {
            make_dir(&dir)?;
        }
        Ok(Self { dir, fate })
    }

    /// The newest whole copy; none when the file is not there.
    ///
    /// Fails with `InvalidData` when there are copies and none is whole.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let copies = [self.copy(name, COPIES[0])?, self.copy(name, COPIES[1])?];
        let is_there = copies.iter().any(|copy| !matches!(copy, Copy::Missing));
        match copies.into_iter().filter_map(Copy::whole).max_by_key(|(number, _)| *number) {
            Some((_, mut bytes)) => Ok(Some(std::mem::take(&mut *bytes))),
            None if is_there => Err(io::Error::new(io::ErrorKind::InvalidData, name.to_owned())),
            None => Ok(None),
        }
    }

    /// Puts a file: when this returns, both copies say so after any power cut; before, they say what was, or this. On a full disk what was
    /// kept in reserve is given up, so that a full disk locks nobody out.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match self.put_once(name, bytes) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && self.give_up_reserve() => self.put_once(name, bytes),
            done => {
                if done.is_ok() {
                    self.keep_reserve();
                }
                done
            }
        }
    }

    /// Makes room by what was kept for that; whether there was any.
    fn give_up_reserve(&self) -> bool {
        let is_given = fs::remove_file(self.dir.join(RESERVE)).is_ok();
        if is_given {
            tracing::warn!("the disk is full: the lock uses its reserve");
            self.fate.makes_room();
        }
        is_given
    }

    /// Keeps some room. Without it everything works as long as the disk has any.
    fn keep_reserve(&self) {
        let path = self.dir.join(RESERVE);
        if !path.exists()
            && let Err(error) = private(&path).and_then(|mut file| file.write_all(&[0x5a; RESERVE_BYTES]))
        {
            tracing::debug!(%error, "no room for the lock's reserve");
        }
    }

    fn put_once(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let numbers = [self.copy(name, COPIES[0])?.number(), self.copy(name, COPIES[1])?.number()];
        let next = numbers.iter().flatten().max().map_or(1, |newest| newest + 1);
        let mut whole = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 8 + bytes.len() + HASH_BYTES));
        whole.extend_from_slice(MAGIC);
        whole.extend_from_slice(&u64::to_be_bytes(next));
        whole.extend_from_slice(bytes);
        let hash = Sha256::digest(&whole);
        whole.extend_from_slice(&hash);
        // The copy that is older, or torn, gives way first.
        let first = usize::from(numbers[0] > numbers[1]);
        for copy in [COPIES[first], COPIES[1 - first]] {
            write_whole(&self.path(name, copy), &whole, &self.fate)?;
        }
        Ok(())
    }

    /// Takes a file away.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        for copy in COPIES {
            self.fate.step()?;
            match fs::remove_file(self.path(name, copy)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.fate.step()?;
        sync_dir(&self.dir)
    }

    /// Gives the reserve up for good: nothing will be written here any more.
    pub(crate) fn remove_reserve(&self) -> io::Result<()> {
        self.fate.step()?;
        match fs::remove_file(self.dir.join(RESERVE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The test's end of the process, for what writes beside.
    pub(crate) fn fate(&self) -> &Fate {
        &self.fate
    }

    fn path(&self, name: &str, copy: &str) -> PathBuf {
        self.dir.join(format!("{name}.{copy}"))
    }

    fn copy(&self, name: &str, copy: &str) -> io::Result<Copy> {
        match fs::read(self.path(name, copy)) {
            Ok(bytes) => Ok(Copy::of(&Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Copy::Missing),
            Err(error) => Err(error),
        }
    }
}

/// One copy of a file.
enum Copy {
    Missing,
    Torn,
    /// Its number, and what it says: of a software vault that is keys.
    Whole(u64, Zeroizing<Vec<u8>>),
}

impl Copy {
    fn of(bytes: &[u8]) -> Self {
        let Some((said, hash)) = bytes.split_last_chunk::<HASH_BYTES>() else {
            return Self::Torn;
        };
        let number = said.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<8>());
        match number {
            Some((number, rest)) if Sha256::digest(said).as_slice() == hash => {
                Self::Whole(u64::from_be_bytes(*number), Zeroizing::new(rest.to_vec()))
            }
            _ => Self::Torn,
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Whole(number, _) => Some(*number),
            Self::Missing | Self::Torn => None,
        }
    }

    fn whole(self) -> Option<(u64, Zeroizing<Vec<u8>>)> {
        match self {
            Self::Whole(number, bytes) => Some((number, bytes)),
            Self::Missing | Self::Torn => None,
        }
    }
}

/// Writes a file beside its place, flushes it, puts it in place, and flushes the folder: it is there whole, or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], fate: &Fate) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fate.step()?;
    fate.room()?;
    let mut file = private(Path::new(&fresh))?;
    let (front, back) = bytes.split_at(bytes.len() / 2);
    file.write_all(front)?;
    fate.step()?;
    file.write_all(back)?;
    fate.step()?;
    file.sync_all()?;
    drop(file);
    fate.step()?;
    fs::rename(&fresh, path)?;
    fate.step()?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// A new file, or an empty one, that only its owner reads.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Flushes a folder's own entries, where the system knows that. The folder of a bare file name is the present one.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = (dir, File::open);
    Ok(())
}

/// Makes a folder that only its owner may enter, and those above it.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    dir.parent().map_or(Ok(()), sync_dir)
}
