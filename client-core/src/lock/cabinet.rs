//! One user's folder: his wraps, his ward, his card, and in which order they are written so that a phone that dies between two writes is locked
//! to nobody and open to nobody else. Does no more than one step of a way in; the ways are in `phone`.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::TRIES_MAX;
use super::card::Card;
use super::error::{LockError, OnlineBecause};
use super::keys::WrappedKeys;
use super::lease::Moment;
use super::shelf::Shelf;
use super::vault::{DeviceVault, Gate, VaultError};
use super::ward::Ward;
use super::wrap::{self, FileKey, Of, PartWrap, PinCost, PinWrap};
use crate::platform::{Clock as _, SharedPlatform};

/// The wrap by the PIN.
const PIN: &str = "pin";
/// The wrap by finger or face.
pub(super) const FACE: &str = "face";
/// The wrap by the share that the station keeps.
pub(super) const ONLINE: &str = "online";
/// The wrap by a share that the station has not yet said that it keeps.
pub(super) const ONLINE_NEXT: &str = "online-next";
const CARD: &str = "card";
/// Keys of PINs that are forgotten when nothing says which is the last: nobody changes his PIN so often.
const PINS_UNKNOWN: u64 = 64;
/// How long the phone must be on between two tries, when all are used and no station could help.
const TRY_AFTER_MS: u64 = 60 * 60 * 1000;

/// One user's folder.
pub(crate) struct Cabinet {
    pub(super) user: String,
    pub(super) dir: PathBuf,
    pub(super) shelf: Shelf,
    pub(super) vault: Arc<dyn DeviceVault>,
    pub(super) platform: SharedPlatform,
    /// One way in, or one look at the time, after another.
    hand: Mutex<()>,
    is_open: AtomicBool,
}

impl std::fmt::Debug for Cabinet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cabinet").field("user", &self.user).finish_non_exhaustive()
    }
}

/// That a user is in; he is out again when this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    cabinet: Arc<Cabinet>,
    _held: File,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.cabinet.is_open.store(false, Ordering::SeqCst);
    }
}

impl Cabinet {
    pub(super) fn new(user: String, dir: PathBuf, shelf: Shelf, vault: Arc<dyn DeviceVault>, platform: SharedPlatform) -> Self {
        Self {
            user,
            dir,
            shelf,
            vault,
            platform,
            hand: Mutex::new(()),
            is_open: AtomicBool::new(false),
        }
    }

