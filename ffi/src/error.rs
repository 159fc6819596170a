//! What an app is told when a call fails: one variant for each thing that it can do about it. Knows the core's errors and no others.

use std::fmt;

use beatbook_client_core::CoreError;
use beatbook_client_core::drive::UserSyncError;
use beatbook_client_core::emergency::NoteError;
use beatbook_client_core::ended::FarewellFault;
use beatbook_client_core::lock::{LockError, PinFault, VaultError};
use beatbook_client_core::sync::parcel::ParcelError;
use beatbook_client_core::sync::{EnrolError, SyncError};

use crate::platform::KeyVaultError;

/// When there is no better word: a network may be back by then.
const AGAIN_MS: u64 = 30_000;

/// A call that did not do what was asked. The name says what the app can do; texts for people are the app's own.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
pub enum BeatbookError {
    /// What was given cannot be taken as it is: show it again at this place and let the user decide.
    InvalidInput {
        /// The place in a record (`fields/outcome`), or the argument's name.
        field: String,
    },
    /// The file does not open with what was given: ask for its key.
    Locked,
    /// The phone has no book at the station: enrol.
    SignInAgain,
    /// A newer app wrote this: update.
    UpgradeRequired,
    /// It may go another time.
    TryLater {
        /// Not before so many milliseconds have passed.
        after_ms: u64,
    },
    /// The disk or the quota is full: have some space freed. What was saved before is safe.
    StorageFull,
    /// The file is damaged: open again. All its bytes are kept.
    StorageDamaged {
        /// Where they are: the file itself until it is opened anew, from then on the place that it was moved to.
        kept_at: String,
    },
    /// A fault of ours: send us this.
    Internal {
        /// What to send.
        report: String,
    },
}

impl fmt::Display for BeatbookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput { field } => write!(f, "{field} cannot be taken as it is; look at it again"),
            Self::Locked => f.write_str("the key does not open this file; give its own"),
            Self::SignInAgain => f.write_str("the phone has no book at the station; enrol it"),
            Self::UpgradeRequired => f.write_str("a newer version of the app wrote this; update the app"),
            Self::TryLater { after_ms } => write!(f, "try again in {after_ms} ms"),
            Self::StorageFull => f.write_str("storage is full; free some space, what was saved before is safe"),
            Self::StorageDamaged { kept_at } => write!(f, "the file is damaged and kept at {kept_at}; open again"),
            Self::Internal { report } => write!(f, "internal fault, please report: {report}"),
        }
    }
}

impl std::error::Error for BeatbookError {}

/// One of the two places where errors change their words; the other is the station's, on the wire.
impl From<CoreError> for BeatbookError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::InvalidInput { field, .. } => Self::InvalidInput { field },
            CoreError::Moved { .. } => Self::InvalidInput { field: "version".into() },
            // The worst first: warnings hinder nothing.
            CoreError::Hindered { findings } => {
                let worst = findings.into_iter().min_by_key(|finding| finding.severity);
                Self::at_first(worst.map(|finding| finding.path))
            }
            CoreError::Conflicted { paths } => Self::at_first(paths),
            CoreError::Forbidden { what, .. } => Self::at(if what == "write" { "record" } else { "act" }),
            CoreError::Unknown { what } => Self::at(argument(&what)),
            CoreError::UnknownRecord(_) | CoreError::OpeningRefused(_) | CoreError::LeftScope(_) => {
                Self::InvalidInput { field: "record".into() }
            }
            CoreError::NotEnrolled | CoreError::Ended => Self::SignInAgain,
            CoreError::WrongKey => Self::Locked,
            CoreError::UpgradeRequired => Self::UpgradeRequired,
            CoreError::StorageFull => Self::StorageFull,
            CoreError::StorageDamaged { path, .. } => Self::StorageDamaged {
                kept_at: path.display().to_string(),
            },
            // The fault of whoever built the app: the report says what to build.
            CoreError::NoCipher => Self::Internal {
                report: error.to_string(),
            },
            CoreError::Internal(report) => Self::Internal { report },
        }
    }
}

impl From<LockError> for BeatbookError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::NoSuchUser => Self::at("user"),
            // Another process or session has the book: it must lock first.
            LockError::AlreadyOpen => Self::TryLater { after_ms: 1_000 },
            LockError::Pin(PinFault::Label) => Self::at("label"),
            LockError::Pin(_) => Self::at("new_pin"),
            LockError::WrongPin { .. } => Self::at("pin"),
            LockError::TryAfter { wait_ms } => Self::TryLater { after_ms: wait_ms },
            LockError::OnlineUnlock(_) | LockError::LeaseOver(_) | LockError::NeedsPin(_) | LockError::Damaged(_) => Self::Locked,
            LockError::NotEnrolled => Self::SignInAgain,
            LockError::Code(_) => Self::at("code"),
            LockError::Network(_) | LockError::Refused { .. } => Self::TryLater { after_ms: AGAIN_MS },
            LockError::Vault(fault) => fault.into(),
            LockError::Files(fault) => fault.into(),
            LockError::Reply(_) => Self::Internal {
                report: error.to_string(),
            },
            LockError::Core(error) => error.into(),
            LockError::Sync(error) => error.into(),
        }
    }
}

