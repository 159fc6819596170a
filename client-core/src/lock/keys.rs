//! Keys of books under the phone's keystore, beside the encrypted file: they sign while the file is locked, which an online unlock and an
//! emergency note need. Where the phone's hardware holds P-256 keys itself, they are made there and never leave it; what lies here then says only
//! that it is so.

use std::io::ErrorKind;
use std::sync::Arc;

use beatbook_protocol::page::{BookKey, BookPublicKey, KeyError, P256_SHA256, Signer, plain_signature};
use zeroize::Zeroizing;

use super::cabinet::Cabinet;
use super::error::LockError;
use super::vault::{Gate, VaultError};
use crate::sync::{KeyVault, SyncError};

/// What lies in the place of a wrapped key that hardware holds.
const IN_HARDWARE: &[u8] = b"in hardware";

/// The keys of one user's books, wrapped.
#[derive(Debug, Clone)]
pub struct WrappedKeys(pub(super) Arc<Cabinet>);

impl KeyVault for WrappedKeys {
    fn store(&self, handle: &str, random: &[u8; 32]) -> Result<Box<dyn Signer + Send>, SyncError> {
        if let Some(hardware) = self.0.vault.signing_keys() {
            let name = self.0.signing_key(handle);
            let public_key = hardware.create(&name).map_err(refused)?;
            self.0.shelf.put(&file(handle), IN_HARDWARE).map_err(refused)?;
            return Ok(Box::new(InHardware::of(&self.0, name, &public_key)?));
        }
        let key = BookKey::from_secret(random)?;
        let secret = Zeroizing::new(key.secret());
        let wrapped = self.0.vault.wrap(&self.0.vault_key("book"), Gate::Open, secret.as_slice());
        let wrapped = wrapped.map_err(refused)?;
        self.0.shelf.put(&file(handle), &wrapped).map_err(refused)?;
        Ok(Box::new(key))
    }

    fn load(&self, handle: &str) -> Result<Box<dyn Signer + Send>, SyncError> {
        let wrapped = match self.0.shelf.read(&file(handle)) {
            Ok(wrapped) => wrapped.ok_or(SyncError::KeyLost)?,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(SyncError::KeyLost),
            Err(error) => return Err(refused(error)),
        };
        if wrapped == IN_HARDWARE {
            let name = self.0.signing_key(handle);
            let hardware = self.0.vault.signing_keys().ok_or(SyncError::KeyLost)?;
            let public_key = hardware.public_key(&name).map_err(lost)?;
            return Ok(Box::new(InHardware::of(&self.0, name, &public_key)?));
        }
        let released = self.0.vault.release(&self.0.vault_key("book"), &wrapped);
        let secret = released.map_err(lost)?;
        let secret: &[u8; 32] = secret.as_slice().try_into().map_err(|_| SyncError::KeyLost)?;
        Ok(Box::new(BookKey::from_secret(secret)?))
    }
}

/// A key that hardware holds.
struct InHardware {
    cabinet: Arc<Cabinet>,
    name: String,
    public_key: BookPublicKey,
}

impl InHardware {
    fn of(cabinet: &Arc<Cabinet>, name: String, public_key: &[u8]) -> Result<Self, SyncError> {
        Ok(Self {
            cabinet: Arc::clone(cabinet),
            name,
            public_key: BookPublicKey::parse(P256_SHA256, public_key)?,
        })
    }
}

impl Signer for InHardware {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let hardware = self.cabinet.vault.signing_keys().ok_or(KeyError::Malformed)?;
        let signature = hardware
            .sign(&self.name, message)
            .map_err(|fault| KeyError::Refused(fault.to_string()))?;
        // What the station would refuse is found here, where it can still be said why.
        plain_signature(&signature)
            .filter(|plain| self.public_key.verifies(message, plain))
            .ok_or_else(|| KeyError::Refused("what it gave is no signature of this key".to_owned()))
    }

    fn public_key(&self) -> BookPublicKey {
        self.public_key
    }
}

impl Cabinet {
    /// What hardware calls the key of a book.
    fn signing_key(&self, handle: &str) -> String {
        self.vault_key(&format!("sign-{handle}"))
    }

    /// Deletes the key that all keys of his books are wrapped under, and the wrap of one of them.
    pub(super) fn shred_book_key(&self, handle: &str) -> Result<(), LockError> {
        self.vault.forget(&self.vault_key("book"))?;
        if let Some(hardware) = self.vault.signing_keys() {
            hardware.forget(&self.signing_key(handle))?;
        }
        Ok(self.shelf.remove(&file(handle))?)
    }
}

/// A handle is a book's id in text.
fn file(handle: &str) -> String {
    format!("book-{handle}")
}

fn lost(fault: VaultError) -> SyncError {
    match fault {
        VaultError::Gone | VaultError::Broken => SyncError::KeyLost,
        VaultError::Denied | VaultError::Unsupported(_) | VaultError::Failed(_) => refused(fault),
    }
}

fn refused(fault: impl std::fmt::Display) -> SyncError {
    SyncError::Key(KeyError::Refused(fault.to_string()))
}
