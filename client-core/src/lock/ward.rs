//! The record that no old copy of may count: wrong PINs so far, and what was seen of time. Each writing is wrapped under a new key of the
//! vault, and the key before is deleted: then files that are put back from a copy hold nothing that can be read. Knows no PINs.

use serde::{Deserialize, Serialize};

use super::error::LockError;
use super::lease::TimeMarks;
use super::shelf::Shelf;
use super::vault::{DeviceVault, Gate, VaultError};
use super::wrap::base64_text;

const FILE: &str = "ward";

/// What is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ward {
    /// Which writing this is.
    generation: u64,
    /// PINs tried since the last right one. Counted before each try.
    pub(super) tries: u32,
    /// `awake_ms` at the last try.
    pub(super) tried_at_ms: u64,
    /// The station keeps a share, so that it can let the user in again.
    pub(super) has_share: bool,
    /// What was seen of time.
    pub(super) time: TimeMarks,
}

/// The record as it lies on the disk.
#[derive(Debug, Serialize, Deserialize)]
struct Closed {
    /// Names the key.
    generation: u64,
    #[serde(with = "base64_text")]
    wrapped: Vec<u8>,
}

impl Ward {
    pub(super) fn begin(time: TimeMarks) -> Self {
        Self {
            generation: 0,
            tries: 0,
            tried_at_ms: 0,
            has_share: false,
            time,
        }
    }

    /// Reads it; none when it is an older copy, damaged, or was taken away.
    pub(super) fn read(shelf: &Shelf, vault: &dyn DeviceVault, user: &str) -> Result<Option<Self>, LockError> {
        let Some(closed) = read_closed(shelf)? else { return Ok(None) };
        match vault.release(&key(user, closed.generation), &closed.wrapped) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)
                .ok()
                .filter(|ward: &Self| ward.generation == closed.generation)),
            Err(VaultError::Gone | VaultError::Broken) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Writes it: when this returns, no copy made before can be read any more.
    pub(super) fn write(&mut self, shelf: &Shelf, vault: &dyn DeviceVault, user: &str) -> Result<(), LockError> {
        let before = read_closed(shelf)?.map_or(0, |closed| closed.generation);
        self.generation = before.max(self.generation) + 1;
        let name = key(user, self.generation);
        // One that a process made that died before its record was on the disk.
        vault.forget(&name)?;
        let bytes = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        let closed = Closed {
            generation: self.generation,
            wrapped: vault.wrap(&name, Gate::Open, &bytes)?,
        };
        shelf.put(FILE, &serde_json::to_vec(&closed).map_err(std::io::Error::other)?)?;
        vault.forget(&key(user, before))?;
        Ok(())
    }

    /// Deletes the key before the present one, should the process have died before it did.
    pub(super) fn tidy(shelf: &Shelf, vault: &dyn DeviceVault, user: &str) -> Result<(), LockError> {
        if let Some(closed) = read_closed(shelf)?.filter(|closed| closed.generation > 0) {
            vault.forget(&key(user, closed.generation - 1))?;
        }
        Ok(())
    }

    /// Deletes the key that the record on the disk is wrapped under.
    pub(super) fn shred(shelf: &Shelf, vault: &dyn DeviceVault, user: &str) -> Result<(), LockError> {
        if let Some(closed) = read_closed(shelf)? {
            // The one before may be there still, and that of a writing that was cut short.
            for generation in closed.generation.saturating_sub(1)..=closed.generation.saturating_add(1) {
                vault.forget(&key(user, generation))?;
            }
        }
        Ok(())
    }

    /// Takes the record away, once its key is gone.
    pub(super) fn remove(shelf: &Shelf) -> Result<(), LockError> {
        Ok(shelf.remove(FILE)?)
    }
}

fn read_closed(shelf: &Shelf) -> Result<Option<Closed>, LockError> {
    match shelf.read(FILE) {
        Ok(bytes) => Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
        // Damaged in both copies: as if it were gone, which only makes the lock stricter.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn key(user: &str, generation: u64) -> String {
    format!("beatbook/{user}/ward-{generation}")
}
