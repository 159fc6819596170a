//! `POST /sync/v1/enrol`: a one-time code becomes a book. The same code with the same key may be sent again and gets the same
//! answer, so that a lost reply loses nothing.

use minicbor::{Decode, Encode};

use super::{PinsOffer, SealingOffer};
use crate::codec::domain;
use crate::id::{BookId, UnitId, UserId};
use crate::time::UnixMillis;

/// A phone asks to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The one-time code.
    #[n(1)]
    pub code: String,
    /// The book that the phone has begun.
    #[n(2)]
    pub book: BookId,
    /// Signature suite of the key.
    #[n(3)]
    pub suite: u8,
    /// Public key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub key: Vec<u8>,
    /// Signature over [`enrol_message`]: the phone has the private key.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub proof: Vec<u8>,
    /// What the phone calls itself.
    #[n(6)]
    pub device: String,
    /// Version of the app.
    #[n(7)]
    pub app: String,
}

/// What a phone signs when it enrols.
#[must_use]
pub fn enrol_message(code: &str, book: BookId, key: &[u8]) -> Vec<u8> {
    [domain::ENROL, code.as_bytes(), &[0], book.as_bytes(), key].concat()
}

/// The book is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolResponse {
    /// The station's name in checkpoints, without the epoch.
    #[n(0)]
    pub origin: String,
    /// The station's name for people.
    #[n(1)]
    pub station: String,
    /// Whose book it is.
    #[n(2)]
    pub user: UserId,
    /// His name.
    #[n(3)]
    pub user_name: String,
    /// His roles by code.
    #[n(4)]
    pub roles: Vec<String>,
    /// His unit.
    #[n(5)]
    pub unit: UnitId,
    /// Ed25519 key of checkpoints, 32 bytes.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub checkpoint_key: Vec<u8>,
    /// Ed25519 key of receipts, 32 bytes.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub receipt_key: Vec<u8>,
    /// Bearer token for exchanges.
    #[n(8)]
    pub token: String,
    /// The station's clock.
    #[n(9)]
    pub server_time: UnixMillis,
    /// The key that parcels are sealed to; stations before parcels say nothing.
    #[n(10)]
    pub sealing: Option<SealingOffer>,
    /// The keys of the station's certificate, when it announces them.
    #[n(28)]
    pub pins: Option<PinsOffer>,
}
