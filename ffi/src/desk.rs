//! The open book of one user, shared by all objects of his session: who may use it now, and who is told when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beatbook_client_core::Core;
use beatbook_client_core::drive::{UserParted, UserSyncError};
use beatbook_client_core::lock::{LocalUser, LockError, OpenUser, Phone};
use beatbook_client_core::sync::{SyncReport, WaitReason};
use beatbook_client_core::transport::HttpTransport;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, broadcast, watch};

use crate::error::BeatbookError;
use crate::listeners::wait_closed;
use crate::observe::SAYINGS_MAX;
use crate::platform::{Connectivity, Network};
use crate::station;
use crate::sync::SyncNews;
use crate::work::blocking;

/// An open book. Whoever uses it holds it open; locking waits for them, and after that it is closed to all.
pub(crate) struct Desk {
    pub(crate) phone: Arc<Phone>,
    pub(crate) connectivity: Option<Arc<dyn Connectivity>>,
    /// What this phone calls itself at the station.
    pub(crate) device: String,
    /// Held by the sync that runs.
    pub(crate) syncing: tokio::sync::Mutex<()>,
    /// What the app said last of the network, where it brought nobody who could be asked.
    pub(crate) network: std::sync::Mutex<Option<Network>>,
    /// Told when the book is about to be locked or its user is gone, so that long work ends. Never taken back.
    pub(crate) closing: watch::Sender<bool>,
    /// Told when the app has reason to sync at once.
    pub(crate) wanted: tokio::sync::Notify,
    /// Told when something was written here that the station is to have. Not by what a sync writes, which would call for the next
    /// one for ever.
    pub(crate) captured: watch::Sender<()>,
    /// What syncs bring that an app may want to show.
    pub(crate) news: broadcast::Sender<Vec<SyncNews>>,
    /// Told when the user is back from a parting that did not come about: what shows may have changed while nobody could look.
    pub(crate) back: watch::Sender<()>,
    /// The user's own folder.
    folder: PathBuf,
    open: Arc<RwLock<Option<OpenUser>>>,
    /// Held while the user is out for his parting.
    away: tokio::sync::Mutex<()>,
    changes: watch::Receiver<()>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// What became of a user who was out for his parting.
#[derive(Debug)]
pub(crate) enum Away {
    /// He is in as before; why the station could not be asked, if that was it.
    Back(Option<WaitReason>),
    /// His keys and records are gone: the session is over.
    Gone,
    /// The app locked meanwhile: the parting goes on when he comes in again.
    Locked,
}

/// The book, held open.
pub(crate) struct Held(OwnedRwLockReadGuard<Option<OpenUser>>);

impl Held {
    /// The user, whatever his lease: for contact with the station.
    pub(crate) fn user(&self) -> Result<&OpenUser, BeatbookError> {
        self.0.as_ref().ok_or(BeatbookError::Locked)
    }
}

impl Desk {
    pub(crate) fn new(
        phone: Arc<Phone>,
        connectivity: Option<Arc<dyn Connectivity>>,
        (device, books): (String, &Path),
        open: OpenUser,
    ) -> Arc<Self> {
        Arc::new(Self {
            phone,
            connectivity,
            device,
            // Where the core keeps users apart; said to people alone.
            folder: books.join("users").join(open.user().to_string()),
            syncing: tokio::sync::Mutex::new(()),
            network: std::sync::Mutex::new(None),
            closing: watch::Sender::new(false),
            wanted: tokio::sync::Notify::new(),
            captured: watch::Sender::new(()),
            news: broadcast::Sender::new(SAYINGS_MAX),
            back: watch::Sender::new(()),
            away: tokio::sync::Mutex::new(()),
            changes: open.core_for_contact().changes(),
            open: Arc::new(RwLock::new(Some(open))),
        })
    }

    /// Holds the book open.
    pub(crate) async fn hold(&self) -> Result<Held, BeatbookError> {
        let guard = Arc::clone(&self.open).read_owned().await;
        if guard.is_none() {
            return Err(BeatbookError::Locked);
        }
        Ok(Held(guard))
    }

