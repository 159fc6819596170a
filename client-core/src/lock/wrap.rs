//! The wraps of a file's key: by the PIN, by finger or face, by the station's share. Pure: bytes in, bytes out; knows no files and no
//! keystore.
//!
//! The key of a wrap is HKDF-SHA256 (RFC 5869) over the part that the vault releases and the second half (argon2id of the PIN, RFC 9106; or the
//! share; nothing for finger and face, where the vault's gate is the second half). It seals the key of the file with XChaCha20-Poly1305.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

const DOMAIN: &[u8] = b"beatbook/lock/1";
const NONCE_BYTES: usize = 24;

/// The key of a user's file.
pub(super) type FileKey = Zeroizing<[u8; 32]>;

/// What a PIN costs to try: kept in each wrap, so that it can be raised at the next unlocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
pub struct PinCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl PinCost {
    /// RFC 9106, section 4, second recommendation (64 MiB, three passes), with one lane, since phones' other cores are others'. Above the
    /// OWASP minimum of 19 MiB and two passes. Measured with this build on one core of a server, 2026-11: 0.2 s; a phone of 2 GB is expected
    /// to take under a second, and 64 MiB are there for that moment.
    pub const PHONE: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
    };
}

/// The wrap by the PIN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PinWrap {
    /// Which of the vault's keys wrapped the part: a new one for each PIN.
    pub(super) generation: u64,
    pub(super) cost: PinCost,
    #[serde(with = "base64_text")]
    pub(super) salt: Vec<u8>,
    /// The vault's part, wrapped.
    #[serde(with = "base64_text")]
    pub(super) part: Vec<u8>,
    #[serde(with = "base64_text")]
    pub(super) sealed: Vec<u8>,
}

/// A wrap that the vault opens alone (finger, face), or with the station's share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartWrap {
    /// The vault's part, wrapped.
    #[serde(with = "base64_text")]
    pub(super) part: Vec<u8>,
    #[serde(with = "base64_text")]
    pub(super) sealed: Vec<u8>,
    /// Which share opens it; empty without one.
    #[serde(with = "base64_text")]
    pub(super) share: Vec<u8>,
}

/// Whose key is wrapped, and by what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) what: &'static str,
    pub(super) user: &'a str,
}

impl PinWrap {
    /// The second half of the key, by the cost that this wrap was made with.
    pub(super) fn harden(&self, pin: &str) -> Option<FileKey> {
        harden(pin, &self.salt, self.cost)
    }
}

/// argon2id of a PIN; none when the cost makes no sense.
pub(super) fn harden(pin: &str, salt: &[u8], cost: PinCost) -> Option<FileKey> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
    let mut half = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pin.as_bytes(), salt, half.as_mut_slice())
        .ok()?;
    Some(half)
}

/// Seals the key of a file under both halves.
pub(super) fn close(of: Of<'_>, halves: (&[u8], &[u8]), nonce: [u8; NONCE_BYTES], file_key: &FileKey) -> Option<Vec<u8>> {
    let key = wrapping(of, halves)?;
    seal(&key, nonce, &bound(of), file_key.as_slice())
}

/// Opens it again; nothing when a half is another.
pub(super) fn disclose(of: Of<'_>, halves: (&[u8], &[u8]), sealed: &[u8]) -> Option<FileKey> {
    let key = wrapping(of, halves)?;
    let bytes = open(&key, &bound(of), sealed)?;
    let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(key))
}

fn wrapping(of: Of<'_>, (part, half): (&[u8], &[u8])) -> Option<FileKey> {
    let mut input = Zeroizing::new(Vec::with_capacity(part.len() + half.len()));
    input.extend_from_slice(part);
    input.extend_from_slice(half);
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(DOMAIN), &input)
        .expand(&bound(of), key.as_mut_slice())
        .ok()?;
    Some(key)
}

fn bound(of: Of<'_>) -> Vec<u8> {
    [of.what.as_bytes(), &[0], of.user.as_bytes()].concat()
}

/// Seals bytes; the nonce stands in front.
pub(super) fn seal(key: &[u8; 32], nonce: [u8; NONCE_BYTES], aad: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&nonce.into(), Payload { msg: bytes, aad })
        .ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// Opens sealed bytes.
pub(super) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let opened = XChaCha20Poly1305::new(key.into()).decrypt(&(*nonce).into(), Payload { msg: sealed, aad });
    opened.ok().map(Zeroizing::new)
}

/// Bytes as text in the lock's files.
pub(super) mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}
