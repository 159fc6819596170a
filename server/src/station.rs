//! The station: one door for HTTP, the command line and tests. Synchronous; callers that must not wait call it on a thread of their own.

use std::path::Path;

use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Challenged, EnrolRequest, EnrolResponse, KindFile, Refusal};
use serde::Serialize;

pub use crate::environment::{Clock, Environment, Randomness};
pub use crate::error::{ActError, StationError};
pub use crate::report::{BackupReport, BookStatus, Check, LedgerReport, RebuildReport, RestoreReport, StationStatus};
pub use crate::review::view::{
    ActDone, ActLine, ActOpen, ActOrder, ChangedField, ClaimView, ConflictView, FindingView, PersonView, QueueFilter, QueuePage,
    RecordFilter, RecordPage, RecordRow, RowPage, TrackGap, TrackReport, WriteLine,
};

/// What a new station is called.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The station's name for people.
    pub station_name: String,
    /// The name of its first unit.
    pub unit_name: String,
    /// The chief's name.
    pub chief_name: String,
}

/// A new station.
#[derive(Debug, Clone, Serialize)]
pub struct Initialised {
    /// The chief's first token; shown once, kept only as a hash.
    pub chief_token: String,
    /// The station's name in checkpoints.
    pub origin: String,
    /// The chief.
    pub chief: UserId,
    /// The first unit.
    pub unit: UnitId,
}

/// A signed-in person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Session {
    /// The person.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub name: String,
    /// His roles by code.
    pub roles: Vec<String>,
    /// His unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
}

/// A one-time code that makes a phone a book.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EnrolmentCode {
    /// The code; shown once, kept only as a hash.
    pub code: String,
    /// When it runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
}

/// An open station. One process at a time opens a data directory.
#[derive(Debug)]
pub struct Station {}

impl Station {
    /// Makes a new station: data and keys directories, keys, ledger, the first registry entries.
    ///
    /// # Errors
    /// When a directory is there and not empty, one lies inside the other, or cannot be written.
    pub fn init(data: &Path, keys: &Path, options: &InitOptions, env: &Environment) -> Result<Initialised, StationError> {
        let _ = (data, keys, options, env);
        todo!()
    }

    /// Opens a station. `kind_files` (name, text) are the station's own kinds beside the embedded ones; newer versions come into force.
    ///
    /// # Errors
    /// When the database is damaged, or behind what the keys directory's log says was signed, or a kind file is faulty.
    pub fn open(data: &Path, keys: &Path, kind_files: &[(String, String)], env: Environment) -> Result<Self, StationError> {
        let _ = (data, keys, kind_files, env);
        todo!()
    }

    /// A one-time code becomes a book.
    ///
    /// # Errors
    /// What the phone is to be told.
    pub fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, Refusal> {
        let _ = request;
        todo!()
    }

    /// One exchange: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the phone is to be told; nothing of the request was stored.
    pub fn exchange(&self, packed: &[u8], token: Option<&str>, challenged: Option<&Challenged>) -> Result<Vec<u8>, Refusal> {
        let _ = (packed, token, challenged);
        todo!()
    }

    /// Whose API token this is.
    #[must_use]
    pub fn session(&self, token: &str) -> Option<Session> {
        let _ = token;
        todo!()
    }

    /// A fresh API token for a person (`init` prints the chief's first one).
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn issue_token(&self, by: Option<&Session>, user: UserId) -> Result<String, StationError> {
        let _ = (by, user);
        todo!()
    }

    /// Adds a person. `by` is none for the operator at the machine itself.
    ///
    /// # Errors
    /// When the unit is unknown, a role is unknown, or `by` may not.
    pub fn add_user(&self, by: Option<&Session>, name: &str, roles: &[String], unit: UnitId) -> Result<UserId, StationError> {
        let _ = (by, name, roles, unit);
        todo!()
    }

