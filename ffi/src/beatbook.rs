//! The phone as an app opens it: its users, each one's way in, and what may be done while all is locked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beatbook_client_core::drive;
use beatbook_client_core::emergency::EmergencyNote;
use beatbook_client_core::lock::{LocalUser, LockError, OpenUser, Phone};
use beatbook_client_core::protocol::place::Place;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::platform::{Connectivity, Lent, Platform};
use crate::session::{LeaseView, Session};
use crate::station;
use crate::values::parsed;
use crate::work::{blocking, to_its_end};

/// The record books on this phone, locked.
#[derive(uniffi::Object)]
pub struct Beatbook {
    phone: Arc<Phone>,
    connectivity: Option<Arc<dyn Connectivity>>,
    device: String,
    folder: PathBuf,
}

impl std::fmt::Debug for Beatbook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beatbook")
    }
}

/// Where the books are, and what this phone calls itself.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Config {
    /// A folder of the app's own, kept out of the system's backup.
    pub folder: String,
    /// What the chief reads of this phone (`Pixel 8`).
    pub device: String,
}

/// A user as the list of the locked app shows him.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct User {
    /// His name here, for the calls below.
    pub user: String,
    /// As he wants to be called in the list.
    pub label: String,
    /// Whether he is in.
    pub is_open: bool,
}

/// How a user's lock stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LockState {
    /// Tries of the PIN that are left.
    pub tries_left: u32,
    /// Whether only the station lets him in again: ask the chief for an unlock code.
    pub needs_station: bool,
    /// How long he works without the station; none when that is not to be believed.
    pub lease: Option<LeaseView>,
    /// Emergency notes that wait.
    pub notes_waiting: u64,
    /// Whether hardware or system keep keys apart from the app's files.
    pub keeps_keys_apart: bool,
}

/// An emergency note that the station has not. It is sealed: not even this phone reads it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NoteWaiting {
    /// Its name, for `note_taken`.
    pub note: String,
    /// When it was written, in milliseconds since 1970 by this phone's clock.
    pub at: i64,
    /// Whether the station would not have it: then only a custodian can take it.
    pub is_refused: bool,
    /// Its file: hand it to a custodian of the unit under any name; he opens it without the station.
    pub file: Vec<u8>,
}

/// What is left of a user whose book the station ended.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Parted {
    /// His name here.
    pub user: String,
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub why: String,
    /// Entries that went to the station before.
    pub held_entries: u64,
    /// Entries that it never got: they are lost.
    pub lost_entries: u64,
    /// Photos and recordings that it never got.
    pub lost_photos: u64,
}

#[uniffi::export]
impl Beatbook {
    /// Opens the folder of all users, or makes it. The vault must be this phone's each time.
    ///
    /// # Errors
    /// `StorageFull`; `Internal` when the folder or the keystore cannot be used.
    #[uniffi::constructor]
    pub async fn open(config: Config, platform: Platform) -> Result<Arc<Self>, BeatbookError> {
        blocking(move || {
            let system = beatbook_client_core::Platform::system().map_err(|fault| BeatbookError::Internal {
                report: format!("the system gives no randomness: {fault}"),
            })?;
            let phone = Phone::open(
                Path::new(&config.folder),
                Arc::new(Lent::new(platform.vault, platform.signer)),
                system,
            )?;
            Ok(Arc::new(Self {
                phone: Arc::new(phone),
                connectivity: platform.connectivity,
                device: config.device,
                folder: config.folder.into(),
            }))
        })
        .await
    }

