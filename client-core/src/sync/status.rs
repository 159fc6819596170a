//! What waits, since when, and why. "Synced" is said only when nothing waits, the last exchange left nothing on either side, and both
//! held the same after it.

use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::AppVersion;

use super::APP;
use super::parcel::{self, ParcelCounts};
use crate::core::Core;
use crate::error::CoreError;
use crate::store::{self, StoreError, Tx, digests, give, outbox, scope, sync_state};

/// Where this phone stands with its station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStatus {
    /// Own entries without an answer.
    pub waiting: u64,
    /// When the oldest of them was written, by this phone's clock.
    pub since: Option<UnixMillis>,
    /// Why they wait; none when nothing does.
    pub why: Option<WaitingBecause>,
    /// What kept the last sync from its end, for people, and when; none when it came to one. Shown even when nothing waits: a station that is not
    /// believed any more should not go unnoticed.
    pub fault: Option<(UnixMillis, String)>,
    /// The last verified reply.
    pub contact_at: Option<UnixMillis>,
    /// The last time that nothing was left to do on either side.
    pub complete_at: Option<UnixMillis>,
    /// The last time that phone and station were seen to hold the same.
    pub agreed_at: Option<UnixMillis>,
    /// Since when they have been seen to hold different records; none when they agree.
    pub differs_since: Option<UnixMillis>,
    /// Entries that the station lost when it was restored, and that this phone gives back.
    pub to_give_back: u64,
    /// Records that left this user's scope and are here still, since own work hangs on them: what waits, what was refused, a draft.
    pub left: Vec<RecordId>,
    /// Whether the station has all that this phone has, and this phone all that the station had for it at the last contact: nothing waits,
    /// the last exchange left nothing on either side, and both digests agreed after it.
    pub synced: bool,
    /// The least version of the app that the station wants, when this one is older. All that was captured goes up all the same.
    pub upgrade_required: Option<String>,
    /// Parcels that are carried for others, and own ones whose answer has not come.
    pub parcels: ParcelCounts,
}

/// Why own entries wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingBecause {
    /// The phone has no book yet.
    NotEnrolled,
    /// There was no sync since.
    NotSentYet,
    /// The last sync failed.
    Failed {
        /// When.
        at: UnixMillis,
        /// What was wrong and what to do, for people.
        text: String,
        /// The station asked not to be called before.
        not_before: Option<UnixMillis>,
    },
    /// The station lacks what they build on; they are sent again when it may have it.
    StationLacks,
}

/// Where this phone stands with its station.
///
/// # Errors
/// Those of the store.
pub fn status(core: &Core) -> Result<SyncStatus, CoreError> {
    let now = core.platform().clock.wall();
    core.read(|tx| read_status(tx, now))
}

/// The bearer token of the last reply that had one.
pub(crate) fn token(core: &Core) -> Result<Option<String>, CoreError> {
    core.read(|tx| Ok(sync_state::exchanged(tx)?.token))
}

/// Whether this file has its book: before that nothing can be written or exchanged.
///
/// # Errors
/// When the file cannot be read.
pub fn is_enrolled(core: &Core) -> Result<bool, CoreError> {
    core.read(|tx| Ok(sync_state::own_book(tx)?.is_some()))
}

/// The keys of its certificate that the station announced last, for [`crate::transport::Trust::holding_to`]: read them when a transport is opened.
/// None when it never did.
///
/// # Errors
/// When the file cannot be read.
pub fn pins(core: &Core) -> Result<Option<Vec<Hash>>, CoreError> {
    core.read(store::pins::pins)
}

/// Somebody scanned what the station prints for its phones, and so says anew whom to believe: its keys take the place of those that were announced
/// before, until the station announces others. Call it at each such scan, and at no other time: it is how a phone comes back that heard of
/// neither of two changes of the key, or whose station was set up anew.
///
/// # Errors
/// When storage is full.
pub fn scanned(core: &Core, trust: &crate::transport::Trust) -> Result<(), CoreError> {
    core.write(|records| store::pins::replace_pins(records.tx(), trust.pins()))
}

/// Asks for a comparison of all records with the station's; the next sync makes it.
///
/// # Errors
/// When storage is full.
pub fn verify(core: &Core) -> Result<(), CoreError> {
    core.write(|records| digests::ask_verify(records.tx()))
}

fn read_status(tx: &Tx<'_>, now: UnixMillis) -> Result<SyncStatus, StoreError> {
    let exchanged = sync_state::exchanged(tx)?;
    let on_the_way = outbox::waiting(tx)?;
    let waiting = on_the_way.queued + on_the_way.sealed;
    let since = outbox::oldest_waiting(tx)?.and_then(|bytes| outbox::written_at(&bytes));
    let agreement = digests::agreement(tx)?;
    let (to_give_back, _) = give::waiting(tx, now)?;
    let synced = waiting == 0
        && to_give_back == 0
        && agreement.differs_since.is_none()
        && agreement.agreed_at == exchanged.contact_at
        && exchanged.fault.is_none()
        && exchanged.complete_at.is_some()
        && exchanged.complete_at == exchanged.contact_at;
    let why = if waiting == 0 {
        None
    } else if sync_state::own_book(tx)?.is_none() {
        Some(WaitingBecause::NotEnrolled)
    } else if let Some((at, text)) = exchanged.fault.clone() {
        let not_before = exchanged.not_before;
        Some(WaitingBecause::Failed { at, text, not_before })
    } else if on_the_way.held == waiting {
        Some(WaitingBecause::StationLacks)
    } else {
        Some(WaitingBecause::NotSentYet)
    };
    Ok(SyncStatus {
        waiting,
        since,
        why,
        fault: exchanged.fault,
        contact_at: exchanged.contact_at,
        complete_at: exchanged.complete_at,
        agreed_at: agreement.agreed_at,
        differs_since: agreement.differs_since,
        to_give_back,
        left: scope::leaving(tx)?,
        synced,
        upgrade_required: sync_state::app_min(tx)?.filter(|wanted| is_newer(wanted)),
        parcels: parcel::counts(tx)?,
    })
}

/// Whether this version is newer than this app: after an update the station's last word may still name the one before.
fn is_newer(wanted: &str) -> bool {
    AppVersion::parse(wanted) > AppVersion::parse(APP)
}