    /// The people, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn users(&self) -> Result<Vec<Session>, StationError> {
        todo!()
    }

    /// A one-time code for a person's phone.
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn enrolment_code(&self, by: Option<&Session>, user: UserId) -> Result<EnrolmentCode, StationError> {
        let _ = (by, user);
        todo!()
    }

    /// The records that wait for review in the person's scope, those that wait longest first.
    ///
    /// # Errors
    /// When the filter makes no sense, or those of the store.
    pub fn review_queue(&self, session: &Session, filter: &QueueFilter) -> Result<QueuePage, StationError> {
        let _ = (session, filter);
        todo!()
    }

    /// The records in the person's scope, newest change first.
    ///
    /// # Errors
    /// When the filter makes no sense, or those of the store.
    pub fn records(&self, session: &Session, filter: &RecordFilter) -> Result<RowPage, StationError> {
        let _ = (session, filter);
        todo!()
    }

    /// A record's page; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// Those of the store.
    pub fn record(&self, session: &Session, record: RecordId) -> Result<Option<RecordPage>, StationError> {
        let _ = (session, record);
        todo!()
    }

    /// Does an act on a record.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn act(&self, session: &Session, record: RecordId, order: &ActOrder) -> Result<ActDone, ActError> {
        let _ = (session, record, order);
        todo!()
    }

    /// Approves many records, each for itself, as they were seen.
    #[must_use]
    pub fn bulk_approve(
        &self,
        session: &Session,
        records: &[(RecordId, String)],
        comment: Option<&str>,
    ) -> Vec<(RecordId, Result<ActDone, ActError>)> {
        let _ = (session, records, comment);
        todo!()
    }

    /// Settles a conflict: writes the value that holds at a place.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn settle(
        &self,
        session: &Session,
        record: RecordId,
        path: &str,
        value: &Value,
        if_match: &str,
    ) -> Result<ActDone, ActError> {
        let _ = (session, record, path, value, if_match);
        todo!()
    }

    /// Full-text search in the person's scope, best first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn search(&self, session: &Session, text: &str, limit: u32) -> Result<Vec<RecordRow>, StationError> {
        let _ = (session, text, limit);
        todo!()
    }

    /// How the station stands.
    ///
    /// # Errors
    /// Those of the store.
    pub fn status(&self) -> Result<StationStatus, StationError> {
        todo!()
    }

    /// The signed checkpoint, as a C2SP signed note.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        todo!()
    }

    /// The kinds in force, all versions.
    #[must_use]
    pub fn kinds(&self) -> Vec<KindFile> {
        todo!()
    }

    /// Verifies the whole ledger: every leaf, entry, tree node, signature and chain, and the log of what was signed.
    ///
    /// # Errors
    /// Those of the store; faults of the ledger are in the report.
    pub fn verify_ledger(&self) -> Result<LedgerReport, StationError> {
        todo!()
    }

    /// Drops all projections and folds them again from the ledger.
    ///
    /// # Errors
    /// Those of the store.
    pub fn rebuild(&self) -> Result<RebuildReport, StationError> {
        todo!()
    }

    /// The canonical dump of the projections: one line a row, in one order.
    ///
    /// # Errors
    /// Those of the store.
    pub fn dump(&self) -> Result<String, StationError> {
        todo!()
    }

    /// Copies the database into a new file in `to`, while the station goes on, with a manifest beside it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn backup(&self, to: &Path) -> Result<BackupReport, StationError> {
        let _ = to;
        todo!()
    }

    /// Makes a new data directory from a backup and opens a new epoch that follows what the keys' log says was signed.
    ///
    /// # Errors
    /// When the backup is not whole or not of these keys, or the data directory is there already.
    pub fn restore(backup: &Path, data: &Path, keys: &Path, env: &Environment) -> Result<RestoreReport, StationError> {
        let _ = (backup, data, keys, env);
        todo!()
    }

    /// Looks at a station that is not running, and says what is in order and what is not.
    #[must_use]
    pub fn doctor(data: &Path, keys: &Path) -> Vec<Check> {
        let _ = (data, keys);
        todo!()
    }
}
