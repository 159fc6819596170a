//! The core as apps in Kotlin, Swift and Python see it: plain values in, plain values or one of eight errors out. Knows no rule of its
//! own; it only turns the core's words into those that every language has.
//!
//! ```text
//!  Beatbook.open(config, platform) ─► users, lock state, emergency notes
//!     └─ add_user / unlock ─► Session ─► patrols, records, photos, conflicts, sync, exchange_file
//!                                │ (all of them work at one `desk`: the open book)
//!  platform: KeyVault, Signer, Connectivity ◄── implemented by the app
//!  listeners ◄── observe: told of what changed, in order, on a thread of their own, never while anything is locked
//! ```
//!
//! Calls that touch a file or the network are asynchronous and work on threads of our own: none holds up a screen. Every call returns a result,
//! and a panic below comes out as [`BeatbookError::Internal`]: nothing here takes the app down with it.

mod beatbook;
mod blot;
mod conflicts;
mod desk;
mod error;
mod exchange_file;
mod forms;
mod listeners;
mod logs;
mod observe;
mod office;
mod patrols;
mod photos;
mod platform;
mod records;
mod session;
mod station;
mod sync;
#[cfg(test)]
mod testing;
mod values;
mod views;
mod work;

pub use beatbook::{Beatbook, Config, LockState, Parted, User};
pub use conflicts::Conflicts;
pub use error::BeatbookError;
pub use exchange_file::{AnswerTaken, Carried, ExchangeFile, ParcelFile};
pub use forms::{
    ActForm, ActNow, ChoiceForm, ClockForm, DraftForm, FieldForm, FieldNow, FieldSort, ItemFieldForm, KindForm, StateForm,
};
pub use logs::{LogLevel, LogSink, redact, set_log_sink};
pub use observe::{ListenerError, Subscription};
pub use office::{Person, UnitRow};
pub use patrols::{ActivePatrol, PatrolListener, Patrols, PauseReason, PointSource, TrackCounts, TrackPoint, gpx_points};
pub use photos::{Attached, Photo, PhotoSource, Photos};
pub use platform::{Connectivity, KeyGate, KeyVault, KeyVaultError, Network, Platform, Signer, software_signer, software_vault};
pub use records::{Act, CameBack, Done, Draft, Due, Near, RecordFilter, Records, RecordsListener, Waiting};
pub use session::{Enrolled, LeaseView, Session, SessionState};
pub use station::{EnrolOrder, StationPlace};
pub use sync::{NewsListener, StationSync, SyncListener, SyncNews, SyncOptions, SyncOutcome, SyncRun, SyncStatus, SyncTrouble};
pub use values::{Facts, FieldValue, Item, ItemEdit, Label, RecordEdit};
pub use views::{ActDone, Author, Claim, Conflict, Finding, RecordPage, RecordRow, RecordView};

pub use work::rest;

uniffi::setup_scaffolding!();

/// The version of this library, and of the bindings that are made from it: an app ships both from one build.
///
/// # Errors
/// None today.
#[uniffi::export]
pub fn version() -> Result<String, BeatbookError> {
    work::caught(|| Ok(env!("CARGO_PKG_VERSION").to_owned()))
}
