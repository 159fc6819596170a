//! `POST /sync/v1/enrol`: a one-time code becomes a book. The same code with the same key may be sent again and gets the same
//! answer, so that a lost reply loses nothing.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use super::{PinsOffer, SealingOffer};
use crate::codec::domain;
use crate::id::{BookId, Hash, UnitId, UserId};
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
    /// What the phone's maker says of the key, where there is such a thing.
    #[n(8)]
    pub attestation: Option<Attestation>,
}

/// A statement that the key lives in a phone's hardware.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attestation {
    /// Its form: `android-key` and `apple-appattest` are reserved, `none` says that there is none.
    #[n(0)]
    pub format: String,
    /// The statement in that form, made over [`attestation_challenge`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub statement: Vec<u8>,
}

/// What an attestation is made over, so that it fits one enrolment alone.
#[must_use]
pub fn attestation_challenge(code: &str, book: BookId) -> Hash {
    Hash::of(&[domain::ATTESTATION, code.as_bytes(), &[0], book.as_bytes()])
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
    /// Whether the book's pages wait until the chief has compared the check digits.
    #[n(11)]
    pub awaits: Option<bool>,
    /// What the station drew for the check digits, after it had the phone's key.
    #[cbor(n(12), with = "minicbor::bytes")]
    pub nonce: Option<[u8; 16]>,
    /// Ed25519 signature of the receipt key over [`enrolled_message`].
    #[cbor(n(13), with = "minicbor::bytes")]
    pub signature: Option<Vec<u8>>,
    /// The keys of the station's certificate, when it announces them.
    #[n(28)]
    pub pins: Option<PinsOffer>,
}

impl EnrolResponse {
    /// Puts the station's word on the book that it took in: a nonce, and a signature over it with the book and its key.
    pub fn sign(&mut self, request: &EnrolRequest, nonce: [u8; 16], receipt_key: &SigningKey) {
        let message = enrolled_message(&self.origin, &nonce, request.book, &request.key);
        self.nonce = Some(nonce);
        self.signature = Some(receipt_key.sign(&message).to_bytes().to_vec());
    }

    /// The check digits of this enrolment; none from a station that tells no nonce, or when its word on the book is not signed by the
    /// receipt key that it names.
    #[must_use]
    pub fn check_digits(&self, code: &str, book: BookId, key: &[u8]) -> Option<String> {
        let nonce = self.nonce?;
        let receipt_key = VerifyingKey::from_bytes(self.receipt_key.as_slice().try_into().ok()?).ok()?;
        let signature = Signature::from_slice(self.signature.as_ref()?).ok()?;
        let message = enrolled_message(&self.origin, &nonce, book, key);
        receipt_key.verify_strict(&message, &signature).ok()?;
        let station = station_fingerprint(&self.origin, &self.checkpoint_key, &self.receipt_key);
        Some(check_digits(&station, &nonce, code, book, key))
    }
}

/// What a station signs about a book that it took in.
#[must_use]
pub fn enrolled_message(origin: &str, nonce: &[u8; 16], book: BookId, key: &[u8]) -> Vec<u8> {
    [domain::ENROLLED, origin.as_bytes(), &[0], nonce, book.as_bytes(), key].concat()
}

/// What stands for a station and its keys.
#[must_use]
pub fn station_fingerprint(origin: &str, checkpoint_key: &[u8], receipt_key: &[u8]) -> Hash {
    Hash::of(&[domain::STATION, origin.as_bytes(), &[0], checkpoint_key, receipt_key])
}

/// How often the hash behind the check digits is hashed again: some milliseconds on a phone, and 2^52 hashes for who must find a key of
/// his own under which a phone shows the station's digits while it waits for its answer.
const CHECK_ROUNDS: u32 = 4096;
/// How many different check digits there are.
const CHECK_NUMBERS: u64 = 1_000_000_000_000;

/// Twelve digits that both screens show when a phone enrols, `1234 5678 9012`: equal when both have the same keys of the station, the same
/// book, its same key, and the same code. The nonce is drawn by the station after it has the phone's key, so that who stands between
/// cannot look for a key of his own beforehand.
#[must_use]
pub fn check_digits(station: &Hash, nonce: &[u8; 16], code: &str, book: BookId, key: &[u8]) -> String {
    let code = code_letters(code);
    let mut hash = Hash::of(&[
        domain::CHECK,
        station.as_bytes(),
        nonce,
        code.as_bytes(),
        &[0],
        book.as_bytes(),
        key,
    ]);
    for _ in 0..CHECK_ROUNDS {
        hash = Hash::of(&[domain::CHECK, hash.as_bytes()]);
    }
    let first: [u8; 8] = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    let number = u64::from_be_bytes(first) % CHECK_NUMBERS;
    format!(
        "{:04} {:04} {:04}",
        number / 100_000_000,
        number / 10_000 % 10_000,
        number % 10_000
    )
}

/// A code as it counts: as people may type it, without dashes, spaces and small letters.
#[must_use]
pub fn code_letters(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(station: u8, nonce: u8, code: &str, book: u8, key: &[u8]) -> String {
        check_digits(
            &Hash::from_bytes([station; 32]),
            &[nonce; 16],
            code,
            BookId::from_bytes([book; 16]),
            key,
        )
    }

    #[test]
    fn check_digits_are_twelve_and_stand_for_everything_that_both_ends_must_agree_on() {
        let told = digits(1, 2, "ABCDE-FGHJK", 3, &[4; 33]);
        let shape: Vec<usize> = told.split(' ').map(str::len).collect();
        assert_eq!(shape, [4, 4, 4], "{told}");
        assert!(told.chars().all(|letter| letter.is_ascii_digit() || letter == ' '));
        assert_eq!(told, digits(1, 2, "abcde fghjk", 3, &[4; 33]), "however the code was typed");
        for other in [
            digits(9, 2, "ABCDE-FGHJK", 3, &[4; 33]),
            digits(1, 9, "ABCDE-FGHJK", 3, &[4; 33]),
            digits(1, 2, "ABCDE-FGHJ0", 3, &[4; 33]),
            digits(1, 2, "ABCDE-FGHJK", 9, &[4; 33]),
            digits(1, 2, "ABCDE-FGHJK", 3, &[5; 33]),
        ] {
            assert_ne!(told, other);
        }
    }
}
