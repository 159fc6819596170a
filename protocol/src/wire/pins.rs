//! The keys of the station's own certificate, as the station announces them: what a phone compares the certificate with that it is shown. The
//! announcement bears the receipt key's signature, so that whoever holds the transport alone cannot change what the transport is held to.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use crate::codec::domain;
use crate::id::Hash;
use crate::limits::PINS_MAX;
use crate::time::UnixMillis;

/// Pins under the signature of the station's receipt key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PinsOffer {
    /// When the station signed this, by its clock: an older announcement never takes the place of a newer one.
    #[n(0)]
    pub at: UnixMillis,
    /// SHA-256 of the SubjectPublicKeyInfo (RFC 7469, 2.4) of each key that the station shows now or will show next, the present one
    /// first. Without any, the phone holds its station to the deployment's roots alone.
    #[n(1)]
    pub pins: Vec<Hash>,
    /// Ed25519 signature over [`pins_message`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl PinsOffer {
    /// Signs an announcement; pins beyond [`PINS_MAX`] are left out.
    #[must_use]
    pub fn sign(pins: &[Hash], origin: &str, at: UnixMillis, receipt_key: &SigningKey) -> Self {
        let pins: Vec<Hash> = pins.iter().take(PINS_MAX).copied().collect();
        let signature = receipt_key.sign(&pins_message(origin, at, &pins));
        Self {
            at,
            pins,
            signature: signature.to_bytes().to_vec(),
        }
    }

    /// Whether this is the word of the station with that name and key, and no longer than one may be.
    #[must_use]
    pub fn verifies(&self, origin: &str, receipt_key: &VerifyingKey) -> bool {
        let message = pins_message(origin, self.at, &self.pins);
        self.pins.len() <= PINS_MAX
            && Signature::from_slice(&self.signature)
                .is_ok_and(|signature| receipt_key.verify_strict(&message, &signature).is_ok())
    }
}

/// What a station signs about the keys of its certificate.
#[must_use]
pub fn pins_message(origin: &str, at: UnixMillis, pins: &[Hash]) -> Vec<u8> {
    let mut message = [domain::PINS, origin.as_bytes(), &[0], &at.0.to_be_bytes()].concat();
    message.extend(pins.iter().flat_map(|pin| *pin.as_bytes()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::StationKey;

    const AT: UnixMillis = UnixMillis(1_795_000_000_000);

    #[test]
    fn pins_are_believed_only_as_this_station_signed_them() {
        let key = StationKey::from_bytes(&[7; 32]);
        let pins = [Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32])];
        let offer = PinsOffer::sign(&pins, "beatbook/a", AT, &key);
        assert!(offer.verifies("beatbook/a", &key.verifying_key()));
        let other = StationKey::from_bytes(&[8; 32]);
        assert!(!offer.verifies("beatbook/a", &other.verifying_key()));
        assert!(!offer.verifies("beatbook/b", &key.verifying_key()));
        let mut turned = offer.clone();
        turned.pins.reverse();
        let mut later = offer.clone();
        later.at = AT.plus(1);
        let mut fewer = offer.clone();
        fewer.pins.pop();
        let mut unsigned = offer;
        unsigned.signature.clear();
        for changed in [turned, later, fewer, unsigned] {
            assert!(!changed.verifies("beatbook/a", &key.verifying_key()), "{changed:?}");
        }
    }

    #[test]
    fn more_pins_than_a_station_has_keys_are_not_announced_and_not_believed() {
        let key = StationKey::from_bytes(&[7; 32]);
        let pins = vec![Hash::from_bytes([1; 32]); PINS_MAX + 1];
        let offer = PinsOffer::sign(&pins, "o", AT, &key);
        assert_eq!(offer.pins.len(), PINS_MAX);
        assert!(offer.verifies("o", &key.verifying_key()));
        let signature = key.sign(&pins_message("o", AT, &pins)).to_bytes().to_vec();
        let long = PinsOffer { at: AT, pins, signature };
        assert!(!long.verifies("o", &key.verifying_key()));
    }
}
