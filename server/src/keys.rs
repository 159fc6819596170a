//! The keys directory: what signs checkpoints, receipts and the station's own book, what opens parcels, and the log of what was signed. It lies apart from
//! the data, so that a copy of one is not a copy of the other, and so that an old database is known for one.

mod audited;
mod gone;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use beatbook_protocol::id::Hash;
use beatbook_protocol::ledger::{Position, StationKey};
use beatbook_protocol::page::{BookKey, Signer};
use beatbook_protocol::parcel::SealingKey;

use audited::{AUDITED, Audited};

use crate::destruction::{self, Logbook};
use crate::environment::Environment;
use crate::error::StationError;
use crate::seal::ColumnSeal;

pub(crate) use gone::{GoneLog, Revoked};

const CHECKPOINT: &str = "checkpoint.key";
const RECEIPT: &str = "receipt.key";
const BOOK: &str = "book.key";
const SEALING: &str = "sealing.key";
const COLUMN: &str = "column.key";
const LOG: &str = "log";
const GONE: &str = "gone";

/// The keys, open.
pub(crate) struct Keys {
    /// Signs checkpoints.
    pub(crate) checkpoint: StationKey,
    /// Signs receipts.
    pub(crate) receipt: StationKey,
    /// Signs pages of the station's own book.
    pub(crate) book: BookKey,
    /// Opens parcels.
    pub(crate) sealing: SealingKey,
    /// Seals sensitive columns of the database.
    pub(crate) column: Arc<ColumnSeal>,
    /// What must not come back.
    pub(crate) gone: GoneLog,
    /// What was destroyed, for a restore.
    pub(crate) destroyed: Logbook,
    log: Mutex<SignedLog>,
    audited: Mutex<Audited>,
}

/// The log of what was signed: a line `EPOCH SIZE ROOT` for each position, flushed before the signature leaves the house.
struct SignedLog {
    file: File,
    last: Option<Position>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Draws new keys into a new directory that only its owner may enter.
    pub(crate) fn create(dir: &Path, env: &Environment) -> Result<Self, StationError> {
        refuse_filled(dir)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io(dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io(dir))?;
        for name in [CHECKPOINT, RECEIPT, BOOK, SEALING, COLUMN] {
            write_secret(dir, name, env)?;
        }
        write_new(&dir.join(LOG), b"")?;
        write_new(&dir.join(GONE), b"")?;
        sync_dir(dir)?;
        Self::open(dir)
    }

    /// Draws the keys that a directory made by an earlier version lacks. A key that is there is never touched.
    ///
    /// # Errors
    /// When the key of columns is lost: `is_sealed` says that the database holds values that no other opens.
    pub(crate) fn complete(
        dir: &Path,
        env: &Environment,
        is_sealed: impl FnOnce() -> Result<bool, StationError>,
    ) -> Result<(), StationError> {
        if !dir.join(CHECKPOINT).is_file() {
            return Ok(());
        }
        if !dir.join(COLUMN).exists() && is_sealed()? {
            return Err(StationError::Keys(format!(
                "{} lacks {COLUMN}, under which values of the database are sealed, and no new key opens them: put the file back from the \
                 copy of the keys directory",
                dir.display()
            )));
        }
        if !dir.join(GONE).exists() {
            write_new(&dir.join(GONE), b"")?;
            sync_dir(dir)?;
        }
        for name in [SEALING, COLUMN] {
            if dir.join(name).exists() {
                continue;
            }
            write_secret(dir, name, env)?;
            sync_dir(dir)?;
            tracing::info!(
                file = name,
                "a key was drawn that this keys directory lacked: back the directory up again"
            );
        }
        Ok(())
    }

    /// Opens the keys of a station. A torn last line of the log is cut off: its signature never left.
    pub(crate) fn open(dir: &Path) -> Result<Self, StationError> {
        if !dir.join(CHECKPOINT).is_file() {
            return Err(StationError::Keys(format!(
                "there are no keys in {}: name the directory that init made",
                dir.display()
            )));
        }
        if let Some(name) = [SEALING, COLUMN, GONE].into_iter().find(|name| !dir.join(name).is_file()) {
            return Err(StationError::Keys(format!(
                "{} lacks {name}, which serve draws when it is opened",
                dir.display()
            )));
        }
        let book = BookKey::from_secret(&secret(&dir.join(BOOK))?).map_err(|fault| StationError::Keys(fault.to_string()))?;
        Ok(Self {
            checkpoint: StationKey::from_bytes(&secret(&dir.join(CHECKPOINT))?),
            receipt: StationKey::from_bytes(&secret(&dir.join(RECEIPT))?),
            sealing: SealingKey::from_bytes(&secret(&dir.join(SEALING))?),
            column: Arc::new(ColumnSeal::new(secret(&dir.join(COLUMN))?)),
            destroyed: Logbook::at(dir),
            book,
            gone: GoneLog::open(&dir.join(GONE))?,
            log: Mutex::new(SignedLog::open(&dir.join(LOG))?),
            audited: Mutex::new(Audited::open(dir)?),
        })
    }

    /// The public key of the station's own book.
    pub(crate) fn book_key(&self) -> Vec<u8> {
        self.book.public_key().to_bytes()
    }

    /// The highest position that was signed.
    pub(crate) fn signed(&self) -> Option<Position> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// The last line of the audit log that the ledger fixed, and its hash.
    pub(crate) fn audited(&self) -> Option<(u64, Hash)> {
        self.audited.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Notes a line of the audit log that the ledger fixed.
    pub(crate) fn note_audited(&self, lines: u64, head: Hash) -> Result<(), StationError> {
        self.audited.lock().unwrap_or_else(PoisonError::into_inner).note(lines, head)
    }

    /// Notes a position before it is signed; what is not higher than the last is there already.
    pub(crate) fn note(&self, position: Position) -> Result<(), StationError> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).note(position)
    }
}

