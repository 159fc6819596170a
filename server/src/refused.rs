//! What a phone is told of faults of the station and of bytes that are no message.

use beatbook_protocol::codec::CodecError;
use beatbook_protocol::wire::{Refusal, RefusalCode};

use crate::error::StationError;

/// What a phone is told of a fault of the station.
pub(crate) fn refusal_of(fault: &StationError) -> Refusal {
    let (code, text) = match fault {
        StationError::Ended(_) => return Refusal::new(&RefusalCode::SignIn, "exchange first: this book has ended"),
        StationError::Full | StationError::Store(_) => {
            (RefusalCode::TryLater, "the station cannot take anything in at the moment")
        }
        StationError::Exists(_)
        | StationError::NoStation(_)
        | StationError::Nested { .. }
        | StationError::Keys(_)
        | StationError::Behind { .. }
        | StationError::OtherHistory
        | StationError::Damaged(_)
        | StationError::Kind(_)
        | StationError::NotFound(_)
        | StationError::Forbidden(_)
        | StationError::Held { .. }
        | StationError::Invalid(_)
        | StationError::Io { .. } => (RefusalCode::Internal, "a fault of the station"),
    };
    tracing::error!(%fault, "request refused");
    let mut refusal = Refusal::new(&code, text);
    refusal.retry_after_ms = (code == RefusalCode::TryLater).then_some(30_000);
    refusal
}

/// What a phone is told of bytes that are not a message.
pub(crate) fn refusal_of_codec(fault: &CodecError) -> Refusal {
    let code = match fault {
        CodecError::TooLong { .. } => RefusalCode::TooLarge,
        CodecError::Malformed { .. } | CodecError::NotDeterministic { .. } | CodecError::TooDeep { .. } => RefusalCode::Malformed,
    };
    Refusal::new(&code, fault.to_string())
}
