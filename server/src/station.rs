//! The station: one door for HTTP, the command line and tests. Synchronous; callers that must not wait call it on a thread of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{BookId, EnrolmentId, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{AppVersion, Challenged, EnrolRequest, EnrolResponse, KindFile, LEASE_MS, Refusal};
use serde::Serialize;

use crate::blobs::Blobs;
use crate::config::SignInConfig;
use crate::counters::Counters;
use crate::keys::Keys;
use crate::kinds::Kinds;
use crate::refused::refusal_of;
use crate::registry::enrol::{self, Door};
use crate::retention::RetentionSettings;
use crate::room::Room;
use crate::sign_in::SignIn;
use crate::store::Store;
use crate::strangers::Strangers;
use crate::tls::Shown;
use crate::{backup, destruction, doctor, exchange, ledger, rebuild, review, setup, status};

mod desk;
mod phones;
mod reading;
mod sign_in;
mod unlock;

pub(crate) use reading::line_of;

pub use crate::audit::log::{AuditExport, AuditFilter, AuditLine, AuditPage, ExportForm};
pub use crate::ended::decide::{DecidedLine, HeldChoice};
pub use crate::ended::quarantine::{HeldLine, HeldRecordView, QuarantineView};
pub use crate::ended::wiped::WipedView;
pub use crate::environment::{Clock, Environment, Randomness, Steps, Unwatched};
pub use crate::error::{ActError, StationError};
pub use crate::phones::{PhoneOwes, PhoneStatus};
pub use crate::policy::Reason;
pub use crate::registry::attest::AttestationVerifier;
pub use crate::registry::devices::DeviceView;
pub use crate::registry::enrolments::{BookEndView, BookView, EnrolmentView};
pub use crate::registry::grants::{GrantOrder, GrantView};
pub use crate::registry::import::{ImportLine, ImportOutcome, ImportReport, ImportSheets};
pub use crate::registry::members::{MembershipOrder, MembershipPhase, MembershipView};
pub use crate::registry::people::{PersonChange, PersonEntry, PersonOrder};
pub use crate::registry::units::{UnitChange, UnitOrder, UnitView};
pub use crate::report::{BackupReport, BookStatus, Check, LedgerReport, RebuildReport, RestoreReport, StationStatus, TlsStatus};
pub use crate::review::glass::GlassView;
pub use crate::review::page::Part;
pub use crate::review::view::{
    AboutView, ActDone, ActLine, ActOpen, ActOrder, ChangedField, ClaimView, ConflictView, DuplicatePair, EntryLine, FileLine,
    FindingView, PersonView, QueueFilter, QueuePage, RecordFilter, RecordPage, RecordRow, RecoveredLine, RowPage, TrackGap,
    TrackReport, WriteLine,
};
pub use crate::unlock::{KeyPair, NotePage, NoteView, UnitKeyView, UnlockCode};
pub use sign_in::{
    AcceptOrder, Accepted, Begun, FactorOffer, FactorSet, InvitationView, Invited, Login, PasswordFault, Provider, ProviderStart,
    RecoveryCodes, SessionView, SignInError, SignInOrder, SignedIn, Source, TokenOrder, TokenView,
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
    /// What his memberships make him elsewhere, by code.
    pub elsewhere: Vec<String>,
}

/// A one-time code that makes a phone a book.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EnrolmentCode {
    /// The enrolment's number: by it one sees what comes of the code. No secret.
    #[schema(value_type = String)]
    pub id: EnrolmentId,
    /// The code; shown once, kept only as a hash.
    pub code: String,
    /// When it runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
    /// The code with the station's name, fingerprint and address, as one line for a phone's camera.
    pub invitation: String,
    /// The same as a QR code, in SVG.
    pub qr: String,
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
    pub(crate) shown: Arc<Shown>,
    pub(crate) sign_in: SignIn,
    pub(crate) lease_ms: u64,
    pub(crate) ask_again_ms: Option<u64>,
    pub(crate) door: Door,
    pub(crate) retention: RetentionSettings,
    pub(crate) strangers: Strangers,
    pub(crate) room: Room,
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
        let sign_in = SignIn::open(SignInConfig::default(), &parts.store)?;
        let blobs = destruction::resume(&parts.store, Blobs::open(data)?)?;
        Ok(Self {
            store: parts.store,
            keys: parts.keys,
            kinds: parts.kinds,
            env,
            data: data.to_owned(),
            blobs,
            name: parts.row.name,
            origin: parts.row.origin,
            book: parts.row.book,
            counters: Counters::default(),
            app_min: None,
            shown: Arc::default(),
            sign_in,
            lease_ms: LEASE_MS,
            ask_again_ms: None,
            door: Door::default(),
            retention: RetentionSettings::default(),
            strangers: Strangers::default(),
            room: Room::default(),
        })
    }

    /// A one-time code becomes a book.
    ///
    /// # Errors
    /// What the phone is to be told.
    pub fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, Refusal> {
        enrol::enrol(self, request, None)
    }

    /// One exchange: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the phone is to be told; nothing of the request was stored.
    pub fn exchange(&self, packed: &[u8], token: Option<&str>, challenged: Option<&Challenged>) -> Result<Vec<u8>, Refusal> {
        let reply = match self.keep_time() {
            Ok(_) => exchange::exchange(self, packed, token, challenged),
            Err(fault) => Err(refusal_of(&fault)),
        };
        if reply.is_err() {
            self.count("refusals");
        }
        reply
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

    /// The canonical dump of the projections: one line a row, in one order. It holds what people wrote: who lets it leave the house says so
    /// in the audit log first ([`Self::note_export`]).
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
}
