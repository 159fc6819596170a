//! A keystore in a file, for desktops, tests, and phones without one. It is honest about what it is: whoever has a copy of this file and of
//! the lock's has the phone, but for the PIN; and whoever puts both back to an older state has put the tries back too. It guards against
//! a copy of the database or of the lock's files alone. Keep it on another disk, or in another account, than what it guards.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::page::{BookKey, Signer as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::shelf::{Fate, Shelf};
use super::vault::{DeviceVault, Gate, SigningKeys, VaultError};
use super::wrap::{open, seal};
use crate::platform::Randomness;

const FILE: &str = "vault";
const DOMAIN: &[u8] = b"beatbook/vault/1\0";

/// Bytes of a line beside the name: 32 bytes in base64, a tab, a line end.
const KEY_LINE_BYTES: usize = 46;

type Keys = BTreeMap<String, Zeroizing<[u8; 32]>>;

/// Keys in a file that only its owner may read. They are read at each use, so that programs that share it see each other's.
pub struct SoftwareVault {
    shelf: Shelf,
    random: Box<dyn Randomness>,
    /// Held by whoever looks or writes, in this program and in others.
    guard: Mutex<File>,
}

impl std::fmt::Debug for SoftwareVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SoftwareVault(..)")
    }
}

impl SoftwareVault {
    /// Opens the vault in a folder, or begins it; nobody but the owner may enter the folder.
    ///
    /// # Errors
    /// When the folder cannot be made or the file in it is damaged.
    pub fn open(folder: &Path, random: Box<dyn Randomness>) -> Result<Self, VaultError> {
        Self::open_under(folder, random, Fate::default())
    }

    pub(super) fn open_under(folder: &Path, random: Box<dyn Randomness>, fate: Fate) -> Result<Self, VaultError> {
        let shelf = Shelf::open(folder.to_owned(), fate).map_err(failed)?;
        // The folder itself, so that nothing of this lies in it.
        let guard = File::open(folder).map_err(failed)?;
        let vault = Self {
            shelf,
            random,
            guard: Mutex::new(guard),
        };
        vault.with(|_| Ok(()))?;
        Ok(vault)
    }

    /// Works on the keys as they are on the disk, while nobody else does.
    fn with<T>(&self, work: impl FnOnce(Keys) -> Result<T, VaultError>) -> Result<T, VaultError> {
        let guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.lock().map_err(failed)?;
        let read = || match self.shelf.read(FILE).map_err(failed)? {
            Some(bytes) => parse(&Zeroizing::new(bytes)).ok_or_else(|| VaultError::Failed("its file is damaged".to_owned())),
            None => Ok(Keys::new()),
        };
        let done = read().and_then(work);
        guard.unlock().map_err(failed)?;
        done
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    fn signing_key(&self, handle: &str) -> Result<BookKey, VaultError> {
        let secret = self.with(|mut keys| keys.remove(&signing(handle)).ok_or(VaultError::Gone))?;
        BookKey::from_secret(&secret).map_err(failed)
    }

    /// Puts the keys on the disk.
    fn keep(&self, keys: &Keys) -> Result<(), VaultError> {
        // Long enough from the beginning: a text that grows leaves its older places as they were.
        let bytes: usize = keys.keys().map(|name| name.len() + KEY_LINE_BYTES).sum();
        let mut text = Zeroizing::new(String::with_capacity(bytes));
        for (name, key) in keys {
            let mut encoded = STANDARD.encode(key.as_slice());
            text.push_str(name);
            text.push('\t');
            text.push_str(&encoded);
            text.push('\n');
            encoded.zeroize();
        }
        self.shelf.put(FILE, text.as_bytes()).map_err(failed)
    }
}

impl DeviceVault for SoftwareVault {
    fn wrap(&self, key: &str, gate: Gate, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        if gate == Gate::Biometric {
            return Err(VaultError::Unsupported("reader of fingerprints or faces"));
        }
        let secret = self.with(|mut keys| {
            if let Some(secret) = keys.get(key) {
                return Ok(secret.clone());
            }
            let secret = Zeroizing::new(self.random());
            keys.insert(key.to_owned(), secret.clone());
            self.keep(&keys)?;
            Ok(secret)
        })?;
        seal(&secret, self.random(), &[DOMAIN, key.as_bytes()].concat(), bytes).ok_or(VaultError::Broken)
    }

    fn release(&self, key: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let secret = self.with(|mut keys| keys.remove(key).ok_or(VaultError::Gone))?;
        open(&secret, &[DOMAIN, key.as_bytes()].concat(), wrapped).ok_or(VaultError::Broken)
    }

    fn forget(&self, key: &str) -> Result<(), VaultError> {
        self.with(|mut keys| match keys.remove(key) {
            Some(_) => self.keep(&keys),
            None => Ok(()),
        })
    }

    fn keeps_apart(&self) -> bool {
        false
    }
}

/// Stands in for hardware that signs, on desktops and in tests: its keys lie in the file like all others, under names of their own.
impl SigningKeys for SoftwareVault {
    fn create(&self, handle: &str) -> Result<Vec<u8>, VaultError> {
        self.with(|mut keys| {
            let name = signing(handle);
            if keys.contains_key(&name) {
                return Err(VaultError::Failed("there is a key under this handle".to_owned()));
            }
            let secret = Zeroizing::new(self.random());
            let key = BookKey::from_secret(&secret).map_err(failed)?;
            keys.insert(name, secret);
            self.keep(&keys)?;
            Ok(key.public_key().to_bytes())
        })
    }

    fn public_key(&self, handle: &str) -> Result<Vec<u8>, VaultError> {
        Ok(self.signing_key(handle)?.public_key().to_bytes())
    }

    fn sign(&self, handle: &str, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.signing_key(handle)?.sign(bytes).map_err(failed)
    }

    fn forget(&self, handle: &str) -> Result<(), VaultError> {
        DeviceVault::forget(self, &signing(handle))
    }
}

/// No key to wrap under is called so.
fn signing(handle: &str) -> String {
    format!("signing/{handle}")
}

fn parse(bytes: &[u8]) -> Option<Keys> {
    let text = std::str::from_utf8(bytes).ok()?;
    let key = |line: &str| {
        let (name, encoded) = line.split_once('\t')?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
        let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
        Some((name.to_owned(), Zeroizing::new(key)))
    };
    text.lines().map(key).collect()
}

fn failed(fault: impl std::fmt::Display) -> VaultError {
    VaultError::Failed(fault.to_string())
}
