//! Why a phone stays locked, by what its user can do about it.

use crate::error::CoreError;
use crate::lock::lease::LeaseOver;
use crate::lock::pin::PinFault;
use crate::lock::vault::VaultError;
use crate::sync::SyncError;
use crate::transport::TransportFault;

/// Why only the station lets the user in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlineBecause {
    /// Ten wrong PINs in a row.
    TriesUsed,
    /// The files are an older copy of themselves, or some of them were taken away: the count of tries is not to be believed.
    OldCopy,
}

impl std::fmt::Display for OnlineBecause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TriesUsed => "the PIN was wrong too often",
            Self::OldCopy => "the app's files were put back from an older copy",
        })
    }
}

/// Something about the lock that was not done. Work that waits is never lost by it.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// No such user on this phone.
    #[error("there is no such user on this phone")]
    NoSuchUser,
    /// He is in already.
    #[error("this user's book is open already")]
    AlreadyOpen,
    /// The label or PIN that was chosen cannot be taken; nothing was changed.
    #[error("{0}")]
    Pin(#[from] PinFault),
    /// The PIN is wrong.
    #[error("the PIN is wrong; {left} tries are left")]
    WrongPin {
        /// Tries that are left before only the station helps.
        left: u32,
    },
    /// Too many wrong PINs, and no way yet by which the station could let the user in: one try an hour.
    #[error("the PIN was wrong too often: try again in {} min", .wait_ms.div_ceil(60_000))]
    TryAfter {
        /// Milliseconds that the phone must be on until then.
        wait_ms: u64,
    },
    /// Only the station lets the user in again: ask the chief for an unlock code.
    #[error("{0}: ask the station for an unlock code, and go online")]
    OnlineUnlock(OnlineBecause),
    /// The phone was too long without its station: records open again after an exchange. What waits is kept.
    #[error("{0}")]
    LeaseOver(LeaseOver),
    /// A fingerprint or face opens nothing now: enter the PIN.
    #[error("enter the PIN: {0}")]
    NeedsPin(&'static str),
    /// The phone was never enrolled, so that no station can let anybody in.
    #[error("this user was never enrolled at a station")]
    NotEnrolled,
    /// The unlock code is wrong, used, or run out.
    #[error("the code was not accepted: {0}; ask for a new one")]
    Code(String),
    /// No answer came: try again with the same code.
    #[error("{0}; try again with the same code")]
    Network(TransportFault),
    /// The station would not.
    #[error("the station refused ({code}): {text}")]
    Refused {
        /// Code of the refusal, or the HTTP status.
        code: String,
        /// For people.
        text: String,
    },
    /// What came back is not the station's word, or does not open the file.
    #[error("the answer cannot be believed: {0}")]
    Reply(String),
    /// The keystore.
    #[error("the phone's keystore: {0}")]
    Vault(#[from] VaultError),
    /// The disk.
    #[error("the lock's files: {0}")]
    Files(#[from] std::io::Error),
    /// Both copies of a file are damaged.
    #[error("the lock's file {0} is damaged in both copies: ask the station for an unlock code, and go online")]
    Damaged(String),
    /// The core.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Keys and messages.
    #[error(transparent)]
    Sync(#[from] SyncError),
}
