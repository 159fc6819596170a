//! What can go wrong between a request and its answer, whoever asked. Says it twice: to people as a problem (`problem`), to phones as a
//! `Refusal`; both matches are exhaustive.

use beatbook_protocol::wire::{BlobRefusal, Refusal, RefusalCode};

use crate::blobs::BlobFault;
use crate::station::{ActError, SignInError, StationError};

/// A busy station asks for this long a pause: several exchanges' time, short enough for a phone's background window.
const BUSY_RETRY_MS: u64 = 3_000;

/// A request that was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No token, or none that is valid.
    Token,
    /// No such route.
    NoRoute,
    /// The route has no such method.
    NoMethod,
    /// The request does not say what the call needs.
    Malformed(String),
    /// The body is of another type.
    MediaType(&'static str),
    /// The body is longer than the call takes.
    TooLarge(usize),
    /// The body did not come in time.
    Slow,
    /// More calls at work than allowed.
    Busy,
    /// The work took longer than a request may.
    Overdue,
    /// A fault of the program: a panic, or a reply that could not be written; where is in the log.
    Internal,
    /// An act without the version that the person saw.
    NoVersion,
    /// No such record in the person's scope.
    NoRecord,
    /// The station's own fault or refusal.
    Station(StationError),
    /// The act was not done.
    Act(ActError),
    /// A blob was not taken or given.
    Blob(BlobRefusal),
    /// What is asked for is masked; whether a reason is enough, or glass must be broken.
    Masked {
        /// Whether the person works on the record.
        works: bool,
    },
    /// A page of another site made the call, or it does not say that one of this station did.
    OtherSite,
    /// Somebody was not signed in, or may not what is asked about it.
    SignIn(SignInError),
}

impl From<SignInError> for Fault {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Station(error) => Self::Station(error),
            SignInError::Busy => Self::Busy,
            other => Self::SignIn(other),
        }
    }
}

impl From<BlobFault> for Fault {
    fn from(fault: BlobFault) -> Self {
        match fault {
            BlobFault::Refused(refusal) => Self::Blob(refusal),
            BlobFault::Malformed(text) => Self::Malformed(text),
            BlobFault::Station(error) => Self::Station(error),
        }
    }
}

impl From<StationError> for Fault {
    fn from(error: StationError) -> Self {
        Self::Station(error)
    }
}

impl From<ActError> for Fault {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Station(error) => Self::Station(error),
            ActError::NotFound => Self::NoRecord,
            other => Self::Act(other),
        }
    }
}

impl Fault {
    /// What a phone is told.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Token | Self::OtherSite | Self::SignIn(_) => {
                Refusal::new(&RefusalCode::SignIn, "the token is missing or unknown: sign in again")
            }
            Self::NoRoute | Self::NoMethod | Self::NoVersion | Self::NoRecord => Refusal::new(
                &RefusalCode::Malformed,
                "there is no such call: calls are POST /sync/v1/enrol, exchange, parcels, unlock, notes and wiped, and GET /sync/v1/hints",
            ),
            Self::Blob(refusal) => refusal.refusal(),
            Self::Malformed(text) => Refusal::new(&RefusalCode::Malformed, text),
            Self::MediaType(expected) => Refusal::new(&RefusalCode::Malformed, format!("the body must be {expected}")),
            Self::TooLarge(max) => Refusal::new(
                &RefusalCode::TooLarge,
                format!("the body is longer than {max} bytes: send fewer pages at once"),
            ),
            Self::Slow => later("the body stood still for too long: send it again", None),
            Self::Busy => later("the station is busy: try again later", Some(BUSY_RETRY_MS)),
            Self::Overdue => later(
                "the station was not done in time: send the same again, what was taken in is known",
                Some(BUSY_RETRY_MS),
            ),
            Self::Station(StationError::Full) => later("the station's disk is full: keep everything and try again later", None),
            Self::Internal | Self::Station(_) | Self::Act(_) | Self::Masked { .. } => Refusal::new(
                &RefusalCode::Internal,
                "a fault of the station; it is in its log under this reply's x-request-id",
            ),
        }
    }

    /// Milliseconds after which the same request may be done, where waiting helps.
    pub(crate) const fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Busy | Self::Overdue => Some(BUSY_RETRY_MS),
            Self::SignIn(SignInError::Throttled { retry_after_ms }) => Some(*retry_after_ms),
            Self::Token
            | Self::NoRoute
            | Self::NoMethod
            | Self::Malformed(_)
            | Self::MediaType(_)
            | Self::TooLarge(_)
            | Self::Slow
            | Self::Internal
            | Self::NoVersion
            | Self::NoRecord
            | Self::Station(_)
            | Self::Act(_)
            | Self::Masked { .. }
            | Self::Blob(_)
            | Self::OtherSite
            | Self::SignIn(_) => None,
        }
    }
}

fn later(text: &str, retry_after_ms: Option<u64>) -> Refusal {
    Refusal {
        retry_after_ms,
        ..Refusal::new(&RefusalCode::TryLater, text)
    }
}