/// What is wrong with the permissions of a keys directory, for `doctor`.
pub(crate) fn loose_permissions(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (path, allowed) in [(dir.to_owned(), 0o700)]
        .into_iter()
        .chain([CHECKPOINT, RECEIPT, BOOK, SEALING, COLUMN, LOG, AUDITED, GONE].map(|name| (dir.join(name), 0o600)))
        // There is none before the first destruction.
        .chain(
            [(dir.join(destruction::LOGBOOK), 0o600)]
                .into_iter()
                .filter(|(path, _)| path.exists()),
        )
    {
        match fs::metadata(&path) {
            Ok(meta) if meta.permissions().mode() & 0o777 & !allowed != 0 => {
                found.push(format!("{} is open to others: chmod {allowed:o} {0}", path.display()));
            }
            Ok(_) => {}
            // Made with the first line that is fixed.
            Err(fault) if path.ends_with(AUDITED) && fault.kind() == std::io::ErrorKind::NotFound => {}
            Err(fault) => found.push(format!("{}: {fault}", path.display())),
        }
    }
    found
}

impl SignedLog {
    fn open(path: &Path) -> Result<Self, StationError> {
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(io(path))?;
        // The last lines are enough: positions only rise, and a line is at most 110 bytes.
        let len = file.metadata().map_err(io(path))?.len();
        let from = len.saturating_sub(4096);
        file.seek(SeekFrom::Start(from)).map_err(io(path))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).map_err(io(path))?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole == 0 && from > 0 {
            return Err(StationError::Keys(format!("{} is damaged: run doctor", path.display())));
        }
        let text = String::from_utf8_lossy(&tail[..whole]);
        let last = match text.lines().last() {
            Some(line) => {
                Some(parse(line).ok_or_else(|| StationError::Keys(format!("{} is damaged: run doctor", path.display())))?)
            }
            None => None,
        };
        let end = from + u64::try_from(whole).unwrap_or(0);
        if end < len {
            file.set_len(end).map_err(io(path))?;
        }
        Ok(Self { file, last })
    }

    fn note(&mut self, position: Position) -> Result<(), StationError> {
        if self
            .last
            .is_some_and(|last| (last.epoch, last.size) >= (position.epoch, position.size))
        {
            return Ok(());
        }
        let line = format!("{} {} {}\n", position.epoch, position.size, position.root);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|fault| StationError::Keys(format!("the log cannot be written: {fault}")))?;
        self.last = Some(position);
        Ok(())
    }
}

fn parse(line: &str) -> Option<Position> {
    let mut parts = line.split(' ');
    let position = Position {
        epoch: parts.next()?.parse().ok()?,
        size: parts.next()?.parse().ok()?,
        root: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(position)
}

/// A file of that name is whole or not there: a half written key would lock the station.
fn write_secret(dir: &Path, name: &str, env: &Environment) -> Result<(), StationError> {
    let secret = draw(name, env)?;
    let begun = dir.join(format!("{name}.new"));
    match fs::remove_file(&begun) {
        Ok(()) => {}
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {}
        Err(fault) => return Err(io(&begun)(fault)),
    }
    write_new(&begun, format!("{}\n", Hash::from_bytes(secret)).as_bytes())?;
    fs::rename(&begun, dir.join(name)).map_err(io(&begun))
}

fn draw(name: &str, env: &Environment) -> Result<[u8; 32], StationError> {
    loop {
        let bytes = env
            .bytes::<32>()
            .map_err(|fault| StationError::Keys(format!("no randomness: {fault}")))?;
        // Once in 2^32 draws the bytes are no P-256 key.
        if name != BOOK || BookKey::from_secret(&bytes).is_ok() {
            return Ok(bytes);
        }
    }
}

fn secret(path: &Path) -> Result<[u8; 32], StationError> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    let hash: Hash = text
        .trim_end()
        .parse()
        .map_err(|_| StationError::Keys(format!("{} is not a key: it holds 64 hexadecimal digits", path.display())))?;
    Ok(*hash.as_bytes())
}

/// Refuses a directory that is there and holds something.
pub(crate) fn refuse_filled(dir: &Path) -> Result<(), StationError> {
    match fs::read_dir(dir) {
        Ok(mut inside) => match inside.next() {
            Some(_) => Err(StationError::Exists(dir.to_owned())),
            None => Ok(()),
        },
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(fault) => Err(io(dir)(fault)),
    }
}

/// Refuses directories of which one lies inside the other.
pub(crate) fn refuse_nested(data: &Path, keys: &Path) -> Result<(), StationError> {
    let (data_at, keys_at) = (resolved(data), resolved(keys));
    if data_at.starts_with(&keys_at) || keys_at.starts_with(&data_at) {
        return Err(StationError::Nested {
            keys: keys.to_owned(),
            data: data.to_owned(),
        });
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), absolute.strip_prefix(above)) {
            return real.join(rest);
        }
    }
    absolute
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StationError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}

/// Flushes a directory, so that new names in it survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StationError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io(dir))
}

/// Names the path in an error of the system.
pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> StationError {
    let path = path.to_owned();
    move |fault| {
        if fault.kind() == std::io::ErrorKind::StorageFull {
            StationError::Full
        } else {
            StationError::Io {
                path: path.clone(),
                fault,
            }
        }
    }
}
