//! The one door for an app: opens the file and hands each call to its room.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use beatbook_protocol::id::{ActorId, ItemId};
use tokio::sync::watch;
use zeroize::Zeroize as _;

use crate::capture::patrol::Recording;
use crate::ended::is_being_shredded;
use crate::error::{CoreError, Fault};
use crate::office::{Office, Pen};
use crate::platform::Platform;
use crate::store::records::Records;
use crate::store::{Outcome, Store, StoreError, Tx, destroyed, ended, identity, open_or_set_aside, suspect};
use crate::sync::APP;

/// How a file is opened.
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// The file's 256-bit key; none leaves it plain.
    pub key: Option<[u8; 32]>,
    /// Quota in pages of 4 KiB.
    pub pages_max: Option<u32>,
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("key", &self.key.as_ref().map(|_| ".."))
            .field("pages_max", &self.pages_max)
            .finish()
    }
}

impl Drop for OpenOptions {
    fn drop(&mut self) {
        self.key.zeroize();
    }
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
    office: RwLock<Office>,
    pen: Mutex<ActorId>,
    recorder: Mutex<Option<Recording>>,
    changed: watch::Sender<()>,
    /// Whether the book has ended: nothing is shown and nothing is written any more.
    is_over: AtomicBool,
}

impl Core {
    /// Opens a user's file, or begins it. A damaged file is moved aside and reported, and a new one is begun.
    ///
    /// # Errors
    /// When the key is wrong or this build has no cipher, a newer app wrote the file, it is being destroyed, or the disk gives an error.
    pub fn open(path: &Path, options: OpenOptions, platform: Platform) -> Result<Opened, CoreError> {
        let told = |error| core_error(path, error);
        // What is being destroyed is not begun anew in the same place: the destroying would go on with that.
        if is_being_shredded(path) {
            return Err(CoreError::Ended);
        }
        let now = platform.clock.wall();
        // A page that breaks this first read would break it at each opening: it is part of finding out whether the file is sound.
        let outcome = open_or_set_aside(path, options.key.as_ref(), options.pages_max, now, Office::read).map_err(told)?;
        let (store, office, recovered) = match outcome {
            Outcome::Open(store, office) => (store, office, None),
            Outcome::Renewed(store, office, kept_at) => (store, office, Some(Damaged { kept_at })),
            Outcome::WrongKey => return Err(CoreError::WrongKey),
        };
        let pen = Mutex::new(platform.actor_id());
        let core = Self {
            store,
            platform,
            office: RwLock::new(office),
            pen,
            recorder: Mutex::new(None),
            changed: watch::Sender::new(()),
            is_over: AtomicBool::new(false),
        };
        if core.read(ended::ended)?.is_some() {
            core.close();
        } else {
            core.take_up()?;
        }
        Ok(Opened { core, recovered })
    }

    /// Reads again what another app, or other kinds, could not read.
    fn read_again(&self) -> Result<(), CoreError> {
        let reader = format!("{APP} {}", self.office().kinds.digest());
        let before = self.read(identity::reader)?;
        if before.as_ref() == Some(&reader) {
            return Ok(());
        }
        self.write(|records| {
            records.read_again()?;
            identity::set_reader(records.tx(), &reader)
        })
    }

    /// Hears after everything that is written: look again at what you show. What comes together is heard once.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A name for a new item of a list.
    #[must_use]
    pub fn new_item(&self) -> ItemId {
        self.platform.item_id()
    }

