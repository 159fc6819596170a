//! The lock on a phone: whose files are on it, what opens them, and for how long without the station. It gives the core its key, and
//! knows neither records nor messages, nor what is in the files that it unlocks.
//!
//! ```text
//!  PIN ──argon2id──┐                          fingerprint, face ─┐                    share of the station ─┐ (one-time code)
//!                  ├─HKDF─► wraps the                            ├─HKDF─► wraps the                         ├─HKDF─► wraps the
//!  vault's part A ─┘        key of the file     vault's part B ──┘        key of the file    vault's part C ┘        key of the file
//!
//!  ward: tries and time, bound to the vault by a key that is thrown away at each writing, so that no old copy of it counts
//!  card: what must be known while all is locked (label, station, keys for emergency notes), closed under the vault
//! ```
//!
//! Nothing opens with the files alone, nor with the vault alone. What the phone's keystore cannot keep apart from a program that runs as
//! this app is said in `docs/security.md`.

mod cabinet;
mod card;
mod error;
mod keys;
mod lease;
mod online;
mod open;
mod parted;
mod phone;
mod pin;
mod shelf;
mod software;
#[cfg(test)]
mod tests;
mod vault;
mod ward;
mod wrap;

pub use card::Place;
pub use error::{LockError, OnlineBecause};
pub use keys::WrappedKeys;
pub use lease::{Lease, LeaseOver, LeaseState};
pub use online::OnlineUnlock;
pub use open::OpenUser;
pub use parted::PartedUser;
pub use phone::{LocalUser, Phone, UserOnPhone};
pub use pin::PinFault;
pub use software::SoftwareVault;
pub use vault::{DeviceVault, Gate, SigningKeys, VaultError};
pub use wrap::PinCost;

pub(crate) use cabinet::Cabinet;
pub(crate) use shelf::{Fate, sync_dir, write_whole};

/// Whether a PIN or passphrase could be taken, to say so while it is typed.
///
/// # Errors
/// What is wrong with it.
pub fn check_pin(pin: &str) -> Result<(), PinFault> {
    pin::check(pin)
}

/// Wrong PINs in a row before the PIN opens nothing any more: of a million PINs ten are one in a hundred thousand.
pub const TRIES_MAX: u32 = 10;
