//! The door of the lock: the users on a phone, and each one's ways in. One user's PIN, tries and lease touch nobody else's.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::cabinet::{Cabinet, FACE};
use super::card::{Card, Place};
use super::error::LockError;
use super::lease::{BIOMETRIC_MS, Lease, TimeMarks};
use super::open::OpenUser;
use super::pin;
use super::shelf::{Fate, Shelf, make_dir, sync_dir};
use super::vault::{DeviceVault, VaultError};
use super::ward::Ward;
use super::wrap::{FileKey, PinCost};
use super::{TRIES_MAX, vault};
use crate::error::CoreError;
use crate::platform::{Platform, SharedPlatform};
use crate::store::has_codec;

/// Ending of a user's folder that is not yet whole: nobody has written in it.
const MAKING: &str = ".making";

/// Ending of a user's folder that is on its way out: his keys are gone.
const GOING: &str = ".going";

/// A user of this phone, by the name of his folder. Says nothing about the person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalUser(String);

impl fmt::Display for LocalUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user as the list of the locked app shows him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOnPhone {
    /// Who.
    pub user: LocalUser,
    /// As he wants to be called there.
    pub label: String,
    /// Whether he is in.
    pub is_open: bool,
}

/// A phone, locked, with its users.
#[derive(Debug)]
pub struct Phone {
    dir: PathBuf,
    platform: SharedPlatform,
    vault: Vault,
    cost: PinCost,
    fate: Fate,
    cabinets: Mutex<BTreeMap<LocalUser, Arc<Cabinet>>>,
    /// Those of users whose books have ended: what is left of them.
    parted: Mutex<BTreeMap<LocalUser, Arc<Cabinet>>>,
}

struct Vault(Arc<dyn DeviceVault>);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Phone {
    /// Opens the folder of all users, or makes it. The vault must be this phone's each time.
    ///
    /// # Errors
    /// When the folder of all users cannot be read. What is wrong with one user's is met when he comes in.
    pub fn open(dir: &Path, vault: Arc<dyn DeviceVault>, platform: Platform) -> Result<Self, LockError> {
        Self::open_under(dir, vault, platform, Fate::default())
    }