    /// Works on the records, on a thread of its own.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Core) -> Result<T, BeatbookError> + Send + 'static,
    ) -> Result<T, BeatbookError> {
        self.work_as_user(move |user| work(user.core()?)).await
    }

    /// Likewise, with the user himself.
    pub(crate) async fn work_as_user<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&OpenUser) -> Result<T, BeatbookError> + Send + 'static,
    ) -> Result<T, BeatbookError> {
        let held = self.hold().await?;
        blocking(move || work(held.user()?)).await
    }

    /// Likewise on the records, for what the station is to have: a sync that keeps up begins soon after it. Said where it was
    /// written, so that an app that has stopped waiting is served as well.
    pub(crate) async fn capture<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Core) -> Result<T, BeatbookError> + Send + 'static,
    ) -> Result<T, BeatbookError> {
        let desk = Arc::clone(self);
        self.work(move |core| {
            let done = work(core)?;
            desk.captured.send_replace(());
            Ok(done)
        })
        .await
    }

    /// Locks, once nobody uses the book any more; nothing is left to do when it was locked before. What runs for long is told to
    /// end, and when this returns no call of a listener begins.
    pub(crate) async fn lock(self: &Arc<Self>) -> Result<(), BeatbookError> {
        self.closing.send_replace(true);
        // A parting gives the user back, or lets him go, once it hears that.
        let _home = self.away.lock().await;
        let taken = self.open.write().await.take();
        let desk = Arc::clone(self);
        blocking(move || {
            let locked = taken.map_or(Ok(()), |open| desk.phone.lock(open));
            wait_closed(&desk.closing);
            Ok(locked?)
        })
        .await
    }

    /// Takes the user out for his parting, once nobody uses his book any more, and lets him in again when it did not come about.
    /// Listeners stay meanwhile: the session may go on. A lock does not wait for the station's answer: the parting is given up.
    pub(crate) async fn part<P>(self: &Arc<Self>, parting: impl FnOnce(OpenUser) -> P) -> Result<Away, BeatbookError>
    where
        P: Future<Output = Result<UserParted, UserSyncError>>,
    {
        let _away = self.away.lock().await;
        let mut closing = self.closing.subscribe();
        if *closing.borrow() {
            return Err(BeatbookError::Locked);
        }
        let open = self.open.write().await.take().ok_or(BeatbookError::Locked)?;
        let user = open.user();
        let parted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => None,
            parted = parting(open) => Some(parted),
        };
        let Some(parted) = parted else {
            return self.given_up(user).await;
        };
        match parted {
            Ok(UserParted::Not(open)) => Ok(self.give_back(*open, None).await),
            Ok(UserParted::Later(open, why)) => Ok(self.give_back(*open, Some(why)).await),
            Ok(UserParted::Gone(_)) => {
                self.closing.send_replace(true);
                Ok(Away::Gone)
            }
            Err(fault) => {
                // He is out, and goes on with it when he comes in again.
                self.closing.send_replace(true);
                Err(fault.into())
            }
        }
    }

    /// A lock that came meanwhile waits for this, and takes the user then.
    async fn give_back(&self, open: OpenUser, why: Option<WaitReason>) -> Away {
        *self.open.write().await = Some(open);
        self.back.send_replace(());
        Away::Back(why)
    }

    /// What locking does besides closing the book, which was let go of with the parting: the time is written down.
    async fn given_up(&self, user: LocalUser) -> Result<Away, BeatbookError> {
        let phone = Arc::clone(&self.phone);
        blocking(move || match phone.lease(&user) {
            Ok(_) => Ok(Away::Locked),
            // His keys were destroyed already: only the station was not told yet.
            Err(LockError::NoSuchUser) => Ok(Away::Gone),
            Err(fault) => {
                tracing::warn!(%fault, "the time could not be written down");
                Ok(Away::Locked)
            }
        })
        .await
    }

    /// Where all of the user's files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The way to the user's station.
    pub(crate) fn transport(&self, user: &OpenUser) -> Result<HttpTransport, BeatbookError> {
        let place = user.place()?.ok_or(BeatbookError::SignInAgain)?;
        station::transport(&place.into(), Some(user.core_for_contact()))
    }

    /// Says what a sync brought.
    pub(crate) fn say(&self, report: &SyncReport) {
        if !report.events.is_empty() {
            // Nobody may be listening.
            let _ = self.news.send(report.events.iter().map(SyncNews::from).collect());
        }
    }

    /// Told after everything that was written.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }

    /// What is known of the network: what the platform says now, else what the app said last.
    pub(crate) async fn network(self: &Arc<Self>) -> Network {
        let Some(connectivity) = self.connectivity.clone() else {
            let said = *self.network.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            return said.unwrap_or(Network::Metered);
        };
        let asked = blocking(move || {
            connectivity.network().map_err(|fault| BeatbookError::Internal {
                report: fault.to_string(),
            })
        });
        asked.await.unwrap_or(Network::Metered)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::testing::{Handset, PIN, alone, block_on};

    /// Nobody asked the station anything.
    fn later(open: OpenUser) -> UserParted {
        UserParted::Later(Box::new(open), WaitReason::Station("busy".to_owned()))
    }

    #[test]
    fn a_session_that_is_locked_while_its_user_is_out_for_his_parting_stays_locked() {
        let _one = alone();
        let handset = Handset::new();
        let desk = Arc::clone(&handset.desk);
        block_on(async {
            let (begin, begun) = oneshot::channel();
            let parting = Arc::clone(&desk);
            let parting = tokio::spawn(async move {
                parting
                    .part(|open| async move {
                        begin.send(()).unwrap();
                        // The station does not answer.
                        let _open = open;
                        pending().await
                    })
                    .await
            });
            begun.await.unwrap();
            tokio::time::timeout(Duration::from_secs(20), desk.lock())
                .await
                .unwrap()
                .unwrap();
            assert!(matches!(parting.await.unwrap(), Ok(Away::Locked)));
            assert_eq!(desk.hold().await.err(), Some(BeatbookError::Locked));
        });
        let user = handset.phone.users().remove(0).user;
        let open = handset.phone.unlock(&user, PIN).unwrap();
        handset.phone.lock(open).unwrap();
    }

    #[test]
    fn a_lock_that_finds_the_user_on_his_way_back_locks_him_all_the_same() {
        let _one = alone();
        let handset = Handset::new();
        let desk = &handset.desk;
        block_on(async {
            let locking = Arc::clone(desk);
            let parted = desk.part(|open| async move {
                tokio::spawn(async move { locking.lock().await });
                Ok(later(open))
            });
            assert!(matches!(parted.await, Ok(Away::Back(Some(_)))));
            desk.lock().await.unwrap();
            assert_eq!(desk.hold().await.err(), Some(BeatbookError::Locked));
        });
    }

    #[test]
    fn a_parting_that_does_not_come_about_ends_nothing_of_the_session() {
        let _one = alone();
        let handset = Handset::new();
        let desk = &handset.desk;
        let mut back = desk.back.subscribe();
        block_on(async {
            assert!(matches!(
                desk.part(|open| async { Ok(later(open)) }).await,
                Ok(Away::Back(Some(_)))
            ));
            let not = desk.part(|open| async { Ok(UserParted::Not(Box::new(open))) });
            assert!(matches!(not.await, Ok(Away::Back(None))));
            assert!(!*desk.closing.borrow() && back.has_changed().unwrap());
            back.mark_unchanged();
            desk.work(|_| Ok(())).await.unwrap();
            let failed = desk.part(|_| async { Err(UserSyncError::Lock(LockError::NotEnrolled)) });
            assert_eq!(failed.await.unwrap_err(), BeatbookError::SignInAgain);
            assert!(*desk.closing.borrow(), "he is out: nobody is told any more");
        });
    }
}
