//! The lock as a finder, a thief, a clock and a flat battery meet it, on real files and a real encrypted database.

mod finder;
mod killed;
mod parted;
mod shared;
mod time;
mod users;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use zeroize::Zeroizing;

use super::shelf::Fate;
use super::vault::{DeviceVault, Gate, VaultError};
use super::{LocalUser, LockError, OpenUser, Phone, PinCost, SoftwareVault};
use crate::platform::{Clock, Platform, Randomness};
use crate::store::lock;

/// A cost at which thousands of tries take no time; how a PIN is hardened does not change with it.
const CHEAP: PinCost = PinCost {
    memory_kib: 8,
    passes: 1,
};
const PIN: &str = "739164";
const OTHER_PIN: &str = "402857";
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The clocks of a phone: a wall clock that can be set, a monotonic one that cannot, and restarts.
#[derive(Debug, Clone)]
struct Clocks(Arc<Mutex<(i64, u64, u64)>>);

impl Clocks {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((1_795_395_600_000, 1, 5_000))))
    }

    /// Time goes by with the phone on.
    fn pass(&self, millis: i64) {
        let mut clocks = self.0.lock().unwrap();
        clocks.0 += millis;
        clocks.2 += millis.unsigned_abs();
    }

    /// Somebody sets the wall clock.
    fn set_by(&self, millis: i64) {
        self.0.lock().unwrap().0 += millis;
    }

    /// The phone is off for a while, and starts again.
    fn restart(&self, off_ms: i64) {
        let mut clocks = self.0.lock().unwrap();
        clocks.0 += off_ms;
        clocks.1 += 1;
        clocks.2 = 10_000;
    }
}

impl Clock for Clocks {
    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.lock().unwrap().0)
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.lock().unwrap().2
    }

    fn boot(&self) -> u64 {
        self.0.lock().unwrap().1
    }
}

#[derive(Debug)]
struct Chance;

impl Randomness for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        for part in buffer.chunks_mut(32) {
            let hash = Hash::of(&[b"lock", &DRAWN.fetch_add(1, Ordering::SeqCst).to_be_bytes()]);
            part.copy_from_slice(&hash.as_bytes()[..part.len()]);
        }
    }
}

/// A keystore with a reader of fingers beside the software one.
struct Keystore {
    inner: SoftwareVault,
    /// Which fingers the phone knows.
    fingers: AtomicU32,
    /// Whether the right finger is on the reader.
    is_shown: AtomicU32,
    gated: Mutex<BTreeMap<String, u32>>,
}

impl Keystore {
    fn gated(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.gated.lock().unwrap()
    }
}

impl DeviceVault for Keystore {
    fn wrap(&self, key: &str, gate: Gate, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        if gate == Gate::Biometric {
            self.gated().insert(key.to_owned(), self.fingers.load(Ordering::SeqCst));
        }
        self.inner.wrap(key, Gate::Open, bytes)
    }

    fn release(&self, key: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if let Some(fingers) = self.gated().get(key) {
            if *fingers != self.fingers.load(Ordering::SeqCst) {
                return Err(VaultError::Gone);
            }
            if self.is_shown.load(Ordering::SeqCst) == 0 {
                return Err(VaultError::Denied);
            }
        }
        self.inner.release(key, wrapped)
    }

    fn forget(&self, key: &str) -> Result<(), VaultError> {
        self.inner.forget(key)
    }

    fn keeps_apart(&self) -> bool {
        true
    }
}

/// A phone in a folder of its own: `phone/` and `vault/` in it.
struct Case {
    root: PathBuf,
    clocks: Clocks,
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Case {
    fn new() -> Self {
        static CASES: AtomicU64 = AtomicU64::new(0);
        let number = CASES.fetch_add(1, Ordering::SeqCst);
        let root = std::env::temp_dir().join(format!("beatbook-lock-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self {
            root,
            clocks: Clocks::new(),
        }
    }

    fn platform(&self) -> Platform {
        Platform {
            clock: Box::new(self.clocks.clone()),
            random: Box::new(Chance),
        }
    }

    fn keystore(&self, fate: &Fate) -> Result<Arc<Keystore>, VaultError> {
        Ok(Arc::new(Keystore {
            inner: SoftwareVault::open_under(&self.root.join("vault"), Box::new(Chance), fate.clone())?,
            fingers: AtomicU32::new(1),
            is_shown: AtomicU32::new(1),
            gated: Mutex::default(),
        }))
    }

    /// The process starts.
    fn start(&self) -> Phone {
        self.start_under(&Fate::default()).unwrap()
    }

    fn start_under(&self, fate: &Fate) -> Result<Phone, LockError> {
        let vault = self.keystore(fate)?;
        self.start_with(vault, fate)
    }

    fn start_with(&self, vault: Arc<Keystore>, fate: &Fate) -> Result<Phone, LockError> {
        Ok(Phone::open_under(&self.root.join("phone"), vault, self.platform(), fate.clone())?.with_cost(CHEAP))
    }

    /// A copy of all that is in a folder now.
    fn copy(&self, folder: &str, to: &str) {
        copy(&self.root.join(folder), &self.root.join(to));
    }

    /// Puts a copy back in the place of a folder.
    fn put_back(&self, copy_of: &str, folder: &str) {
        fs::remove_dir_all(self.root.join(folder)).unwrap();
        copy(&self.root.join(copy_of), &self.root.join(folder));
    }

    /// A phone with one user, locked, whose share the station keeps when `has_share`.
    fn with_user(has_share: bool) -> (Self, LocalUser) {
        let case = Self::new();
        let phone = case.start();
        let open = phone.add_user("巡逻", PIN).unwrap();
        if has_share {
            keep_share(&open);
        }
        let user = open.user();
        phone.lock(open).unwrap();
        (case, user)
    }
}

/// The station has said that it keeps the share.
fn keep_share(open: &OpenUser) -> Zeroizing<[u8; 32]> {
    let core = open.core_for_contact();
    let own = core.read(lock::share).unwrap().unwrap();
    core.write(|records| lock::share_is_kept(records.tx(), &own.name)).unwrap();
    open.contact().unwrap();
    own.share.unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found.sort();
    found
}
