//! Samples of what a station says about the keys of its certificate.

use beatbook_protocol::codec;
use beatbook_protocol::ledger::StationKey;
use beatbook_protocol::wire::{EnrolResponse, ExchangeResponse, PinsOffer};

use super::*;

/// What announced keys add, by the names of their rules.
pub(super) fn pin_forms() -> [(&'static str, &'static str, Vec<u8>); 3] {
    let offer = || PinsOffer::sign(&pins(), ORIGIN, AT, &StationKey::from_bytes(&[14; 32]));
    let enrolled = EnrolResponse {
        pins: Some(offer()),
        ..enrolment().1
    };
    let told = ExchangeResponse {
        pins: Some(offer()),
        ..exchange_response()
    };
    [
        ("pins", "pins", codec::to_bytes(&offer())),
        ("enrol-response", "enrol-response-pins", codec::to_bytes(&enrolled)),
        ("exchange-response", "exchange-response-pins", codec::to_bytes(&told)),
    ]
}

/// The present key, and the next.
pub(crate) fn pins() -> [Hash; 2] {
    [Hash::from_bytes([41; 32]), Hash::from_bytes([42; 32])]
}
