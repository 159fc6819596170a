//! Syncing: started and cancelled by the app, seen while it runs, and judged by what it brought. What it does is the core's.

mod words;

use std::sync::{Arc, Mutex, PoisonError};

use beatbook_client_core::blobs::BlobBudget;
use beatbook_client_core::drive::{self, Pace, UserParted};
use beatbook_client_core::protocol::time::UnixMillis;
use beatbook_client_core::sync::{self, Budget, SyncFault, SyncReport};
use beatbook_client_core::transport::HttpTransport;
use tokio::sync::watch;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::observe::{ListenerError, Subscription, observe};
use crate::platform::Network;
use crate::work::{by_itself, caught, resting, to_its_end, while_awaited};

pub(crate) use words::why_code;
pub use words::{SyncNews, SyncOptions, SyncOutcome, SyncStatus, SyncTrouble};

/// The contact of an open book with its station.
#[derive(Debug, uniffi::Object)]
pub struct StationSync {
    desk: Arc<Desk>,
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
            by_itself(async move {
                // A task of its own, so that a panic in it still is an end.
                let outcome = to_its_end(run).await;
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
            *self.desk.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
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
    Done,
    /// The station put the phone out of use.
    Ended(HttpTransport),
}

async fn run(desk: Arc<Desk>, options: SyncOptions, mut cancelled: watch::Receiver<bool>) -> Result<SyncOutcome, BeatbookError> {
    // A book that is locked already is no sync that was given up.
    drop(desk.hold().await?);
    let (mut closing, mut resting) = (desk.closing.subscribe(), resting());
    let did = Mutex::new(SyncOutcome::default());
    let given_up = |why: &str| {
        let trouble = Some(SyncTrouble::cancelled(why));
        let complete = false;
        Ok(SyncOutcome {
            trouble,
            complete,
            ..taken(&did)
        })
    };
    let ran = tokio::select! {
        ran = exchange(&desk, &options, &did) => ran?,
        _ = cancelled.wait_for(|cancelled| *cancelled) => return given_up("the app cancelled it"),
        _ = closing.wait_for(|closing| *closing) => return given_up("the book was locked"),
        _ = resting.wait_for(|resting| *resting) => return given_up("the process ends"),
    };
    match ran {
        Ran::Done => Ok(taken(&did)),
        Ran::Ended(transport) => part(&desk, taken(&did), &transport).await,
    }
}

/// What was done so far.
fn taken(did: &Mutex<SyncOutcome>) -> SyncOutcome {
    std::mem::take(&mut *did.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn exchange(desk: &Arc<Desk>, options: &SyncOptions, did: &Mutex<SyncOutcome>) -> Result<Ran, BeatbookError> {
    let note = |done: &mut dyn FnMut(&mut SyncOutcome)| done(&mut did.lock().unwrap_or_else(PoisonError::into_inner));
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
    note(&mut |outcome| outcome.add(&report));
    if matches!(report.fault, Some(SyncFault::Ended { .. })) {
        return Ok(Ran::Ended(transport));
    }
    if options.photos && matches!(report.fault, None | Some(SyncFault::BudgetUsed)) {
        let travelled = drive::sync_blobs(core, &transport, photos).await?;
        note(&mut |outcome| outcome.add_photos(&travelled));
    }
    let goes_on = options.keep_up
        && matches!(
            report.fault,
            None | Some(SyncFault::TryLater(_) | SyncFault::BudgetUsed | SyncFault::AwaitingConfirmation)
        );
    if goes_on {
        let keys = user.keys();
        let told = |report: &SyncReport| {
            note(&mut |outcome| outcome.add(report));
            // What the lock takes over of a reply is taken at the next contact if it cannot be now.
            if let Err(fault) = user.contact() {
                tracing::warn!(%fault, "what the station said was not taken over yet");
            }
        };
        let fault = drive::live(core, &keys, &transport, (budget, photos, Pace::default()), &desk.wanted, told).await?;
        note(&mut |outcome| outcome.trouble = Some(SyncTrouble::from(&fault)));
        if matches!(fault, SyncFault::Ended { .. }) {
            return Ok(Ran::Ended(transport));
        }
    }
    Ok(Ran::Done)
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
