//! What syncs take and give.

use beatbook_client_core::blobs::{BlobReport, BlobSyncFault};
use beatbook_client_core::sync::{SyncEvent, SyncFault, SyncReport, WaitingBecause};

/// What a sync may use.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncOptions {
    /// Whether photos and recordings travel after the records.
    #[uniffi(default = true)]
    pub photos: bool,
    /// Seconds from the call on after which nothing further begins: what the system gives a background task.
    #[uniffi(default = None)]
    pub seconds_max: Option<u32>,
    /// Bytes of photos, up and down together, after which nothing further begins.
    #[uniffi(default = None)]
    pub photo_bytes_max: Option<u64>,
    /// Whether to stay in touch after it until cancelled, or until `seconds_max` is over: hints of the station, and what is
    /// captured here, start the next one.
    #[uniffi(default = false)]
    pub keep_up: bool,
}

/// Where the book stands with its station.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncStatus {
    /// Own entries that the station has not answered.
    pub waiting: u64,
    /// Since when, milliseconds since 1970.
    pub since: Option<i64>,
    /// Why: `not_enrolled`, `not_sent_yet`, `failed`, `station_lacks`.
    pub why: Option<String>,
    /// What kept the last sync from its end, for people.
    pub trouble: Option<String>,
    /// The last verified reply, milliseconds since 1970.
    pub contact_at: Option<i64>,
    /// Own entries that the station refused and nobody has dealt with.
    pub refused: u64,
    /// Places where others wrote different values at the same time.
    pub conflicts: u64,
    /// Photos and recordings that wait.
    pub photos_waiting: u64,
    /// Whether station and phone have the same, and nothing waits.
    pub synced: bool,
    /// The least version of the app that the station wants, when this one is older.
    pub upgrade_required: Option<String>,
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default, uniffi::Record)]
pub struct SyncOutcome {
    /// Requests.
    pub requests: u32,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
    /// Own entries that the station took in.
    pub accepted: u64,
    /// Own entries that it refused.
    pub refused: u64,
    /// Entries of others that came.
    pub received: u64,
    /// Photos and recordings that arrived at the station.
    pub photos_sent: u32,
    /// Photos and recordings that came.
    pub photos_fetched: u32,
    /// Whether nothing was left to do on either side.
    pub complete: bool,
    /// Why not all was done, if not.
    pub trouble: Option<SyncTrouble>,
    /// What an app may want to show, in order.
    pub events: Vec<SyncNews>,
    /// Whether the station put this phone out of use: keys and records are gone, what it could be given it has, and the session is over.
    pub parted: bool,
}

/// Why a sync did not do all. Nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncTrouble {
    /// `try_later`, `budget_used`, `untrusted`, `sign_in_again`, `unknown_book`, `awaiting_confirmation`, `ended`, `upgrade_required`,
    /// `refused`, `cancelled`.
    pub code: String,
    /// For people.
    pub text: String,
}

/// Something that an app may want to show.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncNews {
    /// `records_changed`, `came_back`, `conflict`, `kinds_changed`, `page_resealed`, `station_restored`, `old_copy`, `left_scope`,
    /// `not_taken_back`, `destroyed`, `digests_differ`.
    pub code: String,
    /// The records.
    pub records: Vec<String>,
    /// More about it, for people.
    pub text: Option<String>,
}

/// Why entries wait, as a code.
pub(crate) const fn why_code(why: &WaitingBecause) -> &'static str {
    match why {
        WaitingBecause::NotEnrolled => "not_enrolled",
        WaitingBecause::NotSentYet => "not_sent_yet",
        WaitingBecause::Failed { .. } => "failed",
        WaitingBecause::StationLacks => "station_lacks",
    }
}

impl SyncOutcome {
    pub(super) fn add(&mut self, report: &SyncReport) {
        self.requests += report.requests;
        self.bytes_up += report.bytes_up;
        self.bytes_down += report.bytes_down;
        self.accepted += report.accepted;
        self.refused += report.refused;
        self.received += report.feed_entries;
        self.complete = report.complete;
        self.trouble = report.fault.as_ref().map(SyncTrouble::from);
        // Of a sync that keeps up for days only the last news is kept; whoever wants all has `observe_news`.
        self.events = report.events.iter().map(SyncNews::from).collect();
    }

    pub(super) fn add_photos(&mut self, report: &BlobReport) {
        self.requests += report.calls;
        self.bytes_up += report.bytes_up;
        self.bytes_down += report.bytes_down;
        self.photos_sent += u32::try_from(report.arrived.len()).unwrap_or(u32::MAX);
        self.photos_fetched += u32::try_from(report.fetched.len()).unwrap_or(u32::MAX);
        if let (None, Some(fault)) = (&self.trouble, &report.fault) {
            self.complete = false;
            self.trouble = Some(SyncTrouble {
                code: match fault {
                    BlobSyncFault::TryLater(_) => "try_later",
                    BlobSyncFault::BudgetUsed => "budget_used",
                    BlobSyncFault::Untrusted(_) => "untrusted",
                    BlobSyncFault::SignInAgain => "sign_in_again",
                    BlobSyncFault::UpgradeRequired => "upgrade_required",
                }
                .to_owned(),
                text: fault.to_string(),
            });
        }
    }
}

impl SyncTrouble {
    /// That it was given up, and why.
    pub(super) fn cancelled(why: &str) -> Self {
        Self {
            code: "cancelled".to_owned(),
            text: why.to_owned(),
        }
    }
}

impl From<&SyncFault> for SyncTrouble {
    fn from(fault: &SyncFault) -> Self {
        let code = match fault {
            SyncFault::TryLater(_) => "try_later",
            SyncFault::BudgetUsed => "budget_used",
            SyncFault::Untrusted(_) => "untrusted",
            SyncFault::SignInAgain => "sign_in_again",
            SyncFault::UnknownBook => "unknown_book",
            SyncFault::AwaitingConfirmation => "awaiting_confirmation",
            SyncFault::Ended { .. } => "ended",
            SyncFault::UpgradeRequired => "upgrade_required",
            SyncFault::Refused { .. } => "refused",
        };
        Self {
            code: code.to_owned(),
            text: fault.to_string(),
        }
    }
}

impl From<&SyncEvent> for SyncNews {
    fn from(event: &SyncEvent) -> Self {
        let (code, records, text) = match event {
            SyncEvent::RecordsChanged(records) => ("records_changed", records.clone(), None),
            SyncEvent::CameBack { record, text, .. } => ("came_back", record.iter().copied().collect(), Some(text.clone())),
            SyncEvent::Conflict { record } => ("conflict", vec![*record], None),
            SyncEvent::KindsChanged => ("kinds_changed", vec![], None),
            SyncEvent::PageResealed { fault } => ("page_resealed", vec![], Some(fault.clone())),
            SyncEvent::StationRestored { epoch } => ("station_restored", vec![], Some(format!("epoch {epoch}"))),
            SyncEvent::OldCopy => ("old_copy", vec![], None),
            SyncEvent::LeftScope { record, .. } => ("left_scope", vec![*record], None),
            SyncEvent::NotTakenBack { record, text, .. } => ("not_taken_back", vec![*record], Some(text.clone())),
            SyncEvent::Destroyed { record, .. } => ("destroyed", vec![*record], None),
            SyncEvent::DigestsDiffer => ("digests_differ", vec![], None),
        };
        Self {
            code: code.to_owned(),
            records: records.iter().map(ToString::to_string).collect(),
            text,
        }
    }
}
