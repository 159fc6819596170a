//! The station: one door for HTTP, the command line and tests. Synchronous; callers that must not wait call it on a thread of their own.

use std::path::{Path, PathBuf};

use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{BookId, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{AppVersion, Challenged, EnrolRequest, EnrolResponse, KindFile, PageAnswer, Refusal};
use serde::Serialize;

use crate::blobs::Blobs;
use crate::counters::Counters;
use crate::keys::Keys;
use crate::kinds::Kinds;
use crate::registry::{enrol, people, tokens};
use crate::store::Store;
use crate::{backup, doctor, exchange, ledger, parcels, rebuild, review, setup, status};

mod desk;

pub use crate::environment::{Clock, Environment, Randomness, Steps, Unwatched};
pub use crate::error::{ActError, StationError};
pub use crate::phones::{PhoneOwes, PhoneStatus};
pub use crate::registry::devices::DeviceView;
pub use crate::registry::grants::{GrantOrder, GrantView};
pub use crate::registry::import::{ImportLine, ImportOutcome, ImportReport, ImportSheets};
pub use crate::registry::members::{MembershipOrder, MembershipPhase, MembershipView};
pub use crate::registry::people::{PersonChange, PersonEntry, PersonOrder};
pub use crate::registry::units::{UnitChange, UnitOrder, UnitView};
pub use crate::report::{BackupReport, BookStatus, Check, LedgerReport, RebuildReport, RestoreReport, StationStatus};
pub use crate::review::view::{
    AboutView, ActDone, ActLine, ActOpen, ActOrder, ChangedField, ClaimView, ConflictView, DuplicatePair, EntryLine, FileLine,
    FindingView, PersonView, QueueFilter, QueuePage, RecordFilter, RecordPage, RecordRow, RecoveredLine, RowPage, TrackGap,
    TrackReport, WriteLine,
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
pub struct Station {
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) kinds: Kinds,
    pub(crate) env: Environment,
    pub(crate) data: PathBuf,
    pub(crate) blobs: Blobs,
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) book: BookId,
    pub(crate) counters: Counters,
    pub(crate) app_min: Option<AppVersion>,
}

/// The database's file in the data directory.
pub(crate) const DATABASE: &str = "station.db";

impl Station {
    /// Makes a new station: data and keys directories, keys, ledger, the first registry entries.
    ///
    /// # Errors
    /// When a directory is there and not empty, one lies inside the other, or cannot be written.
    pub fn init(data: &Path, keys: &Path, options: &InitOptions, env: &Environment) -> Result<Initialised, StationError> {
        setup::init(data, keys, options, env)
    }

    /// Opens a station. `kind_files` (name, text) are the station's own kinds beside the embedded ones; newer versions come into force.
    ///
    /// # Errors
    /// When the database is damaged, or behind what the keys directory's log says was signed, or a kind file is faulty.
    pub fn open(data: &Path, keys: &Path, kind_files: &[(String, String)], env: Environment) -> Result<Self, StationError> {
        let parts = setup::open(data, keys, kind_files, &env)?;
        Ok(Self {
            store: parts.store,
            keys: parts.keys,
            kinds: parts.kinds,
            env,
            data: data.to_owned(),
            blobs: Blobs::open(data)?,
            name: parts.row.name,
            origin: parts.row.origin,
            book: parts.row.book,
            counters: Counters::default(),
            app_min: None,
        })
    }

    /// A one-time code becomes a book.
    ///
    /// # Errors
    /// What the phone is to be told.
    pub fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, Refusal> {
        enrol::enrol(self, request)
    }

    /// One exchange: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the phone is to be told; nothing of the request was stored.
    pub fn exchange(&self, packed: &[u8], token: Option<&str>, challenged: Option<&Challenged>) -> Result<Vec<u8>, Refusal> {
        let reply = match self.keep_time() {
            Ok(_) => exchange::exchange(self, packed, token, challenged),
            Err(fault) => Err(exchange::refusal_of(&fault)),
        };
        if reply.is_err() {
            self.count("refusals");
        }
        reply
    }

    /// A parcel that one phone carries for another: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the carrier is to be told; nothing of the parcel was stored.
    pub fn deliver(&self, packed: &[u8], token: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let reply = match self.keep_time() {
            Ok(_) => parcels::deliver(self, packed, token),
            Err(fault) => Err(exchange::refusal_of(&fault)),
        };
        self.count(if reply.is_ok() { "parcels" } else { "parcels_refused" });
        reply
    }

    /// Whose API token this is; none of a person who is blocked.
    #[must_use]
    pub fn session(&self, token: &str) -> Option<Session> {
        let now = self.env.clock.now();
        let found = self.keep_time().and_then(|_| {
            self.store.read(|tx| {
                let token = tokens::find(tx, token, now)?.filter(|row| row.book.is_none());
                let user = token.map(|row| tx.user(row.user)).transpose()?.flatten();
                Ok::<_, StationError>(user.filter(|user| !user.blocked))
            })
        });
        match found {
            Ok(user) => user.map(people::session_of),
            Err(fault) => {
                tracing::error!(%fault, "a token could not be looked up");
                None
            }
        }
    }

    /// A fresh API token for a person (`init` prints the chief's first one).
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn issue_token(&self, by: Option<&Session>, user: UserId) -> Result<String, StationError> {
        people::issue_token(self, by, user)
    }

    /// A one-time code for a person's phone.
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn enrolment_code(&self, by: Option<&Session>, user: UserId) -> Result<EnrolmentCode, StationError> {
        people::enrolment_code(self, by, user)
    }