    /// The users.
    ///
    /// # Errors
    /// None today.
    pub async fn users(&self) -> Result<Vec<User>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        blocking(move || {
            let users = phone.users().into_iter().map(|user| User {
                user: user.user.to_string(),
                label: user.label,
                is_open: user.is_open,
            });
            Ok(users.collect())
        })
        .await
    }

    /// How a user's lock stands.
    ///
    /// # Errors
    /// `InvalidInput` at `user`.
    pub async fn lock_state(&self, user: String) -> Result<LockState, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        blocking(move || {
            let user = phone.user(&user)?;
            let tries_left = believed(phone.tries_left(&user))?.unwrap_or(0);
            Ok(LockState {
                tries_left,
                needs_station: tries_left == 0,
                lease: believed(phone.lease(&user))?.map(LeaseView::from),
                notes_waiting: phone.notes_waiting(&user)?.len() as u64,
                keeps_keys_apart: phone.keeps_keys_apart(),
            })
        })
        .await
    }

    /// Adds a user with a book of his own, and lets him in: enrol him next.
    ///
    /// # Errors
    /// `InvalidInput` at `label` or `new_pin`, `StorageFull`.
    pub async fn add_user(&self, label: String, new_pin: String) -> Result<Arc<Session>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        let open = blocking(move || Ok(phone.add_user(&label, &new_pin)?)).await?;
        Ok(self.session(open))
    }

    /// Lets a user in by his PIN. A damaged book is set aside, and a new one begun: see `Session.state`.
    ///
    /// # Errors
    /// `InvalidInput` at `pin` when it is wrong (`lock_state` counts), `Locked` when only the station helps, `TryLater`.
    pub async fn unlock(&self, user: String, pin: String) -> Result<Arc<Session>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        let open = blocking(move || Ok(phone.unlock(&phone.user(&user)?, &pin)?)).await?;
        Ok(self.session(open))
    }

    /// Lets a user in by finger or face.
    ///
    /// # Errors
    /// `Locked` when the PIN is needed.
    pub async fn unlock_biometric(&self, user: String) -> Result<Arc<Session>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        let open = blocking(move || Ok(phone.unlock_biometric(&phone.user(&user)?)?)).await?;
        Ok(self.session(open))
    }

    /// Lets a user in by a one-time code of the station, under a new PIN.
    ///
    /// # Errors
    /// `InvalidInput` at `code` or `new_pin`, `TryLater` without an answer, `SignInAgain` when he was never enrolled.
    pub async fn unlock_by_station(&self, user: String, code: String, new_pin: String) -> Result<Arc<Session>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        let work = async move {
            let user = phone.user(&user)?;
            let place = phone.place(&user)?.ok_or(BeatbookError::SignInAgain)?;
            let transport = station::transport(&place.into(), None)?;
            Ok(drive::unlock_online(&phone, &user, &transport, &code, &new_pin).await?)
        };
        let open = to_its_end(work).await?;
        Ok(self.session(open))
    }

    /// Writes an emergency note down while the book is locked: sealed at once to the station, and carried up after the next unlocking.
    ///
    /// # Errors
    /// `InvalidInput` at `text` or `place`, `SignInAgain` when he was never enrolled, `StorageFull` when too many wait.
    pub async fn note(&self, user: String, text: String, place: Option<String>) -> Result<(), BeatbookError> {
        // What is wrong with a place the core says of the note as a whole.
        if place.as_deref().is_some_and(|place| Place::parse(place).is_err()) {
            return Err(BeatbookError::at("place"));
        }
        let phone = Arc::clone(&self.phone);
        blocking(move || {
            let user = phone.user(&user)?;
            phone.note(&user, &EmergencyNote { text, place })?;
            Ok(())
        })
        .await
    }

    /// The emergency notes of a user that wait, oldest first; also of one whose book the station ended: then only a custodian can take them.
    ///
    /// # Errors
    /// `InvalidInput` at `user`.
    pub async fn notes_waiting(&self, user: String) -> Result<Vec<NoteWaiting>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        blocking(move || {
            let mut notes = Vec::new();
            for waiting in phone.notes_waiting(&here_or_parted(&phone, &user)?)? {
                notes.push(NoteWaiting {
                    note: waiting.note.to_string(),
                    at: waiting.at.0,
                    is_refused: waiting.is_refused,
                    file: std::fs::read(&waiting.path)?,
                });
            }
            Ok(notes)
        })
        .await
    }

    /// Takes a note away, once a custodian has a copy of its file. One that the station may still take stays. Tells whether it went.
    ///
    /// # Errors
    /// `InvalidInput` at `user` or `note`.
    pub async fn note_taken(&self, user: String, note: String) -> Result<bool, BeatbookError> {
        let name = parsed("note", &note)?;
        let phone = Arc::clone(&self.phone);
        blocking(move || Ok(phone.note_taken(&here_or_parted(&phone, &user)?, &name)?)).await
    }

    /// What is left of users whose books the station ended: show it once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn parted(&self) -> Result<Vec<Parted>, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        blocking(move || {
            let parted = phone.parted_users()?.into_iter().map(|parted| {
                let said = parted.farewell.said();
                Parted {
                    user: parted.user.to_string(),
                    why: said.why.clone(),
                    held_entries: said.held_entries,
                    lost_entries: said.lost_entries,
                    lost_photos: said.lost_blobs,
                }
            });
            Ok(parted.collect())
        })
        .await
    }

    /// Takes away what is left of such a user, once the station has heard of it and he has read it. Tells whether it went.
    ///
    /// # Errors
    /// `InvalidInput` at `user`.
    pub async fn dismiss_parted(&self, user: String) -> Result<bool, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        blocking(move || {
            let user = parted_user(&phone, &user)?;
            Ok(phone.dismiss(&user)?)
        })
        .await
    }
}

/// A user whose book the station ended.
fn parted_user(phone: &Phone, name: &str) -> Result<LocalUser, BeatbookError> {
    let mut parted = phone.parted_users()?.into_iter().map(|parted| parted.user);
    let found = parted.find(|parted| parted.to_string() == name);
    found.ok_or(BeatbookError::InvalidInput { field: "user".into() })
}

/// A user, or what is left of him.
fn here_or_parted(phone: &Phone, name: &str) -> Result<LocalUser, BeatbookError> {
    match phone.user(name) {
        Ok(user) => Ok(user),
        Err(LockError::NoSuchUser) => parted_user(phone, name),
        Err(fault) => Err(fault.into()),
    }
}

/// What the lock's files say, where they are to be believed.
fn believed<T>(said: Result<T, LockError>) -> Result<Option<T>, BeatbookError> {
    match said {
        Ok(said) => Ok(Some(said)),
        Err(LockError::OnlineUnlock(_) | LockError::Damaged(_)) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

impl Beatbook {
    fn session(&self, open: OpenUser) -> Arc<Session> {
        Arc::new(Session {
            desk: Desk::new(
                Arc::clone(&self.phone),
                self.connectivity.clone(),
                (self.device.clone(), &self.folder),
                open,
            ),
        })
    }
}
