//! The station's database: the only room that names rusqlite. One writer, a few readers, WAL, every commit flushed. Knows what rows
//! there are and nothing of why: verdicts, rights and views are decided elsewhere.
//!
//! `ReadTx` is one unchanging look at the database, `WriteTx` one step that happens wholly or not at all; the commands on them stand
//! in one file per noun.

mod access;
mod audit;
mod blobs;
mod connection;
mod destroyed;
mod digests;
mod documents;
mod dump;
mod ended;
mod enrolments;
mod entries;
mod files;
mod glass;
mod ledger;
mod lists;
mod members;
mod merges;
mod owed;
mod records;
mod recovered;
mod registry;
mod retention;
mod scope;
mod scrub;
mod sessions;
mod sign_in;
#[cfg(test)]
mod tampering;
mod unlock;

use std::cell::RefCell;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use access::{Contact, StationRow, TokenRow};
pub(crate) use audit::{AuditQuery, AuditedLine};
pub(crate) use blobs::{FileRow, NamedBlob, UploadRow};
pub(crate) use destroyed::{AboutRow, DestroyedRow, DestructionRow, GoneRow};
pub(crate) use digests::{DigestGroup, DigestParts, DigestRow};
pub(crate) use ended::{BookEndRow, Decision, HeldEntryRow, HeldPageRow, HeldState};
pub(crate) use enrolments::{EnrolledRow, EnrolmentRow};
pub(crate) use entries::{EntryRow, FeedRecord, FeedRow, Kept, PutEntry};
pub(crate) use files::{copy_into, holds_sealed, inspect, look};
pub(crate) use glass::GlassRow;
pub(crate) use ledger::EpochRow;
pub(crate) use lists::{ListOrder, ListQuery, ListScope, ListedRecord};
pub(crate) use members::{ENDED, IN_FORCE, MembershipRow, PLANNED};
pub(crate) use records::{ActRow, ReadingRow};
pub(crate) use recovered::{AlarmRow, RecoveredRow};
pub(crate) use registry::{BookRow, UserRow};
pub(crate) use retention::KeptRecord;
use rusqlite::Connection;
pub(crate) use scope::{GrantRow, Grantee, ScopedRecord, UserAt};
pub(crate) use sessions::{ProgramTokenRow, SessionRow};
pub(crate) use sign_in::{AccountRow, InvitationRow};
pub(crate) use unlock::NoteRow;

use crate::error::StationError;
use crate::news::{Growth, News};
use crate::seal::ColumnSeal;

/// What the database did not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk or the page limit is exhausted.
    #[error("the disk is full")]
    Full,
    /// The file is no database of ours, or broken.
    #[error("{0}")]
    Damaged(String),
    /// Somebody else writes for longer than we wait.
    #[error("the database is busy")]
    Busy,
    /// Anything else.
    #[error("{0}")]
    Sql(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Damaged(error.to_string()),
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy,
            _ => Self::Sql(error.to_string()),
        }
    }
}

impl From<StoreError> for StationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Damaged(why) => Self::Damaged(why),
            StoreError::Busy => Self::Store("it is busy with another writer: try again".into()),
            StoreError::Sql(why) => Self::Store(why),
        }
    }
}

/// The database, open.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// Seals and opens what is sensitive; without it that cannot be read.
    seal: Option<Arc<ColumnSeal>>,
    /// Told after each commit that appended.
    pub(crate) news: News,
    /// Leaves that were there when the news were told last.
    told: AtomicU64,
}

/// Read connections kept open; more are opened when more read at once, and closed after.
const READERS_KEPT: usize = 4;

impl Store {
    /// Makes a new database.
    pub(crate) fn create(path: &Path, seal: Arc<ColumnSeal>) -> Result<Self, StoreError> {
        Self::with(path, connection::create(path)?, Some(seal))
    }

    /// Opens a database and brings it to this version's schema. Without a seal, as `doctor` looks, what is sensitive stays closed.
    pub(crate) fn open(path: &Path, seal: Option<Arc<ColumnSeal>>) -> Result<Self, StoreError> {
        Self::with(path, connection::open(path)?, seal)
    }

    fn with(path: &Path, writer: Connection, seal: Option<Arc<ColumnSeal>>) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::new(Vec::new()),
            seal,
            news: News::default(),
            told: AtomicU64::new(u64::MAX),
        })
    }

    /// One unchanging look.
    pub(crate) fn read<T, E: From<StoreError>>(&self, look: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut conn = match kept {
            Some(conn) => conn,
            None => connection::open_reader(&self.path)?,
        };
        let result = {
            let tx = conn.transaction().map_err(StoreError::from)?;
            look(&ReadTx {
                conn: &tx,
                seal: self.seal.as_deref(),
            })
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(conn);
        }
        result
    }

    /// One step: committed and flushed when it returns `Ok`, undone when it does not.
    pub(crate) fn write<T, E: From<StoreError>>(&self, step: impl FnOnce(&WriteTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut conn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = conn
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let write = WriteTx {
            read: ReadTx {
                conn: &tx,
                seal: self.seal.as_deref(),
            },
            growth: RefCell::default(),
        };
        let result = step(&write)?;
        if write.growth.borrow().leaves {
            // Before the commit, so that it is never taken for another process's.
            self.told.store(write.size()?, Ordering::SeqCst);
        }
        let growth = write.growth.into_inner();
        tx.commit().map_err(StoreError::from)?;
        drop(conn);
        if growth.leaves {
            self.news.tell(growth);
        }
        Ok(result)
    }
}

impl Store {
    /// Tells who listens when another process wrote into the ledger (a command beside the server): what it was is not known, so
    /// everybody looks whether he is still let in.
    pub(crate) fn notice_others(&self) -> Result<(), StoreError> {
        let size = self.read(|tx| tx.size())?;
        let told = self.told.swap(size, Ordering::SeqCst);
        if told < size {
            self.news.tell(Growth {
                leaves: true,
                registry: true,
                ..Growth::default()
            });
        }
        Ok(())
    }
}

/// One unchanging look at the database.
#[derive(Debug)]
pub(crate) struct ReadTx<'c> {
    conn: &'c Connection,
    seal: Option<&'c ColumnSeal>,
}

/// One step that happens wholly or not at all.
#[derive(Debug)]
pub(crate) struct WriteTx<'c> {
    read: ReadTx<'c>,
    /// Whom the step may concern, for the streams of hints.
    growth: RefCell<Growth>,
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}
