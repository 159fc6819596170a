//! One user who is in: his rooms, his enrolment, his lock.

use std::sync::Arc;

use beatbook_client_core::lock::LeaseState;
use beatbook_client_core::sync;

use crate::conflicts::Conflicts;
use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::exchange_file::ExchangeFile;
use crate::office::{Person, UnitRow};
use crate::patrols::Patrols;
use crate::photos::Photos;
use crate::records::Records;
use crate::station::{self, EnrolOrder, StationPlace};
use crate::sync::StationSync;
use crate::work::{caught, to_its_end};

/// One user who is in. Everything it gave is closed once it is locked.
#[derive(Debug, uniffi::Object)]
pub struct Session {
    pub(crate) desk: Arc<Desk>,
}

/// Who was enrolled where.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Enrolled {
    /// The station's name for people.
    pub station: String,
    /// His name there.
    pub user_name: String,
    /// His roles by code.
    pub roles: Vec<String>,
    /// Twelve digits to compare with those on the chief's screen.
    pub check_digits: Option<String>,
    /// Whether the station takes nothing in until somebody has compared them.
    pub awaits: bool,
}

/// How a session stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SessionState {
    /// Whether it was enrolled.
    pub is_enrolled: bool,
    /// Twelve digits to compare with those on the chief's screen.
    pub check_digits: Option<String>,
    /// Whether the station waited for that at the last contact.
    pub awaits: bool,
    /// How long it works without the station.
    pub lease: LeaseView,
    /// Where a damaged file was put when this session began with an empty one in its place: its bytes are all there. Tell the user.
    pub damaged_kept_at: Option<String>,
}

/// How long a phone works without its station.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LeaseView {
    /// Whether it is over: sync, and the records open again.
    pub is_over: bool,
    /// Whether to warn.
    pub ends_soon: bool,
    /// Milliseconds that are left.
    pub left_ms: u64,
}

impl From<beatbook_client_core::lock::Lease> for LeaseView {
    fn from(lease: beatbook_client_core::lock::Lease) -> Self {
        Self {
            is_over: matches!(lease.state, LeaseState::Over(_)),
            ends_soon: lease.state == LeaseState::EndsSoon,
            left_ms: lease.left_ms,
        }
    }
}

#[uniffi::export]
impl Session {
    /// Patrols.
    ///
    /// # Errors
    /// None today.
    pub fn patrols(&self) -> Result<Arc<Patrols>, BeatbookError> {
        caught(|| Ok(Patrols::of(&self.desk)))
    }

    /// Records.
    ///
    /// # Errors
    /// None today.
    pub fn records(&self) -> Result<Arc<Records>, BeatbookError> {
        caught(|| Ok(Records::of(&self.desk)))
    }

    /// Photos and recordings.
    ///
    /// # Errors
    /// None today.
    pub fn photos(&self) -> Result<Arc<Photos>, BeatbookError> {
        caught(|| Ok(Photos::of(&self.desk)))
    }

    /// The contact with the station.
    ///
    /// # Errors
    /// None today.
    pub fn sync(&self) -> Result<Arc<StationSync>, BeatbookError> {
        caught(|| Ok(StationSync::of(&self.desk)))
    }

    /// Conflicts.
    ///
    /// # Errors
    /// None today.
    pub fn conflicts(&self) -> Result<Arc<Conflicts>, BeatbookError> {
        caught(|| Ok(Conflicts::of(&self.desk)))
    }

    /// Exchange by file.
    ///
    /// # Errors
    /// None today.
    pub fn exchange_file(&self) -> Result<Arc<ExchangeFile>, BeatbookError> {
        caught(|| Ok(ExchangeFile::of(&self.desk)))
    }

    /// Enrols this user at a station. When no answer came, call it again with the same invitation. Sync at once after it.
    ///
    /// # Errors
    /// `InvalidInput` at `invitation` (not one, used, run out, or of another station than answers), at `trust`; `TryLater` without an
    /// answer; `UpgradeRequired`.
    pub async fn enrol(&self, order: EnrolOrder) -> Result<Enrolled, BeatbookError> {
        let desk = Arc::clone(&self.desk);
        // Given up on by the app it still ends in one way or the other, and the next call goes on.
        to_its_end(async move { station::enrol(&desk, order).await }).await
    }

    /// Where the station is, as it was enrolled or moved to; none before.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn station(&self) -> Result<Option<StationPlace>, BeatbookError> {
        self.desk.work_as_user(|user| Ok(user.place()?.map(StationPlace::from))).await
    }

    /// Says that the station is to be found elsewhere, or shows another certificate. It is known by its keys all the same.
    ///
    /// # Errors
    /// `InvalidInput` at `address` or `trust`.
    pub async fn set_station(&self, place: StationPlace) -> Result<(), BeatbookError> {
        let place = place.checked()?;
        self.desk.work_as_user(move |user| station::remember(user, place)).await
    }

    /// How it stands.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn state(&self) -> Result<SessionState, BeatbookError> {
        self.desk
            .work_as_user(|user| {
                let core = user.core_for_contact();
                let shown = sync::enrolment(core)?;
                Ok(SessionState {
                    is_enrolled: sync::is_enrolled(core)?,
                    check_digits: shown.as_ref().and_then(|shown| shown.check_digits.clone()),
                    awaits: shown.is_some_and(|shown| shown.awaits),
                    lease: user.lease().into(),
                    damaged_kept_at: user.recovered().map(|damaged| damaged.kept_at.display().to_string()),
                })
            })
            .await
    }

    /// The staff, by name, as the station told of them: none before the first sync but this user.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn people(&self) -> Result<Vec<Person>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.people()?.into_iter().map(Person::from).collect()))
            .await
    }

    /// The units, by name, as the station told of them: none before the first sync.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn units(&self) -> Result<Vec<UnitRow>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.units()?.into_iter().map(UnitRow::from).collect()))
            .await
    }

    /// Another PIN. The old one is asked for, and counts as a try.
    ///
    /// # Errors
    /// `InvalidInput` at `pin` or `new_pin`.
    pub async fn change_pin(&self, pin: String, new_pin: String) -> Result<(), BeatbookError> {
        let phone = Arc::clone(&self.desk.phone);
        self.desk
            .work_as_user(move |user| Ok(phone.change_pin(user, &pin, &new_pin)?))
            .await
    }

    /// Lets finger or face open this book from now on, or ends that.
    ///
    /// # Errors
    /// `InvalidInput` at `biometric` when the phone has none.
    pub async fn set_biometric(&self, allowed: bool) -> Result<(), BeatbookError> {
        self.desk
            .work_as_user(move |user| {
                let done = if allowed {
                    user.allow_biometric()
                } else {
                    user.forbid_biometric()
                };
                Ok(done?)
            })
            .await
    }

    /// Locks: ends syncs and listeners, waits for work that was begun, and closes the book. What waits is kept. No call of a
    /// listener begins after this; one that takes long may still be running.
    ///
    /// # Errors
    /// When the time could not be written down; it is locked all the same.
    pub async fn lock(&self) -> Result<(), BeatbookError> {
        let desk = Arc::clone(&self.desk);
        to_its_end(async move { desk.lock().await }).await
    }
}