    /// The device's clocks and randomness.
    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        self.store.path()
    }

    /// Whose file it is, and the kinds in force.
    pub(crate) fn office(&self) -> Office {
        self.office.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The patrol's recorder, once it was asked for.
    pub(crate) fn recorder(&self) -> MutexGuard<'_, Option<Recording>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows and writes nothing any more: the book has ended. Its parting alone goes on, by [`Core::read_past_end`] and its like.
    pub(crate) fn close(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Shows and writes again: a new book was enrolled in place of the one that had ended.
    pub(crate) fn reopen(&self) -> Result<(), CoreError> {
        self.is_over.store(false, Ordering::SeqCst);
        self.take_up()
    }

    /// What a book that is written in begins with.
    fn take_up(&self) -> Result<(), CoreError> {
        self.recover_blobs()?;
        // A full disk must not keep the owner out: what is unread stays so until the next opening.
        if let Err(error) = self.read_again() {
            tracing::warn!(%error, "what an earlier app could not read was not read again");
        }
        Ok(())
    }

    /// Refuses once the book has ended.
    pub(crate) fn refuse_over(&self) -> Result<(), CoreError> {
        if self.is_over.load(Ordering::SeqCst) {
            Err(CoreError::Ended)
        } else {
            Ok(())
        }
    }

    /// Runs work on records in one transaction: touched records are folded anew, then all is on the disk, or nothing happened.
    pub(crate) fn write<T, E: Into<Fault>>(&self, work: impl FnOnce(&mut Records<'_>) -> Result<T, E>) -> Result<T, CoreError> {
        self.refuse_over()?;
        self.write_past_end(work)
    }

    /// Likewise, also once the book has ended.
    pub(crate) fn write_past_end<T, E: Into<Fault>>(
        &self,
        work: impl FnOnce(&mut Records<'_>) -> Result<T, E>,
    ) -> Result<T, CoreError> {
        let mut actor = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pen = Pen {
            office: self.office(),
            actor: *actor,
            is_spent: false,
            is_outdated: false,
        };
        let done = self.store.write(|tx| {
            let mut records = Records::new(tx, &mut pen, self.platform.clock.wall());
            let done = work(&mut records).map_err(Into::into)?;
            records.fold_touched()?;
            Ok::<T, Fault>(done)
        });
        if done.is_err() || pen.is_spent {
            // What a failed commit had written may be on the disk or not, and a refused change's number is taken on this phone alone:
            // either way the author mark must not be used again.
            *actor = self.platform.actor_id();
        }
        if done.is_ok() && pen.is_outdated {
            let office = self.read_past_end(Office::read)?;
            *self.office.write().unwrap_or_else(PoisonError::into_inner) = office;
        }
        if done.is_ok() {
            self.changed.send_replace(());
        }
        done.map_err(|fault| match fault {
            Fault::Told(error) => error,
            Fault::Store(error) => self.fault(error),
        })
    }

    /// Drives what was destroyed out of the index and the journal. What does not go now goes after the next reply.
    pub(crate) fn scrub(&self) {
        let done = self
            .store
            .read(destroyed::is_scrub_due)
            .and_then(|due| if due { self.store.scrub() } else { Ok(true) });
        match done {
            Ok(true) => {}
            Ok(false) => tracing::info!("what was destroyed stays in the journal until a long read has ended"),
            Err(error) => tracing::warn!(%error, "what was destroyed is not out of the journal yet"),
        }
    }

    /// Runs work that reads one state of the file.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, CoreError> {
        self.refuse_over()?;
        self.read_past_end(work)
    }

    /// Likewise, also once the book has ended.
    pub(crate) fn read_past_end<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, CoreError> {
        self.store.read(work).map_err(|error| self.fault(error))
    }

    /// Says what a fault of the store means for the app. A broken page is remembered, so that the next opening reads the file through.
    pub(crate) fn fault(&self, error: StoreError) -> CoreError {
        if matches!(error, StoreError::Damaged(_)) {
            suspect(self.store.path());
        }
        core_error(self.store.path(), error)
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
        StoreError::NoCodec => CoreError::NoCipher,
        StoreError::Files(error) => CoreError::Internal(error.to_string()),
        StoreError::Document(error) => CoreError::Internal(error.to_string()),
        StoreError::Sqlite(error) => CoreError::Internal(error.to_string()),
    }
}
