//! Syncing: started and cancelled by the app, seen while it runs, and judged by what it brought. What it does is the core's.

use std::sync::Arc;

use beatbook_client_core::blobs::{BlobBudget, BlobReport, BlobSyncFault};
use beatbook_client_core::drive::{self, Pace, UserParted};
use beatbook_client_core::protocol::time::UnixMillis;
use beatbook_client_core::sync::{self, Budget, SyncEvent, SyncFault, SyncReport, WaitingBecause};
use beatbook_client_core::transport::HttpTransport;
use tokio::sync::watch;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::observe::{ListenerError, Subscription, observe};
use crate::platform::Network;
use crate::work::{caught, joined, start, while_awaited};

/// The contact of an open book with its station.
#[derive(Debug, uniffi::Object)]
pub struct StationSync {
    desk: Arc<Desk>,
}

/// What a sync may use.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncOptions {
    /// Whether photos and recordings travel after the records.
    #[uniffi(default = true)]
    pub photos: bool,
    /// Seconds after which nothing further begins: what the system gives a background task.
    #[uniffi(default = None)]
    pub seconds_max: Option<u32>,
    /// Bytes of photos, up and down together, after which nothing further begins.
    #[uniffi(default = None)]
    pub photo_bytes_max: Option<u64>,
    /// Whether to stay in touch after it until cancelled: hints of the station, and what is captured here, start the next one.
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

/// Told when the book stands differently with its station, and while a sync goes on.
#[uniffi::export(with_foreign)]
pub trait SyncListener: Send + Sync {
    /// How it stands now.
    fn on_status(&self, status: SyncStatus) -> Result<(), ListenerError>;
}

/// A sync that runs. It goes on when this is let go.
#[derive(Debug, uniffi::Object)]
pub struct SyncRun {
    ended: watch::Receiver<Option<Result<SyncOutcome, BeatbookError>>>,
    cancelled: watch::Sender<bool>,
}

impl StationSync {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl StationSync {
    /// Starts a sync; one that runs already is waited for first.
    ///
    /// # Errors
    /// When no threads can be had. All else is in what `finished` gives.
    pub fn start(&self, options: SyncOptions) -> Result<Arc<SyncRun>, BeatbookError> {
        caught(|| {
            let (end, ended) = watch::channel(None);
            let cancelled = watch::Sender::new(false);
            let run = run(Arc::clone(&self.desk), options, cancelled.subscribe());
            start(async move {
                // A task of its own, so that a panic in it still is an end.
                let outcome = joined(start(run)?.await);
                end.send_replace(Some(outcome));
                Ok(())
            })?;
            Ok(Arc::new(SyncRun { ended, cancelled }))
        })
    }

    /// Where the book stands.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn status(&self) -> Result<SyncStatus, BeatbookError> {
        self.desk.work(status).await
    }

    /// Asks for a comparison of all records with the station's; the next sync makes it.
    ///
    /// # Errors
    /// `StorageFull`.
    pub async fn verify(&self) -> Result<(), BeatbookError> {
        self.desk.work(|core| Ok(sync::verify(core)?)).await
    }

    /// Tells a listener where the book stands: now, and whenever that changes.
    ///
    /// # Errors
    /// When no threads can be had.
    pub fn observe(&self, listener: Arc<dyn SyncListener>) -> Result<Arc<Subscription>, BeatbookError> {
        caught(|| observe(&self.desk, status, move |status| listener.on_status(status)))
    }

    /// Says what the phone knows of its network from now on. A sync that keeps up goes on at once when there is one.
    ///
    /// # Errors
    /// None today.
    pub fn notify_connectivity(&self, network: Network) -> Result<(), BeatbookError> {
        caught(|| {
            *self.desk.network.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(network);
            if network != Network::Offline {
                self.desk.wanted.notify_one();
            }
            Ok(())
        })
    }
}

