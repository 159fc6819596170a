//! Where a book's private key is kept. A phone's keystore implements [`KeyVault`] and never shows the key; [`StoreVault`] keeps it in
//! the encrypted file, for desktops, tests and phones without a keystore.

use beatbook_protocol::page::{BookKey, Signer};

use super::SyncError;
use crate::core::Core;
use crate::store::sync_state;

/// Holds private keys of books by a handle.
pub trait KeyVault {
    /// Makes a key under a handle that is not in use, and keeps it beyond this process. A keystore that draws its own randomness
    /// passes over `random`.
    ///
    /// # Errors
    /// When the key cannot be kept.
    fn store(&self, handle: &str, random: &[u8; 32]) -> Result<Box<dyn Signer + Send>, SyncError>;

    /// The key under a handle.
    ///
    /// # Errors
    /// [`SyncError::KeyLost`] when there is none.
    fn load(&self, handle: &str) -> Result<Box<dyn Signer + Send>, SyncError>;
}

/// Keeps keys in the core's own file.
#[derive(Debug, Clone, Copy)]
pub struct StoreVault<'c>(pub &'c Core);

impl KeyVault for StoreVault<'_> {
    fn store(&self, handle: &str, random: &[u8; 32]) -> Result<Box<dyn Signer + Send>, SyncError> {
        let key = BookKey::from_secret(random)?;
        self.0
            .write_past_end(|records| sync_state::put_secret(records.tx(), handle, &key.secret()))?;
        Ok(Box::new(key))
    }

    fn load(&self, handle: &str) -> Result<Box<dyn Signer + Send>, SyncError> {
        let secret = self
            .0
            .read_past_end(|tx| sync_state::secret(tx, handle))?
            .ok_or(SyncError::KeyLost)?;
        Ok(Box::new(BookKey::from_secret(&secret)?))
    }
}
