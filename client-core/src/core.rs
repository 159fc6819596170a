//! The one door for an app: opens the file and hands each call to its room.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use beatbook_protocol::id::ActorId;

use crate::error::CoreError;
use crate::platform::Platform;
use crate::store::identity::{self, Identity};
use crate::store::records::Records;
use crate::store::{Store, StoreError, Tx};

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// The file's 256-bit key; none leaves it plain.
    pub key: Option<[u8; 32]>,
    /// Quota in pages of 4 KiB.
    pub pages_max: Option<u32>,
}

/// A core, and what opening it met.
#[derive(Debug)]
pub struct Opened {
    /// The core.
    pub core: Core,
    /// Set when the file was damaged and a new one was begun.
    pub recovered: Option<Damaged>,
}

/// A damaged file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Where its bytes are kept.
    pub kept_at: PathBuf,
}

/// The phone's engine over one user's file. All calls block and may come from any thread.
#[derive(Debug)]
pub struct Core {
    store: Store,
    platform: Platform,
    desk: Mutex<Desk>,
}

/// What a writing call has at hand.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Whose file it is; none before enrolment.
    pub(crate) me: Option<Identity>,
    /// The author mark of this opened file.
    pub(crate) actor: ActorId,
}

impl Core {
    /// Opens a user's file, or begins it.
    ///
    /// # Errors
    /// When the key is wrong, a newer app wrote the file, or the disk gives an error.
    pub fn open(path: &Path, options: OpenOptions, platform: Platform) -> Result<Opened, CoreError> {
        let store = Store::open(path, options.key.as_ref(), options.pages_max).map_err(|error| core_error(path, error))?;
        let me = store.read(identity::identity).map_err(|error| core_error(path, error))?;
        let desk = Mutex::new(Desk {
            me,
            actor: platform.actor_id(),
        });
        Ok(Opened {
            core: Self { store, platform, desk },
            recovered: None,
        })
    }

    /// The device's clocks and randomness.
    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Runs work on records in one transaction: touched records are folded anew, then all is on the disk, or nothing happened.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Records<'_>) -> Result<T, CoreError>) -> Result<T, CoreError> {
        let mut desk = self.desk();
        let done = self.store.write(|tx| {
            let mut records = Records::new(tx, &mut desk, self.platform.clock.wall());
            let done = work(&mut records).map_err(Interrupted::Core)?;
            records.finish().map_err(Interrupted::Store)?;
            Ok(done)
        });
        if done.is_err() {
            // What a failed commit had written may be on the disk or not: the author mark must not be used again.
            desk.actor = self.platform.actor_id();
        }
        done.map_err(|interrupted| match interrupted {
            Interrupted::Core(error) => error,
            Interrupted::Store(error) => core_error(self.store.path(), error),
        })
    }

    /// Runs work that reads one state of the file.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, CoreError> {
        self.store.read(work).map_err(|error| core_error(self.store.path(), error))
    }

    /// Says what a fault of the store means for the app.
    pub(crate) fn fault(&self, error: StoreError) -> CoreError {
        core_error(self.store.path(), error)
    }

    /// Who and under which mark writes now.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a transaction was given up.
enum Interrupted {
    Core(CoreError),
    Store(StoreError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn core_error(path: &Path, error: StoreError) -> CoreError {
    match error {
        StoreError::Full => CoreError::StorageFull,
        StoreError::Damaged(why) => CoreError::StorageDamaged {
            path: path.to_owned(),
            why,
        },
        StoreError::Newer(_) => CoreError::UpgradeRequired,
        StoreError::Sqlite(error) => CoreError::Internal(error.to_string()),
    }
}
