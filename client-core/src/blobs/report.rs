//! What a blob sync did, and why it ended.

use beatbook_protocol::id::Hash;

use crate::sync::WaitReason;
use crate::transport::Mistrust;

/// What a blob sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobReport {
    /// Calls sent, repeated ones included.
    pub calls: u32,
    /// Bytes of bodies sent.
    pub bytes_up: u64,
    /// Bytes of bodies received.
    pub bytes_down: u64,
    /// Own blobs that the station acknowledged by their hash.
    pub arrived: Vec<Hash>,
    /// Blobs that were fetched and verified.
    pub fetched: Vec<Hash>,
    /// Blobs that had a fault of their own and were passed over; `waiting_blobs` says which fault.
    pub passed_over: Vec<Hash>,
    /// Why it ended before all that the budget allows was done.
    pub fault: Option<BlobSyncFault>,
}

/// Why a blob sync ended early. Everything is kept; the text says what to do.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum BlobSyncFault {
    /// No connection, or the station is busy: the next one tries again.
    #[error("{0}; it will be tried again")]
    TryLater(WaitReason),
    /// The window is over: the next one goes on.
    #[error("the time, the calls or the bytes for this are used up; the next one goes on")]
    BudgetUsed,
    /// Whoever answered is not believed to be the station; nothing was sent.
    #[error("{0}; nothing was sent, and nothing is lost")]
    Untrusted(Mistrust),
    /// The token has run out: an exchange brings a new one.
    #[error("the station asks this phone to sign in: sync the records first")]
    SignInAgain,
    /// The station speaks another version: update the app.
    #[error("the station asks for another version of the app: update it")]
    UpgradeRequired,
}