    /// Marks the user as in, once: in this process, and in all others.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Entered, LockError> {
        // His folder itself, so that nothing of this stays in it; the system lets go of it with the process.
        let held = File::open(&self.dir)?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::AlreadyOpen),
            Err(TryLockError::Error(fault)) => return Err(fault.into()),
        }
        self.is_open.store(true, Ordering::SeqCst);
        Ok(Entered {
            cabinet: Arc::clone(self),
            _held: held,
        })
    }

    /// Whether he is in.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    /// The keys of his books.
    pub(crate) fn keys(self: &Arc<Self>) -> WrappedKeys {
        WrappedKeys(Arc::clone(self))
    }

    /// The phone's clocks and randomness.
    pub(crate) fn platform(&self) -> &SharedPlatform {
        &self.platform
    }

    /// The folder of his emergency notes.
    pub(crate) fn notes(&self) -> PathBuf {
        self.dir.join("notes")
    }

    /// Where a test ends the process.
    pub(crate) fn fate(&self) -> &super::shelf::Fate {
        self.shelf.fate()
    }

    /// His encrypted file.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.join("book.db")
    }

    pub(super) fn vault_key(&self, name: &str) -> String {
        format!("beatbook/{}/{name}", self.user)
    }

    pub(super) fn hand(&self) -> MutexGuard<'_, ()> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Moment {
        Moment {
            wall: self.platform.wall().0,
            boot: self.platform.boot(),
            monotonic_ms: self.platform.monotonic_ms(),
        }
    }

    /// The ward, with the time as it is now.
    pub(super) fn ward(&self) -> Result<Ward, LockError> {
        let ward = Ward::read(&self.shelf, self.vault.as_ref(), &self.user)?;
        let mut ward = ward.ok_or(LockError::OnlineUnlock(OnlineBecause::OldCopy))?;
        ward.time.observe(self.now());
        Ok(ward)
    }

    pub(super) fn put_ward(&self, ward: &mut Ward) -> Result<(), LockError> {
        ward.write(&self.shelf, self.vault.as_ref(), &self.user)
    }

    /// Deletes what a process left behind that died between two steps.
    pub(super) fn tidy(&self) -> Result<(), LockError> {
        Ward::tidy(&self.shelf, self.vault.as_ref(), &self.user)?;
        if let Ok(Some(wrap)) = self.read::<PinWrap>(PIN)
            && wrap.generation > 0
        {
            self.vault.forget(&self.pin_key(wrap.generation - 1))?;
        }
        Ok(())
    }

    /// Opens the key of the file by the PIN. The try is counted, and cannot be uncounted, before the PIN is looked at.
    pub(super) fn try_pin(&self, pin: &str) -> Result<(FileKey, Ward, PinWrap), LockError> {
        let mut ward = self.ward()?;
        let wrap: PinWrap = self.read(PIN)?.ok_or(LockError::OnlineUnlock(OnlineBecause::TriesUsed))?;
        if ward.tries >= TRIES_MAX {
            self.bear_no_more_tries(&ward, &wrap)?;
        }
        let part = match self.vault.release(&self.pin_key(wrap.generation), &wrap.part) {
            Ok(part) => part,
            Err(VaultError::Gone | VaultError::Broken) => return Err(LockError::OnlineUnlock(OnlineBecause::OldCopy)),
            Err(fault) => return Err(fault.into()),
        };
        ward.tries = ward.tries.saturating_add(1);
        ward.tried_at_ms = ward.time.awake_ms;
        self.put_ward(&mut ward)?;
        let half = wrap.harden(pin).ok_or_else(|| LockError::Damaged(PIN.to_owned()))?;
        match wrap::disclose(self.of(PIN), (part.as_slice(), half.as_slice()), &wrap.sealed) {
            Some(key) => Ok((key, ward, wrap)),
            None => {
                let left = TRIES_MAX.saturating_sub(ward.tries);
                if left == 0 {
                    self.bear_no_more_tries(&ward, &wrap)?;
                }
                Err(LockError::WrongPin { left })
            }
        }
    }

    /// All tries are used. Where the station keeps a share, the PIN's wrap is destroyed for good; where it does not yet, nobody could ever
    /// open the file again, and so the tries become rare instead.
    fn bear_no_more_tries(&self, ward: &Ward, wrap: &PinWrap) -> Result<(), LockError> {
        if ward.has_share {
            self.vault.forget(&self.pin_key(wrap.generation))?;
            self.shelf.remove(PIN)?;
            return Err(LockError::OnlineUnlock(OnlineBecause::TriesUsed));
        }
        let waited_ms = ward.time.awake_ms.saturating_sub(ward.tried_at_ms);
        match TRY_AFTER_MS.checked_sub(waited_ms) {
            Some(wait_ms) if wait_ms > 0 => Err(LockError::TryAfter { wait_ms }),
            _ => Ok(()),
        }
    }

    /// Wraps the key of the file by a PIN, under a new key of the vault; only then the key of the PIN before is deleted.
    pub(super) fn put_pin(&self, pin: &str, cost: PinCost, key: &FileKey) -> Result<(), LockError> {
        let before = self.read::<PinWrap>(PIN).ok().flatten().map_or(0, |wrap| wrap.generation);
        let generation = before + 1;
        let (part, salt): (Zeroizing<[u8; 32]>, [u8; 16]) = (Zeroizing::new(self.platform.bytes()), self.platform.bytes());
        self.vault.forget(&self.pin_key(generation))?;
        let wrapped = self.vault.wrap(&self.pin_key(generation), Gate::Open, part.as_slice())?;
        let half = wrap::harden(pin, &salt, cost).ok_or_else(|| LockError::Damaged(PIN.to_owned()))?;
        let sealed = wrap::close(self.of(PIN), (part.as_slice(), half.as_slice()), self.platform.bytes(), key);
        let wrap = PinWrap {
            generation,
            cost,
            salt: salt.to_vec(),
            part: wrapped,
            sealed: sealed.ok_or_else(|| LockError::Damaged(PIN.to_owned()))?,
        };
        self.write(PIN, &wrap)?;
        self.vault.forget(&self.pin_key(before))?;
        Ok(())
    }

    /// Wraps the key of the file by a part of the vault, and a share where there is one.
    pub(super) fn put_part(
        &self,
        name: &'static str,
        gate: Gate,
        share: Option<(&[u8; 32], &[u8])>,
        key: &FileKey,
    ) -> Result<(), LockError> {
        let part = Zeroizing::new(self.platform.bytes::<32>());
        let wrapped = self.vault.wrap(&self.vault_key(name), gate, part.as_slice())?;
        let half = share.map_or(&[][..], |(share, _)| share.as_slice());
        let sealed = wrap::close(self.of(name), (part.as_slice(), half), self.platform.bytes(), key);
        let wrap = PartWrap {
            part: wrapped,
            sealed: sealed.ok_or_else(|| LockError::Damaged(name.to_owned()))?,
            share: share.map_or_else(Vec::new, |(_, name)| name.to_vec()),
        };
        self.write(name, &wrap)
    }

    /// Opens the key of the file by a part of the vault, and a share where there is one; none when it is another share's.
    pub(super) fn disclose_part(&self, name: &'static str, share: &[u8]) -> Result<Option<FileKey>, LockError> {
        let Some(wrap) = self.read::<PartWrap>(name)? else {
            return Ok(None);
        };
        let part = self.vault.release(&self.vault_key(name), &wrap.part)?;
        Ok(wrap::disclose(self.of(name), (part.as_slice(), share), &wrap.sealed))
    }

    /// Which share a wrap is by.
    pub(super) fn share_of(&self, name: &str) -> Result<Option<Vec<u8>>, LockError> {
        Ok(self.read::<PartWrap>(name)?.map(|wrap| wrap.share))
    }

    /// Deletes the vault's key of a wrap: it and every copy of it open nothing any more.
    pub(super) fn forget_part_key(&self, name: &str) -> Result<(), LockError> {
        Ok(self.vault.forget(&self.vault_key(name))?)
    }

    /// Takes a wrap away, its key first.
    pub(super) fn drop_part(&self, name: &str) -> Result<(), LockError> {
        self.forget_part_key(name)?;
        Ok(self.shelf.remove(name)?)
    }

    pub(super) fn card(&self) -> Result<Card, LockError> {
        let damaged = || LockError::Damaged(CARD.to_owned());
        let wrapped = self.shelf.read(CARD)?.ok_or_else(damaged)?;
        let bytes = self.vault.release(&self.vault_key(CARD), &wrapped)?;
        serde_json::from_slice(&bytes).map_err(|_| damaged())
    }

    pub(super) fn put_card(&self, card: &Card) -> Result<(), LockError> {
        let bytes = serde_json::to_vec(card).map_err(std::io::Error::other)?;
        let wrapped = self.vault.wrap(&self.vault_key(CARD), Gate::Open, &bytes)?;
        Ok(self.shelf.put(CARD, &wrapped)?)
    }

    /// What is known of the station while all is locked.
    pub(crate) fn station(&self) -> Result<super::card::Station, LockError> {
        self.card()?.station.ok_or(LockError::NotEnrolled)
    }

    /// Deletes every key that opens anything of this user, those that matter most first: after the first step nothing opens without the
    /// station, after the last nothing opens at all.
    pub(super) fn shred_keys(&self) -> Result<(), LockError> {
        // The one before may be there still, and that of a writing that was cut short; which it is, a damaged wrap does not say.
        let pins = match self.read::<PinWrap>(PIN) {
            Ok(Some(wrap)) => wrap.generation.saturating_sub(1)..=wrap.generation.saturating_add(1),
            _ => 0..=PINS_UNKNOWN,
        };
        for generation in pins {
            self.vault.forget(&self.pin_key(generation))?;
        }
        for name in [FACE, ONLINE, ONLINE_NEXT, "book", CARD] {
            self.vault.forget(&self.vault_key(name))?;
        }
        Ward::shred(&self.shelf, self.vault.as_ref(), &self.user)
    }

    /// Takes the files away that hold nothing any more since [`Cabinet::shred_keys`]; emergency notes stay.
    pub(super) fn remove_wraps(&self) -> Result<(), LockError> {
        for name in [PIN, FACE, ONLINE, ONLINE_NEXT, CARD] {
            self.shelf.remove(name)?;
        }
        Ward::remove(&self.shelf)?;
        Ok(self.shelf.remove_reserve()?)
    }

    fn of(&self, what: &'static str) -> Of<'_> {
        Of { what, user: &self.user }
    }

    fn pin_key(&self, generation: u64) -> String {
        self.vault_key(&format!("pin-{generation}"))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, LockError> {
        let damaged = || LockError::Damaged(name.to_owned());
        match self.shelf.read(name) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged()),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(damaged()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, name: &str, wrap: &impl Serialize) -> Result<(), LockError> {
        let bytes = serde_json::to_vec(wrap).map_err(std::io::Error::other)?;
        Ok(self.shelf.put(name, &bytes)?)
    }
}
