//! Signature suites. One byte, fixed at enrolment, nothing negotiated: 1 is P-256 with SHA-256, which phone keystores hold in
//! hardware; 2 (Ed25519) and 3 (SM2 with SM3) are reserved.

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};

/// P-256 with SHA-256.
pub const P256_SHA256: u8 = 1;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// The suite is not one of ours, or only reserved.
    #[error("signature suite {0} is not in use; this version knows suite 1 (P-256 with SHA-256)")]
    Suite(u8),
    /// Not a key of the suite.
    #[error("not a key of the suite")]
    Malformed,
    /// The keystore would not sign.
    #[error("the keystore did not sign: {0}")]
    Refused(String),
}

/// Whatever holds a book's private key: a phone's keystore, or [`BookKey`] on a desktop and in tests.
pub trait Signer {
    /// Signs a message; the signature need not be the same each time.
    ///
    /// # Errors
    /// When the keystore is locked, gone or busy.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// The public key.
    fn public_key(&self) -> BookPublicKey;
}

/// A private key in memory.
#[derive(Clone)]
pub struct BookKey(SigningKey);

impl BookKey {
    /// Takes 32 random bytes as a private key.
    ///
    /// # Errors
    /// When they are not one (zero or beyond the group's order: once in 2^32 draws; draw again).
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, KeyError> {
        SigningKey::from_slice(secret).map(Self).map_err(|_| KeyError::Malformed)
    }

    /// The 32 bytes to keep.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }
}

impl std::fmt::Debug for BookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BookKey(..)")
    }
}

impl Signer for BookKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: Signature = self
            .0
            .try_sign(message)
            .map_err(|fault| KeyError::Refused(fault.to_string()))?;
        Ok(signature.to_bytes().to_vec())
    }

    fn public_key(&self) -> BookPublicKey {
        BookPublicKey(*self.0.verifying_key())
    }
}

/// The 64 bytes, r and s, of a signature as a keystore gives it: these, or DER (Android Keystore, Secure Enclave); none when it is neither.
#[must_use]
pub fn plain_signature(bytes: &[u8]) -> Option<Vec<u8>> {
    let signature = Signature::from_slice(bytes).or_else(|_| Signature::from_der(bytes));
    signature.ok().map(|signature| signature.to_bytes().to_vec())
}

/// A book's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookPublicKey(VerifyingKey);

impl BookPublicKey {
    /// Reads a key of a suite: for P-256 a SEC 1 point.
    ///
    /// # Errors
    /// When the suite is not in use or the bytes are no point on the curve.
    pub fn parse(suite: u8, bytes: &[u8]) -> Result<Self, KeyError> {
        if suite != P256_SHA256 {
            return Err(KeyError::Suite(suite));
        }
        VerifyingKey::from_sec1_bytes(bytes)
            .map(Self)
            .map_err(|_| KeyError::Malformed)
    }

    /// The suite's byte.
    #[must_use]
    pub const fn suite(&self) -> u8 {
        P256_SHA256
    }

    /// The compressed SEC 1 point, 33 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_sec1_point(true).as_bytes().to_vec()
    }

    /// Whether the signature (64 bytes, r and s) is this key's over the message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}
