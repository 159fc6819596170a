//! Blobs: photos and recordings as files of the data directory, named by their SHA-256, and the uploads that bring them. Knows no HTTP,
//! and of records only which of them name a blob.
//!
//! ```text
//!  phone ─ create ─► upload (a part per book, under `blobs/parts`) ─ pieces ─► whole ─ hash verified ─► `blobs/ab/abcd...`
//!  parcel ─ pieces ────┘
//!                    turn (one writer an upload)                                  sweep: what nobody goes on with or names, after a time
//!  reader ─ access (a record in his scope names it) ─► the file
//! ```

mod access;
mod carried;
pub(crate) mod kept;
mod sweep;
mod turn;
mod upload;

use std::fs;
use std::path::{Path, PathBuf};

use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::wire::BlobRefusal;

pub(crate) use access::{Answered, Asker, Bearer, Readable, bearer_of, readable};
pub(crate) use carried::take_pieces;
pub(crate) use sweep::{remove_destroyed, sweep_when_due};
pub(crate) use turn::Turn;
pub(crate) use upload::{Checksum, Progress, Writing, begin, checked, end, resume, standing, terminate, write};

use crate::error::StationError;
use crate::keys::{io, sync_dir};
use crate::store::StoreError;

/// The folder of blobs in the data directory, and in a backup.
pub(crate) const FOLDER: &str = "blobs";
/// Where parts of uploads lie in it.
const PARTS: &str = "parts";

/// A blob call that was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobFault {
    /// The caller is told why.
    #[error("{}", .0.text())]
    Refused(BlobRefusal),
    /// What was said makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// A fault of the station.
    #[error(transparent)]
    Station(#[from] StationError),
}

impl From<BlobRefusal> for BlobFault {
    fn from(refusal: BlobRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for BlobFault {
    fn from(fault: StoreError) -> Self {
        Self::Station(fault.into())
    }
}

/// The blobs of a station.
#[derive(Debug)]
pub(crate) struct Blobs {
    folder: PathBuf,
    turns: turn::Turns,
    swept: sweep::Swept,
}

impl Blobs {
    /// Opens the folder, and makes it when it is not there.
    pub(crate) fn open(data: &Path) -> Result<Self, StationError> {
        let folder = data.join(FOLDER);
        let parts = folder.join(PARTS);
        if !parts.is_dir() {
            fs::create_dir_all(&parts).map_err(io(&parts))?;
            sync_dir(data)?;
            sync_dir(&folder)?;
        }
        Ok(Self {
            folder,
            turns: turn::Turns::default(),
            swept: sweep::Swept::default(),
        })
    }

    /// The length of a blob that has arrived.
    pub(crate) fn arrived(&self, hash: &Hash) -> Option<u64> {
        let found = fs::metadata(kept::place(&self.folder, hash)).ok()?;
        found.is_file().then_some(found.len())
    }

    /// Where the file of a blob lies that has arrived.
    pub(crate) fn file(&self, hash: &Hash) -> PathBuf {
        kept::place(&self.folder, hash)
    }

    /// Waits for its turn to write an upload; a call that stands in the way is told to give up.
    pub(crate) async fn turn(&self, book: BookId, hash: Hash) -> Result<Turn, BlobFault> {
        self.turns.take(book, hash).await.ok_or_else(|| BlobRefusal::Locked.into())
    }

    fn part(&self, book: BookId, hash: &Hash) -> PathBuf {
        self.folder.join(PARTS).join(format!("{book}-{hash}"))
    }
}
