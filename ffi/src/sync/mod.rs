//! Syncing: started and cancelled by the app, seen while it runs, and judged by what it brought. What it does is the core's.

mod window;
mod words;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use beatbook_client_core::blobs::BlobBudget;
use beatbook_client_core::drive::{self, Pace};
use beatbook_client_core::lock::OpenUser;
use beatbook_client_core::sync::{self, Budget, SyncFault, SyncReport, WaitReason};
use beatbook_client_core::transport::HttpTransport;
use tokio::sync::{Notify, watch};

use crate::desk::{Away, Desk};
use crate::error::BeatbookError;
use crate::observe::{ListenerError, Subscription, hear, observe};
use crate::platform::Network;
use crate::work::{by_itself, caught, resting, to_its_end, while_awaited};

use window::Window;
pub(crate) use words::why_code;
pub use words::{SyncNews, SyncOptions, SyncOutcome, SyncStatus, SyncTrouble};

/// What is captured within this time is one reason for a sync that keeps up to begin the next.
const CAPTURED_GATHER: Duration = Duration::from_millis(500);

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

/// Told what syncs bring that an app may want to show, those of a sync that keeps up too.
#[uniffi::export(with_foreign)]
pub trait NewsListener: Send + Sync {
    /// What came, in order.
    fn on_news(&self, news: Vec<SyncNews>) -> Result<(), ListenerError>;
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
    /// Starts a sync; one that runs already is waited for first, which counts as time of this one.
    ///
    /// # Errors
    /// When no threads can be had. All else is in what `finished` gives.
    pub fn start(&self, options: SyncOptions) -> Result<Arc<SyncRun>, BeatbookError> {
        caught(|| {
            let (end, ended) = watch::channel(None);
            let cancelled = watch::Sender::new(false);
            let window = Window::from_now(options.seconds_max);
            let run = run(Arc::clone(&self.desk), options, window, cancelled.subscribe());
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

    /// Tells a listener what syncs bring, from now on: each exchange's news once, in order. A listener that is slower than 64 exchanges
    /// misses the oldest, and the log says so.
    ///
    /// # Errors
    /// When no threads can be had.
    pub fn observe_news(&self, listener: Arc<dyn NewsListener>) -> Result<Arc<Subscription>, BeatbookError> {
        caught(|| hear(&self.desk, self.desk.news.subscribe(), move |news| listener.on_news(news)))
    }

    /// Says what the phone knows of its network from now on. A sync that keeps up goes on at once when there is one. Where the platform
    /// has a `Connectivity`, that is asked at each sync, and this only wakes.
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

/// How a run came to its end.
enum Ran {
    Done,
    /// The station put the phone out of use.
    Ended(HttpTransport),
}

async fn run(
    desk: Arc<Desk>,
    options: SyncOptions,
    window: Window,
    mut cancelled: watch::Receiver<bool>,
) -> Result<SyncOutcome, BeatbookError> {
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
        ran = exchange(&desk, &options, window, &did) => ran?,
        _ = cancelled.wait_for(|cancelled| *cancelled) => return given_up("the app cancelled it"),
        _ = closing.wait_for(|closing| *closing) => return given_up("the book was locked"),
        _ = resting.wait_for(|resting| *resting) => return given_up("the process ends"),
    };
    match ran {
        Ran::Done => Ok(taken(&did)),
        Ran::Ended(transport) => part(&desk, window, taken(&did), &transport).await,
    }
}

/// What was done so far.
fn taken(did: &Mutex<SyncOutcome>) -> SyncOutcome {
    std::mem::take(&mut *did.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Writes down what was done.
fn note(did: &Mutex<SyncOutcome>, done: impl FnOnce(&mut SyncOutcome)) {
    done(&mut did.lock().unwrap_or_else(PoisonError::into_inner));
}

/// That the time was over before all was done.
fn time_is_over(outcome: &mut SyncOutcome) {
    outcome.complete = false;
    outcome.trouble = Some(SyncTrouble::from(&SyncFault::BudgetUsed));
}

async fn exchange(
    desk: &Arc<Desk>,
    options: &SyncOptions,
    window: Window,
    did: &Mutex<SyncOutcome>,
) -> Result<Ran, BeatbookError> {
    let Some(_alone) = window.within(desk.syncing.lock()).await else {
        note(did, time_is_over);
        return Ok(Ran::Done);
    };
    let network = desk.network().await;
    let held = desk.hold().await?;
    let user = held.user()?;
    let transport = desk.transport(user)?;
    let deadline = window.deadline();
    let budget = Budget {
        deadline,
        ..Budget::default()
    };
    let photos = BlobBudget {
        metered: network != Network::Free,
        bytes_max: options.photo_bytes_max.unwrap_or(BlobBudget::default().bytes_max),
        calls_max: if options.photos { BlobBudget::default().calls_max } else { 0 },
        deadline,
        ..BlobBudget::default()
    };
    let (report, _notes) = drive::sync_user(user, &transport, budget).await?;
    desk.say(&report);
    note(did, |outcome| outcome.add(&report));
    if matches!(report.fault, Some(SyncFault::Ended { .. })) {
        return Ok(Ran::Ended(transport));
    }
    if options.photos && matches!(report.fault, None | Some(SyncFault::BudgetUsed)) {
        let travelled = drive::sync_blobs(user.core_for_contact(), &transport, photos).await?;
        note(did, |outcome| outcome.add_photos(&travelled));
    }
    let goes_on = options.keep_up
        && matches!(
            report.fault,
            None | Some(SyncFault::TryLater(_) | SyncFault::BudgetUsed | SyncFault::AwaitingConfirmation)
        );
    if goes_on && keep_up(desk, (user, &transport), (budget, photos, window), did).await? {
        return Ok(Ran::Ended(transport));
    }
    Ok(Ran::Done)
}

/// Stays in touch until nothing further can be done without the person, or the time is over. Tells whether the station has ended
/// the book.
async fn keep_up(
    desk: &Desk,
    (user, transport): (&OpenUser, &HttpTransport),
    (budget, photos, window): (Budget, BlobBudget, Window),
    did: &Mutex<SyncOutcome>,
) -> Result<bool, BeatbookError> {
    let (core, keys, captured) = (user.core_for_contact(), user.keys(), desk.captured.subscribe());
    let told = |report: &SyncReport| {
        desk.say(report);
        note(did, |outcome| outcome.add(report));
        // What the lock takes over of a reply is taken at the next contact if it cannot be now.
        if let Err(fault) = user.contact() {
            tracing::warn!(%fault, "what the station said was not taken over yet");
        }
    };
    let living = async {
        tokio::select! {
            fault = drive::live(core, &keys, transport, (budget, photos, Pace::default()), &desk.wanted, told) => fault,
            never = wake(captured, &desk.wanted) => match never {},
        }
    };
    // What is being exchanged when the time ends is given up; what was exchanged before is kept.
    let lived = if window.is_over() { None } else { window.within(living).await };
    let Some(fault) = lived.transpose()? else {
        note(did, time_is_over);
        return Ok(false);
    };
    note(did, |outcome| outcome.trouble = Some(SyncTrouble::from(&fault)));
    Ok(matches!(fault, SyncFault::Ended { .. }))
}

/// Says of what is captured here that it is reason to sync: once for all that comes together.
async fn wake(mut captured: watch::Receiver<()>, wanted: &Notify) -> Infallible {
    while captured.changed().await.is_ok() {
        tokio::time::sleep(CAPTURED_GATHER).await;
        // All of it was written before the sync that is asked for now.
        captured.mark_unchanged();
        wanted.notify_one();
    }
    std::future::pending().await
}

/// Hands in what waits, and destroys keys and records: the session is over, unless the station cannot be asked now.
async fn part(
    desk: &Arc<Desk>,
    window: Window,
    mut outcome: SyncOutcome,
    transport: &HttpTransport,
) -> Result<SyncOutcome, BeatbookError> {
    // Without time for it the outcome stays what it is, that the book has ended, and the next sync goes on from there.
    let Some(_alone) = window.within(desk.syncing.lock()).await else {
        return Ok(outcome);
    };
    if window.is_over() {
        return Ok(outcome);
    }
    match desk.part(|open| drive::part_user(&desk.phone, open, transport)).await? {
        Away::Back(None) => {}
        Away::Back(Some(why)) => {
            let code = if why == WaitReason::UnknownBook {
                "unknown_book"
            } else {
                "ended"
            };
            outcome.trouble = Some(SyncTrouble {
                code: code.to_owned(),
                text: why.to_string(),
            });
        }
        Away::Gone => outcome.parted = true,
        Away::Locked => {
            outcome.complete = false;
            outcome.trouble = Some(SyncTrouble::cancelled("the book was locked"));
        }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::testing::{Handset, block_on};

    const SOON: Duration = Duration::from_secs(20);

    fn options(seconds_max: u32) -> SyncOptions {
        SyncOptions {
            photos: true,
            seconds_max: Some(seconds_max),
            photo_bytes_max: None,
            keep_up: false,
        }
    }

    #[test]
    fn a_sync_whose_turn_does_not_come_in_its_time_ends_as_one_whose_time_is_used_up() {
        let handset = Handset::new();
        let rooms = StationSync::of(&handset.desk);
        let begun = Instant::now();
        let outcome = block_on(async {
            let another = handset.desk.syncing.lock().await;
            let run = rooms.start(options(1)).unwrap();
            let outcome = tokio::time::timeout(SOON, run.finished()).await;
            drop(another);
            outcome
        });
        let outcome = outcome.unwrap().unwrap();
        assert_eq!(outcome.trouble.unwrap().code, "budget_used");
        assert!(!outcome.complete && begun.elapsed() >= Duration::from_secs(1));
        handset.lock();
    }

    #[test]
    fn the_time_of_a_sync_is_reckoned_from_the_call_on() {
        let window = Window::from_now(Some(1));
        let at = window.deadline().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let later = window.deadline().unwrap();
        assert!((later.0 - at.0).abs() < 200, "waiting for its turn makes it no longer");
        assert!(!window.is_over() && Window::from_now(Some(0)).is_over() && !Window::from_now(None).is_over());
        assert_eq!(block_on(window.within(std::future::pending::<()>())), None);
        assert!(window.is_over());
    }

    #[test]
    fn what_is_captured_together_wakes_a_sync_that_keeps_up_once() {
        let (captured, wanted) = (watch::Sender::new(()), Notify::new());
        let soon = async |wait: Duration| tokio::time::timeout(wait, wanted.notified()).await.is_ok();
        let rounds = async {
            for _ in 0..3 {
                for _ in 0..5 {
                    captured.send_replace(());
                }
                assert!(soon(SOON).await);
                assert!(!soon(3 * CAPTURED_GATHER).await, "nothing was captured since");
            }
        };
        block_on(async {
            tokio::select! {
                () = rounds => {}
                never = wake(captured.subscribe(), &wanted) => match never {},
            }
        });
    }

    #[test]
    fn only_what_was_captured_wakes_a_sync_and_not_what_a_sync_writes() {
        let handset = Handset::new();
        let mut captured = handset.desk.captured.subscribe();
        handset.write();
        assert!(!captured.has_changed().unwrap());
        let failed = handset.desk.capture(|_| Err::<(), _>(BeatbookError::StorageFull));
        assert_eq!(block_on(failed), Err(BeatbookError::StorageFull));
        assert!(!captured.has_changed().unwrap());
        block_on(handset.desk.capture(|_| Ok(()))).unwrap();
        assert!(captured.has_changed().unwrap());
        captured.mark_unchanged();
        handset.lock();
    }
}
