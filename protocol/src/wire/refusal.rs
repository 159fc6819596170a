//! A whole request refused: nothing of it was stored. What to do is in the code; what to tell people is in the text.

use minicbor::{Decode, Encode};

use super::BlobRefusal;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalCode {
    /// The message is malformed: a fault of the program, not of the user.
    Malformed,
    /// The message is larger than allowed.
    TooLarge,
    /// The token has run out or is unknown: sign the challenge.
    SignIn,
    /// The book is not enrolled here.
    UnknownBook,
    /// The code of an enrolment is wrong, used or run out.
    EnrolmentCode,
    /// The person is blocked: nothing is enrolled for him.
    Blocked,
    /// The station wants a proof that the key lives in a phone's hardware, and has none that holds.
    Attestation,
    /// The book is enrolled, and its chief has not compared the check digits yet.
    AwaitingConfirmation,
    /// The version of these messages is not spoken here.
    Version,
    /// The station is busy or restarting: try again later.
    TryLater,
    /// A fault of the station.
    Internal,
    /// A code of a later version.
    Other(String),
}

impl RefusalCode {
    /// The code on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::SignIn => "sign_in",
            Self::UnknownBook => "unknown_book",
            Self::EnrolmentCode => "enrolment_code",
            Self::Blocked => "blocked",
            Self::Attestation => "attestation",
            Self::AwaitingConfirmation => "awaiting_confirmation",
            Self::Version => "version",
            Self::TryLater => "try_later",
            Self::Internal => "internal",
            Self::Other(code) => code,
        }
    }

    /// The HTTP status that carries it.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Other(code) => BlobRefusal::from_code(code).map_or(400, BlobRefusal::http_status),
            Self::Malformed => 400,
            Self::TooLarge => 413,
            Self::SignIn => 401,
            Self::UnknownBook | Self::EnrolmentCode | Self::Blocked | Self::Attestation | Self::AwaitingConfirmation => 403,
            Self::Version => 426,
            Self::TryLater => 503,
            Self::Internal => 500,
        }
    }
}

impl From<&str> for RefusalCode {
    fn from(code: &str) -> Self {
        [
            Self::Malformed,
            Self::TooLarge,
            Self::SignIn,
            Self::UnknownBook,
            Self::EnrolmentCode,
            Self::Blocked,
            Self::Attestation,
            Self::AwaitingConfirmation,
            Self::Version,
            Self::TryLater,
            Self::Internal,
        ]
        .into_iter()
        .find(|known| known.as_str() == code)
        .unwrap_or_else(|| Self::Other(code.to_owned()))
    }
}

/// A request refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{code}: {text}")]
#[cbor(map)]
pub struct Refusal {
    /// Stable code, see [`RefusalCode`].
    #[n(0)]
    pub code: String,
    /// For people.
    #[n(1)]
    pub text: String,
    /// Milliseconds to wait before trying again, when that helps.
    #[n(2)]
    pub retry_after_ms: Option<u64>,
    /// With `sign_in`: what the book signs to get a new token.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub challenge: Option<Vec<u8>>,
}

impl Refusal {
    /// A refusal without more.
    #[must_use]
    pub fn new(code: &RefusalCode, text: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            text: text.into(),
            retry_after_ms: None,
            challenge: None,
        }
    }

    /// The code as this version knows it.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        RefusalCode::from(self.code.as_str())
    }
}