#[uniffi::export]
impl SyncRun {
    /// Waits for its end. To stop waiting does not stop it.
    ///
    /// # Errors
    /// `Locked` when the session was locked, `SignInAgain` before enrolment, `Internal` when the station's word cannot be believed.
    pub async fn finished(&self) -> Result<SyncOutcome, BeatbookError> {
        let mut ended = self.ended.clone();
        while_awaited(async move {
            match ended.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Err(BeatbookError::TryLater { after_ms: 0 })),
                Err(_) => Err(BeatbookError::TryLater { after_ms: 0 }),
            }
        })
        .await
    }

    /// Ends it soon. Everything that was exchanged is kept, and the next one goes on.
    ///
    /// # Errors
    /// None today.
    pub fn cancel(&self) -> Result<(), BeatbookError> {
        caught(|| {
            self.cancelled.send_replace(true);
            Ok(())
        })
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How a run came to its end.
enum Ran {
    Done(Box<SyncOutcome>),
    /// The station put the phone out of use.
    Ended(Box<SyncOutcome>, HttpTransport),
}

async fn run(desk: Arc<Desk>, options: SyncOptions, mut cancelled: watch::Receiver<bool>) -> Result<SyncOutcome, BeatbookError> {
    // A book that is locked already is no sync that was given up.
    drop(desk.hold().await?);
    let mut closing = desk.closing.subscribe();
    let ran = tokio::select! {
        ran = exchange(&desk, &options) => ran?,
        _ = cancelled.wait_for(|cancelled| *cancelled) => return Ok(given_up("the app cancelled it")),
        _ = closing.wait_for(|closing| *closing) => return Ok(given_up("the book was locked")),
    };
    match ran {
        Ran::Done(outcome) => Ok(*outcome),
        Ran::Ended(outcome, transport) => part(&desk, *outcome, &transport).await,
    }
}

fn given_up(why: &str) -> SyncOutcome {
    SyncOutcome {
        trouble: Some(SyncTrouble {
            code: "cancelled".to_owned(),
            text: why.to_owned(),
        }),
        ..SyncOutcome::default()
    }
}

async fn exchange(desk: &Arc<Desk>, options: &SyncOptions) -> Result<Ran, BeatbookError> {
    let _alone = desk.syncing.lock().await;
    let network = desk.network().await;
    let held = desk.hold().await?;
    let user = held.user()?;
    let core = user.core_for_contact();
    let transport = desk.transport(user)?;
    let deadline = options
        .seconds_max
        .map(|seconds| now_ms().saturating_add(i64::from(seconds) * 1_000));
    let budget = Budget {
        deadline: deadline.map(UnixMillis),
        ..Budget::default()
    };
    let photos = BlobBudget {
        metered: network != Network::Free,
        bytes_max: options.photo_bytes_max.unwrap_or(BlobBudget::default().bytes_max),
        calls_max: if options.photos { BlobBudget::default().calls_max } else { 0 },
        deadline: deadline.map(UnixMillis),
        ..BlobBudget::default()
    };
    let (report, _notes) = drive::sync_user(user, &transport, budget).await?;
    let mut outcome = SyncOutcome::default();
    outcome.add(&report);
    if matches!(report.fault, Some(SyncFault::Ended { .. })) {
        return Ok(Ran::Ended(Box::new(outcome), transport));
    }
    if options.photos && matches!(report.fault, None | Some(SyncFault::BudgetUsed)) {
        outcome.add_photos(&drive::sync_blobs(core, &transport, photos).await?);
    }
    let goes_on = options.keep_up
        && matches!(
            report.fault,
            None | Some(SyncFault::TryLater(_) | SyncFault::BudgetUsed | SyncFault::AwaitingConfirmation)
        );
    if goes_on {
        let keys = user.keys();
        let told = |report: &SyncReport| {
            outcome.add(report);
            // What the lock takes over of a reply is taken at the next contact if it cannot be now.
            if let Err(fault) = user.contact() {
                tracing::warn!(%fault, "what the station said was not taken over yet");
            }
        };
        let fault = drive::live(core, &keys, &transport, (budget, photos, Pace::default()), &desk.wanted, told).await?;
        outcome.trouble = Some(SyncTrouble::from(&fault));
        if matches!(fault, SyncFault::Ended { .. }) {
            return Ok(Ran::Ended(Box::new(outcome), transport));
        }
    }
    Ok(Ran::Done(Box::new(outcome)))
}

/// Hands in what waits, and destroys keys and records: the session is over, unless the station cannot be asked now.
async fn part(desk: &Arc<Desk>, mut outcome: SyncOutcome, transport: &HttpTransport) -> Result<SyncOutcome, BeatbookError> {
    let _alone = desk.syncing.lock().await;
    let Some(open) = desk.take().await else {
        return Err(BeatbookError::Locked);
    };
    match drive::part_user(&desk.phone, open, transport).await? {
        UserParted::Not(open) => desk.give_back(*open).await,
        UserParted::Later(open, why) => {
            desk.give_back(*open).await;
            outcome.trouble = Some(SyncTrouble {
                code: "ended".to_owned(),
                text: why.to_string(),
            });
        }
        UserParted::Gone(_) => outcome.parted = true,
    }
    Ok(outcome)
}

fn status(core: &beatbook_client_core::Core) -> Result<SyncStatus, BeatbookError> {
    let status = sync::status(core)?;
    Ok(SyncStatus {
        waiting: status.waiting,
        since: status.since.map(|at| at.0),
        why: status.why.as_ref().map(|why| why_code(why).to_owned()),
        trouble: status.fault.map(|(_, text)| text),
        contact_at: status.contact_at.map(|at| at.0),
        refused: core.refused()?.len() as u64,
        conflicts: core.conflicts()?.len() as u64,
        photos_waiting: core.blobs_owed()?.0,
        synced: status.synced,
        upgrade_required: status.upgrade_required,
    })
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
    fn add(&mut self, report: &SyncReport) {
        self.requests += report.requests;
        self.bytes_up += report.bytes_up;
        self.bytes_down += report.bytes_down;
        self.accepted += report.accepted;
        self.refused += report.refused;
        self.received += report.feed_entries;
        self.complete = report.complete;
        self.trouble = report.fault.as_ref().map(SyncTrouble::from);
        // Of a sync that keeps up for days only the last news is kept; whoever wants all observes.
        self.events = report.events.iter().map(SyncNews::from).collect();
    }

    fn add_photos(&mut self, report: &BlobReport) {
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
