//! What the lock asks of a phone's keystore: keys that never leave it, under which it wraps bytes. Knows nothing of what is wrapped.
//!
//! A keystore that makes, uses and deletes non-exportable keys is enough (Android Keystore with AES-GCM, iOS Keychain and Secure Enclave);
//! counters are not asked for, since hardly any offers them to an app: deleting keys takes their place (`ward`).

use zeroize::Zeroizing;

/// What the keystore asks for before it uses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Nothing but that this app runs and the phone was unlocked once since its start.
    Open,
    /// A fingerprint or face at each use; the key ends for good when those that the phone knows change.
    Biometric,
}

/// What a keystore did not do.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum VaultError {
    /// The key is not there: it was deleted, or ended when fingerprints or faces changed, or belongs to another phone.
    #[error("the key is gone")]
    Gone,
    /// The bytes were not wrapped under this key, or were changed.
    #[error("the bytes were changed, or wrapped under another key")]
    Broken,
    /// The person did not show finger or face, or the phone itself is locked: ask again.
    #[error("the phone did not recognise its user")]
    Denied,
    /// This phone cannot do that.
    #[error("this phone has no {0}")]
    Unsupported(&'static str),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A phone's keystore. Names of keys are the lock's, and stay below 100 ASCII characters.
pub trait DeviceVault: Send + Sync {
    /// Wraps bytes (at most 16 KiB) under a key of this name. Makes the key, with this gate, when there is none; what it is called on disk
    /// must be durable before this returns.
    ///
    /// # Errors
    /// When the keystore gives none.
    fn wrap(&self, key: &str, gate: Gate, bytes: &[u8]) -> Result<Vec<u8>, VaultError>;

    /// Gives wrapped bytes back.
    ///
    /// # Errors
    /// [`VaultError::Gone`] when there is no such key, [`VaultError::Broken`] when the bytes are not what it wrapped.
    fn release(&self, key: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError>;

    /// Deletes a key for good, or does nothing when there is none. What it wrapped can never be read again, whatever copies there are.
    ///
    /// # Errors
    /// When it may still be there.
    fn forget(&self, key: &str) -> Result<(), VaultError>;

    /// Keys for signing that the phone's hardware holds, where it has such. Without them keys of books lie wrapped under this vault.
    fn signing_keys(&self) -> Option<&dyn SigningKeys> {
        None
    }

    /// Whether keys are kept by hardware or the system apart from the app's own files. Where not, a copy of all files is a copy of the keys.
    fn keeps_apart(&self) -> bool;
}

/// P-256 keys that a phone's hardware makes, uses and never shows (StrongBox, Secure Enclave).
pub trait SigningKeys: Send + Sync {
    /// Makes a key under a handle that is not in use; its public key, SEC 1.
    ///
    /// # Errors
    /// When the hardware gives none.
    fn create(&self, handle: &str) -> Result<Vec<u8>, VaultError>;

    /// The public key under a handle, SEC 1.
    ///
    /// # Errors
    /// [`VaultError::Gone`] when there is none.
    fn public_key(&self, handle: &str) -> Result<Vec<u8>, VaultError>;

    /// ECDSA over SHA-256 of these bytes: DER, or 64 bytes r and s.
    ///
    /// # Errors
    /// When the key is gone, or the hardware is busy.
    fn sign(&self, handle: &str, bytes: &[u8]) -> Result<Vec<u8>, VaultError>;

    /// Deletes a key for good, or does nothing when there is none.
    ///
    /// # Errors
    /// When it may still be there.
    fn forget(&self, handle: &str) -> Result<(), VaultError>;
}