    /// The records that wait for review in the person's scope, those that wait longest first.
    ///
    /// # Errors
    /// When the filter makes no sense, or those of the store.
    pub fn review_queue(&self, session: &Session, filter: &QueueFilter) -> Result<QueuePage, StationError> {
        review::queue::queue(self, session, filter)
    }

    /// The records in the person's scope, newest change first.
    ///
    /// # Errors
    /// When the filter makes no sense, or those of the store.
    pub fn records(&self, session: &Session, filter: &RecordFilter) -> Result<RowPage, StationError> {
        review::queue::records(self, session, filter)
    }

    /// A record's page; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// Those of the store.
    pub fn record(&self, session: &Session, record: RecordId) -> Result<Option<RecordPage>, StationError> {
        let page = self.store.read(|tx| review::page::record(tx, &self.kinds, session, record))?;
        Ok(page.map(|mut page| {
            for file in &mut page.files {
                file.arrived = self.blobs.arrived(&file.hash).is_some();
                file.thumbnail_arrived = file.thumbnail.is_some_and(|hash| self.blobs.arrived(&hash).is_some());
            }
            page
        }))
    }

    /// The accepted entries of a record by identity, in the ledger's order; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// Those of the store.
    pub fn entries(&self, session: &Session, record: RecordId) -> Result<Option<Vec<EntryLine>>, StationError> {
        self.store.read(|tx| review::page::entries(tx, &self.kinds, session, record))
    }

    /// Does an act on a record.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn act(&self, session: &Session, record: RecordId, order: &ActOrder) -> Result<ActDone, ActError> {
        review::act::act(self, session, record, order)
    }

    /// Approves many records, each for itself, as they were seen.
    #[must_use]
    pub fn bulk_approve(
        &self,
        session: &Session,
        records: &[(RecordId, String)],
        comment: Option<&str>,
    ) -> Vec<(RecordId, Result<ActDone, ActError>)> {
        let approve = |(record, version): &(RecordId, String)| {
            let order = ActOrder {
                code: "approve".into(),
                comment: comment.map(str::to_owned),
                if_match: version.clone(),
                ..ActOrder::default()
            };
            (*record, self.act(session, *record, &order))
        };
        records.iter().map(approve).collect()
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
        review::act::settle(self, session, record, path, value, if_match)
    }

    /// Full-text search in the person's scope, best first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn search(&self, session: &Session, text: &str, limit: u32) -> Result<Vec<RecordRow>, StationError> {
        review::queue::search(self, session, text, limit)
    }

    /// How the station stands.
    ///
    /// # Errors
    /// Those of the store.
    pub fn status(&self) -> Result<StationStatus, StationError> {
        status::status(self)
    }

    /// The signed checkpoint, as a C2SP signed note.
    ///
    /// # Errors
    /// Those of the store, and of the log of what was signed.
    pub fn checkpoint(&self) -> Result<String, StationError> {
        self.store.read(|tx| Ok(ledger::sign(tx, &self.keys, &self.origin)?.1))
    }

    /// The kinds in force, all versions.
    #[must_use]
    pub fn kinds(&self) -> Vec<KindFile> {
        self.kinds.files()
    }

    /// Verifies the whole ledger: every leaf, entry, tree node, signature and chain, and the log of what was signed.
    ///
    /// # Errors
    /// Those of the store; faults of the ledger are in the report.
    pub fn verify_ledger(&self) -> Result<LedgerReport, StationError> {
        self.store.read(|tx| ledger::verify(tx, &self.keys))
    }

    /// Drops all projections and folds them again from the ledger.
    ///
    /// # Errors
    /// Those of the store.
    pub fn rebuild(&self) -> Result<RebuildReport, StationError> {
        self.store.write(|tx| rebuild::rebuild(tx, &self.kinds))
    }

    /// The canonical dump of the projections: one line a row, in one order.
    ///
    /// # Errors
    /// Those of the store.
    pub fn dump(&self) -> Result<String, StationError> {
        let mut dump = String::new();
        self.store.read(|tx| {
            tx.each_dump_line(|line| {
                dump.push_str(line);
                dump.push('\n');
            })
        })?;
        Ok(dump)
    }

    /// Copies the database into a new file in `to`, while the station goes on, with a manifest beside it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn backup(&self, to: &Path) -> Result<BackupReport, StationError> {
        backup::backup(self, to)
    }

    /// Makes a new data directory from a backup and opens a new epoch that follows what the keys' log says was signed.
    ///
    /// # Errors
    /// When the backup is not whole or not of these keys, or the data directory is there already.
    pub fn restore(backup: &Path, data: &Path, keys: &Path, env: &Environment) -> Result<RestoreReport, StationError> {
        backup::restore(backup, data, keys, env)
    }

    /// Looks at a station that is not running, and says what is in order and what is not.
    #[must_use]
    pub fn doctor(data: &Path, keys: &Path) -> Vec<Check> {
        doctor::doctor(data, keys)
    }

    pub(crate) fn count(&self, name: &'static str) {
        self.counters.add(name, 1);
    }

    pub(crate) fn count_answers(&self, answers: &[PageAnswer]) {
        for answer in answers {
            self.count(if answer.fault.is_some() { "pages_set_aside" } else { "pages" });
            for run in &answer.verdicts {
                let name = match run.verdict {
                    0 => "entries_accepted",
                    1 => "entries_duplicate",
                    2 => "entries_refused",
                    3 => "entries_needing",
                    4 => "entries_offered",
                    _ => "entries_other",
                };
                self.counters.add(name, run.count.into());
            }
        }
    }
}
