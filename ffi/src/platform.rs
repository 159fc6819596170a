//! What the app lends the core: its keystore, its hardware's signatures, what it knows of the network, and a place for log lines. Each is
//! implemented in the app's own language; a method that throws something unforeseen is a keystore that failed, and no crash.

use std::path::Path;
use std::sync::Arc;

use beatbook_client_core::SystemPlatform;
use beatbook_client_core::lock::{DeviceVault, Gate, SigningKeys, SoftwareVault, VaultError};
use zeroize::Zeroizing;

use crate::error::BeatbookError;
use crate::observe::ListenerError;
use crate::work::caught;

/// What the keystore asks for before it uses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum KeyGate {
    /// Nothing but that this app runs and the phone was unlocked once since its start.
    Open,
    /// A fingerprint or face at each use; the key ends for good when those that the phone knows change.
    Biometric,
}

/// What a keystore did not do.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
pub enum KeyVaultError {
    /// The key is not there: deleted, ended with changed fingerprints, or of another phone.
    Gone,
    /// The bytes were not wrapped under this key, or were changed.
    Broken,
    /// The person did not show finger or face: ask again.
    Denied,
    /// This phone has no such gate.
    Unsupported,
    /// Anything else.
    Failed {
        /// What to report.
        report: String,
    },
}

impl std::fmt::Display for KeyVaultError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("the key is gone"),
            Self::Broken => f.write_str("the bytes were changed, or wrapped under another key"),
            Self::Denied => f.write_str("the phone did not recognise its user"),
            Self::Unsupported => f.write_str("this phone has no such gate"),
            Self::Failed { report } => f.write_str(report),
        }
    }
}

impl std::error::Error for KeyVaultError {}

impl From<uniffi::UnexpectedUniFFICallbackError> for KeyVaultError {
    fn from(fault: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { report: fault.reason }
    }
}

impl From<KeyVaultError> for VaultError {
    fn from(fault: KeyVaultError) -> Self {
        match fault {
            KeyVaultError::Gone => Self::Gone,
            KeyVaultError::Broken => Self::Broken,
            KeyVaultError::Denied => Self::Denied,
            KeyVaultError::Unsupported => Self::Unsupported("such gate"),
            KeyVaultError::Failed { report } => Self::Failed(report),
        }
    }
}

/// The phone's keystore: keys that never leave it, under which it wraps bytes (Android Keystore with AES-GCM, iOS Keychain and Secure
/// Enclave). It is called from threads of the core, never from the app's own.
#[uniffi::export(with_foreign)]
pub trait KeyVault: Send + Sync {
    /// Wraps at most 16 KiB under a key of this name; makes the key, with this gate, when there is none.
    fn wrap(&self, key: String, gate: KeyGate, bytes: Vec<u8>) -> Result<Vec<u8>, KeyVaultError>;

    /// Gives wrapped bytes back.
    fn release(&self, key: String, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyVaultError>;

    /// Deletes a key for good, or does nothing when there is none.
    fn forget(&self, key: String) -> Result<(), KeyVaultError>;

    /// Whether hardware or system keep keys apart from the app's own files.
    fn keeps_apart(&self) -> Result<bool, KeyVaultError>;
}

/// Signs with P-256 keys that hardware made and never shows (StrongBox, Secure Enclave). Without it keys of books lie wrapped under the
/// [`KeyVault`].
#[uniffi::export(with_foreign)]
pub trait Signer: Send + Sync {
    /// Makes a key under a handle that is not in use; its public key, SEC1, 33 or 65 bytes.
    fn create(&self, handle: String) -> Result<Vec<u8>, KeyVaultError>;

    /// The public key under a handle.
    fn public_key(&self, handle: String) -> Result<Vec<u8>, KeyVaultError>;

    /// ECDSA over SHA-256 of these bytes: DER as keystores give it, or 64 bytes r and s.
    fn sign(&self, handle: String, bytes: Vec<u8>) -> Result<Vec<u8>, KeyVaultError>;

    /// Deletes a key for good, or does nothing when there is none.
    fn forget(&self, handle: String) -> Result<(), KeyVaultError>;
}

/// What the phone knows of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Network {
    /// None.
    Offline,
    /// One whose bytes cost the user money.
    Metered,
    /// One whose bytes cost nothing.
    Free,
}

/// Tells what the phone knows of its network, when a sync begins.
#[uniffi::export(with_foreign)]
pub trait Connectivity: Send + Sync {
    /// Now.
    fn network(&self) -> Result<Network, ListenerError>;
}

/// What the app lends the core.
#[derive(uniffi::Record)]
pub struct Platform {
    /// The keystore. [`software_vault`] on desktops and in tests.
    pub vault: Arc<dyn KeyVault>,
    /// The hardware's signatures, where there are any. [`software_signer`] in tests.
    pub signer: Option<Arc<dyn Signer>>,
    /// What is known of the network; none takes every network for one that costs money.
    pub connectivity: Option<Arc<dyn Connectivity>>,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Platform")
    }
}

