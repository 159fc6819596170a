//! HPKE (RFC 9180, base mode: DHKEM X25519 with HKDF-SHA256, HKDF-SHA256, ChaCha20-Poly1305) with the randomness given from outside.
//! The only place that names the `hpke` crate; knows nothing of what is sealed.

use std::convert::Infallible;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng};

use crate::id::Hash;
use crate::page::KeyError;

/// Something that cannot be sealed.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum SealError {
    /// The keystore does not sign.
    #[error(transparent)]
    Key(KeyError),
    /// The key that it is to be sealed to is none.
    #[error("the key to seal to is no X25519 key")]
    Recipient,
    /// More than a file may hold.
    #[error("this is more than one parcel may hold")]
    TooLong,
}

type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// A private key that opens what was sealed to its public one.
#[derive(Clone)]
pub struct SealingKey(Private);

/// A public key that anybody may seal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealingPublicKey([u8; 32]);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// The key of 32 random bytes (RFC 9180, 7.1.3: `DeriveKeyPair`). The same bytes give the same key.
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(X25519HkdfSha256::derive_keypair(secret).0)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> SealingPublicKey {
        SealingPublicKey(X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into())
    }

    /// Opens what was sealed to this key under `info`; nothing when it was not, or was changed.
    pub(crate) fn open(&self, encapsulated: &[u8], sealed: &[u8], info: &[u8]) -> Option<Vec<u8>> {
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let mode = OpModeR::Base;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&mode, &self.0, &encapsulated, info, sealed, &[]).ok()
    }
}

impl SealingPublicKey {
    /// Takes 32 bytes as they are; what is no key fails when it is sealed to.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals bytes to this key under `info`: the encapsulated key, and what only its owner can open.
    pub(crate) fn seal(&self, bytes: &[u8], info: &[u8], random: &[u8; 32]) -> Result<(Vec<u8>, Vec<u8>), SealError> {
        let to = Public::from_bytes(&self.0).map_err(|_| SealError::Recipient)?;
        let mut random = Given { seed: random, drawn: 0 };
        let (encapsulated, sealed) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &to,
            info,
            bytes,
            &[],
            &mut random,
        )
        .map_err(|_| SealError::Recipient)?;
        Ok((encapsulated.to_bytes().to_vec(), sealed))
    }
}

/// Random bytes that were given, as the generator that the crate asks for: block `n` is the hash of the seed and `n`.
struct Given<'s> {
    seed: &'s [u8; 32],
    drawn: u64,
}

impl TryRng for Given<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for part in into.chunks_mut(32) {
            let block = Hash::of(&[crate::codec::domain::SEAL, self.seed, &self.drawn.to_be_bytes()]);
            self.drawn += 1;
            for (to, from) in part.iter_mut().zip(block.as_bytes()) {
                *to = *from;
            }
        }
        Ok(())
    }
}

// What comes out is as hard to predict as the seed is.
impl TryCryptoRng for Given<'_> {}