impl From<VaultError> for BeatbookError {
    fn from(fault: VaultError) -> Self {
        match fault {
            VaultError::Denied | VaultError::Gone => Self::Locked,
            VaultError::Unsupported(_) => Self::at("biometric"),
            VaultError::Broken | VaultError::Failed(_) => Self::Internal {
                report: format!("the phone's keystore: {fault}"),
            },
        }
    }
}

impl From<KeyVaultError> for BeatbookError {
    fn from(fault: KeyVaultError) -> Self {
        VaultError::from(fault).into()
    }
}

impl From<std::io::Error> for BeatbookError {
    fn from(fault: std::io::Error) -> Self {
        match fault.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Internal {
                report: format!("the app's files: {fault}"),
            },
        }
    }
}

impl From<SyncError> for BeatbookError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::NotEnrolled | SyncError::KeyLost => Self::SignInAgain,
            SyncError::Key(_) => Self::Locked,
            SyncError::StationChanged(_) | SyncError::Reply(_) => Self::Internal {
                report: error.to_string(),
            },
            SyncError::Core(error) => error.into(),
        }
    }
}

impl From<EnrolError> for BeatbookError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Code(_) | EnrolError::OtherStation => Self::at("invitation"),
            EnrolError::Untrusted(_) => Self::at("trust"),
            EnrolError::Network(_) | EnrolError::Refused { .. } => Self::TryLater { after_ms: AGAIN_MS },
            EnrolError::UpgradeRequired => Self::UpgradeRequired,
            EnrolError::Sync(error) => error.into(),
        }
    }
}

impl From<NoteError> for BeatbookError {
    fn from(error: NoteError) -> Self {
        match error {
            // The words: a wrong place was found before (`Beatbook::note`).
            NoteError::Invalid(_) => Self::at("text"),
            NoteError::Full => Self::StorageFull,
            NoteError::NoKeys => Self::SignInAgain,
            NoteError::Seal(_) => Self::Internal {
                report: error.to_string(),
            },
            NoteError::Lock(error) => error.into(),
            NoteError::Files(fault) => fault.into(),
        }
    }
}

impl From<ParcelError> for BeatbookError {
    fn from(error: ParcelError) -> Self {
        match error {
            ParcelError::Nothing => Self::at("outbox"),
            ParcelError::NoKey | ParcelError::NotAnswered(_) | ParcelError::TooMany(_) => Self::TryLater { after_ms: AGAIN_MS },
            ParcelError::Fault(_) | ParcelError::NotOurs | ParcelError::Stale => Self::at("file"),
            ParcelError::Unknown(_) | ParcelError::Refused { .. } => Self::at("parcel"),
            ParcelError::Seal(_) => Self::Internal {
                report: error.to_string(),
            },
            ParcelError::Sync(error) => error.into(),
        }
    }
}

impl From<FarewellFault> for BeatbookError {
    fn from(fault: FarewellFault) -> Self {
        Self::Internal {
            report: fault.to_string(),
        }
    }
}

impl From<UserSyncError> for BeatbookError {
    fn from(error: UserSyncError) -> Self {
        match error {
            UserSyncError::Sync(error) => error.into(),
            UserSyncError::Lock(error) => error.into(),
            UserSyncError::Notes(error) => error.into(),
            UserSyncError::Farewell(fault) => fault.into(),
        }
    }
}

/// The argument by which an app named what there is not: the core says `draft 0193…`, `refused entry 5f…`.
fn argument(what: &str) -> &str {
    match what.split_whitespace().next().unwrap_or_default() {
        // Calls know content by the file's name, and what was refused by its entry.
        "blob" => "file",
        "refused" => "entry",
        "" => "record",
        first => first,
    }
}

impl BeatbookError {
    pub(crate) fn at(field: &str) -> Self {
        Self::InvalidInput { field: field.into() }
    }

    fn at_first(places: impl IntoIterator<Item = String>) -> Self {
        let field = places.into_iter().next().unwrap_or_else(|| "record".into());
        Self::InvalidInput { field }
    }
}

#[cfg(test)]
mod tests;