    pub(super) fn open_under(dir: &Path, vault: Arc<dyn DeviceVault>, platform: Platform, fate: Fate) -> Result<Self, LockError> {
        let users = dir.join("users");
        make_dir(&users)?;
        let phone = Self {
            dir: users,
            platform: SharedPlatform::of(platform),
            vault: Vault(vault),
            cost: PinCost::PHONE,
            fate,
            cabinets: Mutex::new(BTreeMap::new()),
            parted: Mutex::new(BTreeMap::new()),
        };
        for entry in fs::read_dir(&phone.dir)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // What is wrong with one user's folder keeps no other one out; the next start tries again.
            if let Err(error) = phone.take_up(name, &path) {
                tracing::warn!(%error, folder = name, "a user's folder is not in order");
            }
        }
        Ok(phone)
    }

    /// Takes up what one folder says of a user: he is there, has parted, or was being made or shredded when the process died.
    fn take_up(&self, name: &str, path: &Path) -> Result<(), LockError> {
        if let Some(user) = name.strip_suffix(MAKING).or_else(|| name.strip_suffix(GOING)) {
            self.cabinet_at(user.to_owned(), path.to_owned())?.shred_keys()?;
            fs::remove_dir_all(path)?;
        } else if path.is_dir() {
            let cabinet = Arc::new(self.cabinet_at(name.to_owned(), path.to_owned())?);
            if cabinet.has_parted() {
                cabinet.go_on_parting();
                self.set_apart(&cabinet);
            } else {
                self.add(cabinet.local_user(), Arc::clone(&cabinet));
                cabinet.tidy()?;
            }
        }
        Ok(())
    }

    /// The same phone, whose new PINs cost this much to try.
    #[must_use]
    pub fn with_cost(self, cost: PinCost) -> Self {
        Self { cost, ..self }
    }

    /// The users, in no order that tells anything. A label that cannot be read is empty.
    #[must_use]
    pub fn users(&self) -> Vec<UserOnPhone> {
        let cabinets = self.cabinets.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |(user, cabinet): (&LocalUser, &Arc<Cabinet>)| UserOnPhone {
            user: user.clone(),
            label: cabinet.card().map(|card| card.label).unwrap_or_default(),
            is_open: cabinet.is_open(),
        };
        cabinets.iter().map(shown).collect()
    }

    /// Adds a user with a file of his own, and lets him in: he enrols next.
    ///
    /// # Errors
    /// When the label or the PIN cannot be taken, or the disk or the keystore fails; then there is no such user.
    pub fn add_user(&self, label: &str, new_pin: &str) -> Result<OpenUser, LockError> {
        // His book could not be opened: he is not begun, so that nothing of him is left in the list of users.
        if !has_codec().map_err(|fault| CoreError::Internal(fault.to_string()))? {
            return Err(CoreError::NoCipher.into());
        }
        pin::check(new_pin)?;
        let label = pin::check_label(label, new_pin)?;
        let name: String = self.platform.bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let making = self.dir.join(format!("{name}{MAKING}"));
        let cabinet = self.cabinet_at(name.clone(), making.clone())?;
        let file_key: FileKey = Zeroizing::new(self.platform.bytes());
        cabinet.put_pin(new_pin, self.cost, &file_key)?;
        cabinet.put_card(&Card {
            label,
            station: None,
            place: None,
        })?;
        cabinet.put_ward(&mut Ward::begin(TimeMarks::begin(cabinet.now())))?;
        let place = self.dir.join(&name);
        fs::rename(&making, &place)?;
        sync_dir(&self.dir)?;
        let cabinet = Arc::new(self.cabinet_at(name.clone(), place)?);
        let entered = cabinet.enter()?;
        self.add(LocalUser(name), Arc::clone(&cabinet));
        OpenUser::open(cabinet, entered, file_key)
    }

    /// Lets a user in by his PIN.
    ///
    /// # Errors
    /// Why he stays out, and what he can do.
    pub fn unlock(&self, user: &LocalUser, pin: &str) -> Result<OpenUser, LockError> {
        let cabinet = self.cabinet(user)?;
        let entered = cabinet.enter()?;
        let key = {
            let _hand = cabinet.hand();
            let (key, mut ward, wrap) = cabinet.try_pin(pin)?;
            ward.tries = 0;
            ward.time.pin_at_ms = ward.time.elapsed_ms;
            cabinet.put_ward(&mut ward)?;
            if wrap.cost < self.cost {
                cabinet.put_pin(pin, self.cost, &key)?;
            }
            key
        };
        OpenUser::open(cabinet, entered, key)
    }

    /// Lets a user in by finger or face, which the keystore asks for.
    ///
    /// # Errors
    /// [`LockError::NeedsPin`] when he has not allowed it, those that the phone knows have changed, or the last PIN is three days ago.
    pub fn unlock_biometric(&self, user: &LocalUser) -> Result<OpenUser, LockError> {
        let cabinet = self.cabinet(user)?;
        let entered = cabinet.enter()?;
        let key = {
            let _hand = cabinet.hand();
            let ward = cabinet.ward()?;
            if ward.tries >= TRIES_MAX {
                return Err(LockError::NeedsPin("the PIN was wrong too often"));
            }
            if ward.time.elapsed_ms.saturating_sub(ward.time.pin_at_ms) > BIOMETRIC_MS {
                return Err(LockError::NeedsPin("it was not entered for three days"));
            }
            match cabinet.disclose_part(FACE, &[]) {
                Ok(Some(key)) => key,
                Ok(None) => return Err(LockError::NeedsPin("finger and face are not allowed here")),
                Err(LockError::Vault(VaultError::Gone)) => {
                    cabinet.drop_part(FACE)?;
                    return Err(LockError::NeedsPin("fingerprints or faces of this phone have changed"));
                }
                Err(error) => return Err(error),
            }
        };
        OpenUser::open(cabinet, entered, key)
    }

    /// Another PIN for a user who is in. The old one is asked for, and counts as a try.
    ///
    /// # Errors
    /// When the old PIN is wrong or the new one cannot be taken; then the old one holds.
    pub fn change_pin(&self, open: &OpenUser, old: &str, new_pin: &str) -> Result<(), LockError> {
        pin::check(new_pin)?;
        let cabinet = open.cabinet();
        let _hand = cabinet.hand();
        let (key, mut ward, _) = cabinet.try_pin(old)?;
        ward.tries = 0;
        ward.time.pin_at_ms = ward.time.elapsed_ms;
        cabinet.put_pin(new_pin, self.cost, &key)?;
        cabinet.put_ward(&mut ward)
    }

    /// Locks: nothing of the user's file can be read until he comes in again. What waits is kept.
    ///
    /// # Errors
    /// When the time could not be written down; it is locked all the same.
    pub fn lock(&self, open: OpenUser) -> Result<(), LockError> {
        open.note_time()
    }

    /// Tries that are left before only the station helps.
    ///
    /// # Errors
    /// [`LockError::OnlineUnlock`] when the count is not to be believed.
    pub fn tries_left(&self, user: &LocalUser) -> Result<u32, LockError> {
        let cabinet = self.cabinet(user)?;
        let _hand = cabinet.hand();
        Ok(TRIES_MAX.saturating_sub(cabinet.ward()?.tries))
    }

    /// Where a user's station is, also while he is locked out; none before it was said.
    ///
    /// # Errors
    /// When his card cannot be read.
    pub fn place(&self, user: &LocalUser) -> Result<Option<Place>, LockError> {
        Ok(self.cabinet(user)?.card()?.place)
    }

    /// A user by the name that [`Phone::users`] gave.
    ///
    /// # Errors
    /// [`LockError::NoSuchUser`].
    pub fn user(&self, name: &str) -> Result<LocalUser, LockError> {
        let user = LocalUser(name.to_owned());
        self.cabinet(&user).map(|_| user)
    }

    /// How a user's lease stands. Writes down what is seen of time: call it at each start, and every few minutes while the app is open.
    ///
    /// # Errors
    /// [`LockError::OnlineUnlock`] when the files are an older copy.
    pub fn lease(&self, user: &LocalUser) -> Result<Lease, LockError> {
        let cabinet = self.cabinet(user)?;
        let _hand = cabinet.hand();
        let mut ward = cabinet.ward()?;
        cabinet.put_ward(&mut ward)?;
        Ok(ward.time.lease())
    }

    /// Takes a user off this phone for good: first the keys, by which nothing of his opens any more, then the files. What the station does
    /// not have of his work is lost with them: only an order of the station, or the user who was told so, may lead here.
    ///
    /// # Errors
    /// When he is in, or keys or files could not be deleted; called again, or at the next start, it goes on.
    pub fn shred(&self, user: &LocalUser) -> Result<(), LockError> {
        let cabinet = self.cabinet(user)?;
        // Out of his place first: killed anywhere after that, the next start goes on, and no half of him is taken for a user. Called again after a
        // keystore that failed, nobody can be in what is no longer in its place.
        let going = self.dir.join(format!("{}{GOING}", cabinet.user));
        let is_in_place = cabinet.dir.exists();
        let _entered = is_in_place.then(|| cabinet.enter()).transpose()?;
        if is_in_place {
            cabinet.fate().step()?;
            fs::rename(&cabinet.dir, &going)?;
            sync_dir(&self.dir)?;
        }
        self.cabinet_at(cabinet.user.clone(), going)?.shred_keys()?;
        self.remove(&cabinet)?;
        self.cabinets.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
        Ok(())
    }

    /// Takes a folder away whose keys are gone. Under another name first, so that one that is half gone is never taken for a user's.
    pub(super) fn remove(&self, cabinet: &Cabinet) -> Result<(), LockError> {
        let going = self.dir.join(format!("{}{GOING}", cabinet.user));
        if cabinet.dir.exists() {
            fs::rename(&cabinet.dir, &going)?;
        }
        fs::remove_dir_all(&going)?;
        Ok(sync_dir(&self.dir)?)
    }

    /// Takes a user out of the list, whose book has ended.
    pub(super) fn set_apart(&self, cabinet: &Arc<Cabinet>) {
        let user = cabinet.local_user();
        self.cabinets.lock().unwrap_or_else(PoisonError::into_inner).remove(&user);
        self.parted().insert(user, Arc::clone(cabinet));
    }

    pub(super) fn parted(&self) -> MutexGuard<'_, BTreeMap<LocalUser, Arc<Cabinet>>> {
        self.parted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether keys are kept apart from the app's files, by hardware or the system.
    #[must_use]
    pub fn keeps_keys_apart(&self) -> bool {
        vault::DeviceVault::keeps_apart(self.vault.0.as_ref())
    }

    pub(super) const fn cost(&self) -> PinCost {
        self.cost
    }

    pub(crate) fn cabinet(&self, user: &LocalUser) -> Result<Arc<Cabinet>, LockError> {
        let cabinets = self.cabinets.lock().unwrap_or_else(PoisonError::into_inner);
        cabinets.get(user).cloned().ok_or(LockError::NoSuchUser)
    }

    /// A user's folder, and whether his book has ended.
    pub(crate) fn cabinet_or_parted(&self, user: &LocalUser) -> Result<(Arc<Cabinet>, bool), LockError> {
        match self.parted().get(user) {
            Some(cabinet) => Ok((Arc::clone(cabinet), true)),
            None => Ok((self.cabinet(user)?, false)),
        }
    }

    fn cabinet_at(&self, name: String, dir: PathBuf) -> Result<Cabinet, LockError> {
        let shelf = Shelf::open(dir.clone(), self.fate.clone())?;
        Ok(Cabinet::new(
            name,
            dir,
            shelf,
            Arc::clone(&self.vault.0),
            self.platform.clone(),
        ))
    }

    fn add(&self, user: LocalUser, cabinet: Arc<Cabinet>) {
        self.cabinets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user, cabinet);
    }
}

impl Cabinet {
    /// Whose folder it is.
    pub(super) fn local_user(&self) -> LocalUser {
        LocalUser(self.user.clone())
    }
}
