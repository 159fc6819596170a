//! What a sync may use, what it reports, and how it ends.

use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::page::KeyError;
use beatbook_protocol::time::UnixMillis;

use super::parcel::Deliveries;
use crate::error::CoreError;
use crate::transport::{Mistrust, TransportFault};

/// What one sync may use: a background window of the system is short, a metered network is dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of entries in one request, before compression. One page goes through even if it is larger.
    pub bytes_up_max: usize,
    /// Bytes of feed in one reply; none leaves it to the station.
    pub feed_bytes_max: Option<u32>,
    /// Requests that are answered; the next sync goes on where this one stopped.
    pub requests_max: u32,
    /// Failures in a row, after which it ends.
    pub failures_max: u32,
    /// No request and no wait begins that would be after this time.
    pub deadline: Option<UnixMillis>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes_up_max: 2 * 1024 * 1024,
            feed_bytes_max: None,
            requests_max: 10_000,
            failures_max: 4,
            deadline: None,
        }
    }
}

/// Why a sync waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// No answer came.
    Network(TransportFault),
    /// The station asked for it, or had a fault of its own.
    Station(String),
    /// The station answered, and yet nothing moved.
    NoProgress,
    /// It does not know this book, which has ended: enrolling again takes that back, and what waits goes along.
    UnknownBook,
}

impl std::fmt::Display for WaitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(fault) => fault.fmt(f),
            Self::Station(text) => f.write_str(text),
            Self::NoProgress => f.write_str("the station answers, but takes nothing in"),
            Self::UnknownBook => f.write_str(
                "the station was restored and does not know this phone: ask the chief for an invitation and enrol again; what waits is kept",
            ),
        }
    }
}

/// Something that an app may want to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncEvent {
    /// These records look different now.
    RecordsChanged(Vec<RecordId>),
    /// An own entry was refused and is set aside.
    CameBack {
        /// Its record, when it is about one.
        record: Option<RecordId>,
        /// The entry.
        entry: Hash,
        /// Why, as a code.
        code: String,
        /// Why, for people.
        text: String,
    },
    /// Others wrote different values at the same time.
    Conflict {
        /// Where.
        record: RecordId,
    },
    /// There are new kinds, or new versions.
    KindsChanged,
    /// A page could not be taken in; its entries are sealed anew.
    PageResealed {
        /// The station's code for what was wrong.
        fault: String,
    },
    /// The station was restored from a backup; what it lost of ours is sent again, and what it lost of others' is given back.
    StationRestored {
        /// The new life of its ledger.
        epoch: u64,
    },
    /// Another copy of this file had gone on where this one stood: it goes on in a new life, and all of both is kept.
    OldCopy,
    /// A record left this user's scope.
    LeftScope {
        /// Which.
        record: RecordId,
        /// Whether it is here still, since own work hangs on it; it goes when that is dealt with.
        is_kept: bool,
    },
    /// A restored station would not have back what it lost: kept here, and shown no longer.
    NotTakenBack {
        /// Its record.
        record: RecordId,
        /// The entry.
        entry: Hash,
        /// Why, as a code.
        code: String,
        /// Why, for people.
        text: String,
    },
    /// The station destroyed a record, or its private document alone: it is gone from this phone too.
    Destroyed {
        /// Which.
        record: RecordId,
        /// Whether the private document alone.
        private_only: bool,
        /// Own entries on it that the station had not taken in: they are among what came back, in words.
        stranded: u64,
    },
    /// This phone and the station hold different records, and comparing them did not help: tell the operator.
    DigestsDiffer,
}

/// Why a sync ended before all was done. Everything is kept; the text says what to do.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum SyncFault {
    /// No connection, or the station is busy: the next sync tries again.
    #[error("{0}; it will be tried again")]
    TryLater(WaitReason),
    /// The window is over: the next sync goes on.
    #[error("the time or the requests for this sync are used up; the next one goes on")]
    BudgetUsed,
    /// Whoever answered is not believed to be the station. Nothing was sent; the next sync looks again, perhaps on another network.
    #[error("{0}; nothing was sent, and nothing is lost")]
    Untrusted(Mistrust),
    /// The station does not take the book's signature.
    #[error("the station does not accept this phone's signature: sign in again")]
    SignInAgain,
    /// The station does not know this book: enrol again; what waits goes along.
    #[error("the station does not know this phone: enrol it again; nothing that waits is lost")]
    UnknownBook,
    /// The chief has not compared the check digits of this phone yet: show them ([`super::enrolment`]).
    #[error(
        "the station waits until the chief has compared this phone's check digits: show them to him; nothing that waits is lost"
    )]
    AwaitingConfirmation,
    /// The station has put this phone out of use: go on with [`crate::drive::part_user`] ([`crate::drive::part`] without a lock).
    #[error("the station has put this phone out of use ({why}): what waits is handed in, then keys and records are destroyed")]
    Ended {
        /// `lost`, `retired`, `transferred` or `blocked`.
        why: String,
    },
    /// The station speaks another version: update the app.
    #[error("the station asks for another version of the app: update it")]
    UpgradeRequired,
    /// The station refuses what we send: report it.
    #[error("the station refused the request ({code}): {text}; report this")]
    Refused {
        /// Code of the refusal, or the HTTP status.
        code: String,
        /// For people.
        text: String,
    },
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncReport {
    /// Requests sent, repeated ones included.
    pub requests: u32,
    /// Bytes of messages sent, compressed, without HTTP's own.
    pub bytes_up: u64,
    /// Bytes of messages received, likewise.
    pub bytes_down: u64,
    /// Own pages answered.
    pub pages: u64,
    /// Own entries answered.
    pub entries: u64,
    /// Of those: taken in, now or before.
    pub accepted: u64,
    /// Of those: refused.
    pub refused: u64,
    /// Entries of others taken in.
    pub feed_entries: u64,
    /// What to show, in order.
    pub events: Vec<SyncEvent>,
    /// Whether nothing was left to do on either side.
    pub complete: bool,
    /// Why not, if not.
    pub fault: Option<SyncFault>,
    /// Milliseconds after which the station asks to be asked again, while no hint comes; within a second and an hour. None leaves it to the app.
    pub ask_again_ms: Option<u64>,
    /// What became of the parcels that this phone carries for others; their requests and bytes are not in the figures above.
    pub parcels: Deliveries,
}

/// The pause between syncs that a station asks for, as far as a phone heeds it: its battery is not the station's, and a broken clock there must
/// not silence it.
pub(super) fn ask_again(millis: u64) -> u64 {
    millis.clamp(1_000, 3_600_000)
}

/// A sync that cannot go on. Nothing of the reply at hand was stored, and everything before it was.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The phone has no book yet.
    #[error("this phone is not enrolled: enrol it first")]
    NotEnrolled,
    /// The station's ledger is not the one that the phone has seen: a rewritten or rolled back station, or a copy of it.
    #[error("the station's ledger is not the one that this phone has seen ({0}): nothing was taken over; tell the operator")]
    StationChanged(String),
    /// The reply is not the station's word, or not an answer to what was asked (a captive portal, a proxy, another station).
    #[error("the reply cannot be believed: {0}; nothing was taken over")]
    Reply(String),
    /// The keystore does not sign: unlock the phone and try again.
    #[error("pages cannot be signed: {0}")]
    Key(#[from] KeyError),
    /// The vault has lost the book's key: enrol again; nothing that waits is lost.
    #[error("the key of this phone's book is gone: enrol the phone again; nothing that waits is lost")]
    KeyLost,
    /// The store.
    #[error(transparent)]
    Core(#[from] CoreError),
}
