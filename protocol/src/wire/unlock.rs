//! `POST /sync/v1/unlock`: a phone whose PIN is gone asks for the share of its key that the station keeps, with a one-time code; and the
//! share as a phone hands it over in an exchange. The station alone cannot open a phone with it, nor can the phone without it.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use crate::codec::domain;
use crate::id::{BookId, Hash};
use crate::parcel::{SealError, SealingKey, SealingPublicKey};
use crate::time::UnixMillis;

/// How long a phone may work without seeing its station, unless the station says otherwise: seven days, in milliseconds.
pub const LEASE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

const SHARE: &[u8] = b"share\0";
const RELEASE: &[u8] = b"release\0";

/// A share of a phone's key, sealed to the station.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyShare {
    /// HPKE's encapsulated key, 32 bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// The sealed 32 bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

impl KeyShare {
    /// Seals a share to the station's sealing key. `random` are fresh random bytes.
    ///
    /// # Errors
    /// When the key is none.
    pub fn seal(
        share: &[u8; 32],
        origin: &str,
        book: BookId,
        station: &SealingPublicKey,
        random: &[u8; 32],
    ) -> Result<Self, SealError> {
        let (encapsulated, sealed) = station.seal(share, &info(SHARE, origin, book), random)?;
        Ok(Self { encapsulated, sealed })
    }

    /// Opens it with the station's key; nothing when it is another's, was changed, or is no share.
    #[must_use]
    pub fn open(&self, origin: &str, book: BookId, key: &SealingKey) -> Option<Vec<u8>> {
        let share = key.open(&self.encapsulated, &self.sealed, &info(SHARE, origin, book))?;
        (share.len() == 32).then_some(share)
    }
}

/// What both sides call a share without showing it.
#[must_use]
pub fn share_name(share: &[u8]) -> Hash {
    Hash::of(&[domain::UNLOCK, SHARE, share])
}

/// A phone asks for its share.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UnlockRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The phone's book.
    #[n(1)]
    pub book: BookId,
    /// The one-time code that the person was given.
    #[n(2)]
    pub code: String,
    /// The key that the share is sealed to: made for this request, X25519.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub reply_key: [u8; 32],
    /// The book's signature over [`unlock_message`].
    #[cbor(n(4), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

/// What a book signs when it asks for its share.
#[must_use]
pub fn unlock_message(origin: &str, book: BookId, code: &str, reply_key: &[u8; 32]) -> Vec<u8> {
    [
        domain::UNLOCK,
        origin.as_bytes(),
        &[0],
        book.as_bytes(),
        code.as_bytes(),
        &[0],
        reply_key,
    ]
    .concat()
}

/// The share.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UnlockResponse {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The station's clock: a contact like that of an exchange.
    #[n(1)]
    pub server_time: UnixMillis,
    /// HPKE's encapsulated key, 32 bytes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// The share, sealed to the request's key.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
    /// The receipt key's signature over all of it, and what was asked.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl UnlockResponse {
    /// Seals a share to who asked, and signs. `random` are fresh random bytes.
    ///
    /// # Errors
    /// When the request's key is none.
    pub fn seal(
        share: &[u8],
        origin: &str,
        request: &UnlockRequest,
        server_time: UnixMillis,
        station: &SigningKey,
        random: &[u8; 32],
    ) -> Result<Self, SealError> {
        let to = SealingPublicKey::from_bytes(request.reply_key);
        let (encapsulated, sealed) = to.seal(share, &info(RELEASE, origin, request.book), random)?;
        let mut response = Self {
            version: request.version,
            server_time,
            encapsulated,
            sealed,
            signature: Vec::new(),
        };
        response.signature = station
            .sign(&response.message(origin, request.book, &request.reply_key))
            .to_bytes()
            .to_vec();
        Ok(response)
    }

    /// Opens it with the request's key; nothing when it is not this station's word on this request.
    #[must_use]
    pub fn open(&self, origin: &str, book: BookId, key: &SealingKey, station: &VerifyingKey) -> Option<Vec<u8>> {
        let signature = Signature::from_slice(&self.signature).ok()?;
        let message = self.message(origin, book, key.public_key().as_bytes());
        station.verify_strict(&message, &signature).ok()?;
        let share = key.open(&self.encapsulated, &self.sealed, &info(RELEASE, origin, book))?;
        (share.len() == 32).then_some(share)
    }

    fn message(&self, origin: &str, book: BookId, reply_key: &[u8; 32]) -> Vec<u8> {
        let said = Hash::of(&[&self.encapsulated, &self.sealed]);
        [
            domain::UNLOCK,
            RELEASE,
            origin.as_bytes(),
            &[0],
            book.as_bytes(),
            reply_key,
            &self.server_time.0.to_be_bytes(),
            said.as_bytes(),
        ]
        .concat()
    }
}

fn info(what: &[u8], origin: &str, book: BookId) -> Vec<u8> {
    [domain::SEAL, domain::UNLOCK, what, origin.as_bytes(), &[0], book.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WIRE_VERSION;

    const ORIGIN: &str = "beatbook/test";

    #[test]
    fn a_share_opens_for_its_station_and_book_alone() {
        let (station, book) = (SealingKey::from_bytes(&[1; 32]), BookId::from_bytes([2; 16]));
        let share = KeyShare::seal(&[9; 32], ORIGIN, book, &station.public_key(), &[3; 32]).unwrap();
        assert_eq!(share.open(ORIGIN, book, &station), Some(vec![9; 32]));
        assert_eq!(share.open("beatbook/other", book, &station), None);
        assert_eq!(share.open(ORIGIN, BookId::from_bytes([4; 16]), &station), None);
        assert_eq!(share.open(ORIGIN, book, &SealingKey::from_bytes(&[5; 32])), None);
    }

    #[test]
    fn a_released_share_opens_for_who_asked_and_only_with_the_stations_word() {
        let asker = SealingKey::from_bytes(&[1; 32]);
        let station = SigningKey::from_bytes(&[6; 32]);
        let request = UnlockRequest {
            version: WIRE_VERSION,
            book: BookId::from_bytes([2; 16]),
            code: "CODE".into(),
            reply_key: *asker.public_key().as_bytes(),
            signature: Vec::new(),
        };
        let seal =
            |station: &SigningKey| UnlockResponse::seal(&[9; 32], ORIGIN, &request, UnixMillis(7), station, &[3; 32]).unwrap();
        let open =
            |response: &UnlockResponse, key: &SealingKey| response.open(ORIGIN, request.book, key, &station.verifying_key());
        let response = seal(&station);
        assert_eq!(open(&response, &asker), Some(vec![9; 32]));
        assert_eq!(open(&response, &SealingKey::from_bytes(&[5; 32])), None);
        assert_eq!(open(&seal(&SigningKey::from_bytes(&[8; 32])), &asker), None);
        let later = UnlockResponse {
            server_time: UnixMillis(8),
            ..response
        };
        assert_eq!(open(&later, &asker), None, "the time is signed too: it extends the lease");
    }
}
