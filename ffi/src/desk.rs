//! The open book of one user, shared by all objects of his session: who may use it now, and who is told when it changes.

use std::sync::Arc;

use beatbook_client_core::Core;
use beatbook_client_core::lock::{OpenUser, Phone};
use beatbook_client_core::transport::HttpTransport;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};

use crate::error::BeatbookError;
use crate::platform::{Connectivity, Network};
use crate::station;
use crate::work::blocking;

/// An open book. Whoever uses it holds it open; locking waits for them, and after that it is closed to all.
pub(crate) struct Desk {
    pub(crate) phone: Arc<Phone>,
    pub(crate) connectivity: Option<Arc<dyn Connectivity>>,
    /// What this phone calls itself at the station.
    pub(crate) device: String,
    /// Held by the sync that runs.
    pub(crate) syncing: tokio::sync::Mutex<()>,
    /// What the app said last of the network, when it did.
    pub(crate) network: std::sync::Mutex<Option<Network>>,
    /// Told when the book is about to be locked, so that long work ends.
    pub(crate) closing: watch::Sender<bool>,
    /// Told when the app has reason to sync at once.
    pub(crate) wanted: tokio::sync::Notify,
    open: Arc<RwLock<Option<OpenUser>>>,
    changes: watch::Receiver<()>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
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
        device: String,
        open: OpenUser,
    ) -> Arc<Self> {
        Arc::new(Self {
            phone,
            connectivity,
            device,
            syncing: tokio::sync::Mutex::new(()),
            network: std::sync::Mutex::new(None),
            closing: watch::Sender::new(false),
            wanted: tokio::sync::Notify::new(),
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

    /// Takes the user out, once nobody uses his book any more; none when it was locked before. What runs for long is told to end.
    pub(crate) async fn take(&self) -> Option<OpenUser> {
        self.closing.send_replace(true);
        self.open.write().await.take()
    }

    /// Gives the user back that was taken.
    pub(crate) async fn give_back(&self, user: OpenUser) {
        *self.open.write().await = Some(user);
        self.closing.send_replace(false);
    }

    /// The way to the user's station.
    pub(crate) fn transport(&self, user: &OpenUser) -> Result<HttpTransport, BeatbookError> {
        let place = user.place()?.ok_or(BeatbookError::SignInAgain)?;
        station::transport(&place.into(), Some(user.core_for_contact()))
    }

    /// Told after everything that was written.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }

    /// What is known of the network: what the app said last, or says now.
    pub(crate) async fn network(self: &Arc<Self>) -> Network {
        let said = *self.network.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(network) = said {
            return network;
        }
        let Some(connectivity) = self.connectivity.clone() else {
            return Network::Metered;
        };
        let asked = blocking(move || {
            connectivity.network().map_err(|fault| BeatbookError::Internal {
                report: fault.to_string(),
            })
        });
        asked.await.unwrap_or(Network::Metered)
    }
}