/// A keystore in a file, for desktops and tests: whoever has a copy of it and of the app's folder has the phone, but for the PIN.
///
/// # Errors
/// When the folder cannot be made or its file is damaged.
#[uniffi::export]
pub fn software_vault(folder: String) -> Result<Arc<dyn KeyVault>, BeatbookError> {
    caught(|| Ok(Arc::new(InFile(file_of(&folder)?)) as Arc<dyn KeyVault>))
}

fn file_of(folder: &str) -> Result<SoftwareVault, BeatbookError> {
    let random = SystemPlatform::start().map_err(|fault| BeatbookError::Internal {
        report: format!("the system gives no randomness: {fault}"),
    })?;
    SoftwareVault::open(Path::new(folder), Box::new(random)).map_err(|fault| BeatbookError::Internal {
        report: fault.to_string(),
    })
}

/// The keystore of the core, as an app sees one.
struct InFile(SoftwareVault);

impl KeyVault for InFile {
    fn wrap(&self, key: String, gate: KeyGate, bytes: Vec<u8>) -> Result<Vec<u8>, KeyVaultError> {
        let gate = match gate {
            KeyGate::Open => Gate::Open,
            KeyGate::Biometric => Gate::Biometric,
        };
        self.0.wrap(&key, gate, &bytes).map_err(told)
    }

    fn release(&self, key: String, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyVaultError> {
        Ok(self.0.release(&key, &wrapped).map_err(told)?.to_vec())
    }

    fn forget(&self, key: String) -> Result<(), KeyVaultError> {
        DeviceVault::forget(&self.0, &key).map_err(told)
    }

    fn keeps_apart(&self) -> Result<bool, KeyVaultError> {
        Ok(self.0.keeps_apart())
    }
}

fn told(fault: VaultError) -> KeyVaultError {
    match fault {
        VaultError::Gone => KeyVaultError::Gone,
        VaultError::Broken => KeyVaultError::Broken,
        VaultError::Denied => KeyVaultError::Denied,
        VaultError::Unsupported(_) => KeyVaultError::Unsupported,
        VaultError::Failed(report) => KeyVaultError::Failed { report },
    }
}

/// Hardware that signs, played by a file of the same folder as [`software_vault`]'s: for tests of an app that has such hardware, and for
/// desktops.
///
/// # Errors
/// When the folder cannot be made or its file is damaged.
#[uniffi::export]
pub fn software_signer(folder: String) -> Result<Arc<dyn Signer>, BeatbookError> {
    caught(|| Ok(Arc::new(InFile(file_of(&folder)?)) as Arc<dyn Signer>))
}

impl Signer for InFile {
    fn create(&self, handle: String) -> Result<Vec<u8>, KeyVaultError> {
        self.0.create(&handle).map_err(told)
    }

    fn public_key(&self, handle: String) -> Result<Vec<u8>, KeyVaultError> {
        self.0.public_key(&handle).map_err(told)
    }

    fn sign(&self, handle: String, bytes: Vec<u8>) -> Result<Vec<u8>, KeyVaultError> {
        self.0.sign(&handle, &bytes).map_err(told)
    }

    fn forget(&self, handle: String) -> Result<(), KeyVaultError> {
        SigningKeys::forget(&self.0, &handle).map_err(told)
    }
}

/// The app's keystore, as the core sees one.
pub(crate) struct Lent {
    vault: Arc<dyn KeyVault>,
    signer: Option<LentSigner>,
}

impl Lent {
    pub(crate) fn new(vault: Arc<dyn KeyVault>, signer: Option<Arc<dyn Signer>>) -> Self {
        let signer = signer.map(LentSigner);
        Self { vault, signer }
    }
}

/// The app's hardware, as the core sees it.
struct LentSigner(Arc<dyn Signer>);

impl SigningKeys for LentSigner {
    fn create(&self, handle: &str) -> Result<Vec<u8>, VaultError> {
        Ok(self.0.create(handle.to_owned())?)
    }

    fn public_key(&self, handle: &str) -> Result<Vec<u8>, VaultError> {
        Ok(self.0.public_key(handle.to_owned())?)
    }

    fn sign(&self, handle: &str, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        Ok(self.0.sign(handle.to_owned(), bytes.to_vec())?)
    }

    fn forget(&self, handle: &str) -> Result<(), VaultError> {
        Ok(self.0.forget(handle.to_owned())?)
    }
}

impl DeviceVault for Lent {
    fn signing_keys(&self) -> Option<&dyn SigningKeys> {
        self.signer.as_ref().map(|signer| signer as &dyn SigningKeys)
    }

    fn wrap(&self, key: &str, gate: Gate, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        let gate = match gate {
            Gate::Open => KeyGate::Open,
            Gate::Biometric => KeyGate::Biometric,
        };
        Ok(self.vault.wrap(key.to_owned(), gate, bytes.to_vec())?)
    }

    fn release(&self, key: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        Ok(Zeroizing::new(self.vault.release(key.to_owned(), wrapped.to_vec())?))
    }

    fn forget(&self, key: &str) -> Result<(), VaultError> {
        Ok(self.vault.forget(key.to_owned())?)
    }

    fn keeps_apart(&self) -> bool {
        // Whoever cannot say is not believed to.
        self.vault.keeps_apart().unwrap_or(false)
    }
}
