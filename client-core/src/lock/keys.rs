//! Keys of books under the phone's keystore, beside the encrypted file: they sign while the file is locked, which an online unlock and an
//! emergency note need. A platform whose keystore holds P-256 keys itself brings its own `KeyVault`, and the key never leaves it.

use std::io::ErrorKind;
use std::sync::Arc;

use beatbook_protocol::page::{BookKey, KeyError, Signer};
use zeroize::Zeroizing;

use super::cabinet::Cabinet;
use super::error::LockError;
use super::vault::{Gate, VaultError};
use crate::sync::{KeyVault, SyncError};

/// The keys of one user's books, wrapped.
#[derive(Debug, Clone)]
pub struct WrappedKeys(pub(super) Arc<Cabinet>);

impl KeyVault for WrappedKeys {
    fn store(&self, handle: &str, random: &[u8; 32]) -> Result<Box<dyn Signer + Send>, SyncError> {
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
        let released = self.0.vault.release(&self.0.vault_key("book"), &wrapped);
        let secret = released.map_err(|fault| match fault {
            VaultError::Gone | VaultError::Broken => SyncError::KeyLost,
            VaultError::Denied | VaultError::Unsupported(_) | VaultError::Failed(_) => refused(fault),
        })?;
        let secret: &[u8; 32] = secret.as_slice().try_into().map_err(|_| SyncError::KeyLost)?;
        Ok(Box::new(BookKey::from_secret(secret)?))
    }
}

impl Cabinet {
    /// Deletes the key that all keys of his books are wrapped under, and the wrap of one of them.
    pub(super) fn shred_book_key(&self, handle: &str) -> Result<(), LockError> {
        self.vault.forget(&self.vault_key("book"))?;
        Ok(self.shelf.remove(&file(handle))?)
    }
}

/// A handle is a book's id in text.
fn file(handle: &str) -> String {
    format!("book-{handle}")
}

fn refused(fault: impl std::fmt::Display) -> SyncError {
    SyncError::Key(KeyError::Refused(fault.to_string()))
}
