//! `POST /sync/v1/parcels`: a phone delivers a parcel that it carries for another, and brings the answer back. The same parcel may come
//! any number of times, from anybody: its pages are known by their hash, and the verdicts stay the same.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use crate::parcel::{SealingPublicKey, sealing_message};

/// A carrier delivers a parcel, under its own book's token.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeliverRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The parcel's file.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub parcel: Vec<u8>,
}

/// The parcel was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeliverResponse {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The answer's file, which only the author's phone can open.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub answer: Vec<u8>,
}

/// The station's sealing key, under the signature of its receipt key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealingOffer {
    /// X25519 key, 32 bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// Ed25519 signature over [`sealing_message`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl SealingOffer {
    /// Signs a sealing key.
    #[must_use]
    pub fn sign(key: &SealingPublicKey, origin: &str, receipt_key: &SigningKey) -> Self {
        let signature = receipt_key.sign(&sealing_message(origin, key.as_bytes()));
        Self {
            key: *key.as_bytes(),
            signature: signature.to_bytes().to_vec(),
        }
    }

    /// The key, if the station of these names signed it.
    #[must_use]
    pub fn verify(&self, origin: &str, receipt_key: &VerifyingKey) -> Option<SealingPublicKey> {
        let signature = Signature::from_slice(&self.signature).ok()?;
        let message = sealing_message(origin, &self.key);
        receipt_key.verify_strict(&message, &signature).ok()?;
        Some(SealingPublicKey::from_bytes(self.key))
    }
}
