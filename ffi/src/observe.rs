//! Telling an app when what it shows has changed: coalesced, in order, never while anything is locked. A listener that throws is told of the
//! next change like any other; one that is slow hears of fewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beatbook_client_core::Core;
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::work::{blocking, by_itself, caught, resting};

/// Changes that come together become one.
const GATHER: Duration = Duration::from_millis(30);

/// What a listener did not take in.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
pub enum ListenerError {
    /// It threw.
    Thrown {
        /// What.
        report: String,
    },
}

impl std::fmt::Display for ListenerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Thrown { report } = self;
        f.write_str(report)
    }
}

impl std::error::Error for ListenerError {}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(fault: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Thrown { report: fault.reason }
    }
}

/// A listener at work. It is told until this is cancelled, the session is locked, or all holds on this are let go.
#[derive(Debug, uniffi::Object)]
pub struct Subscription {
    is_over: Arc<AtomicBool>,
    task: AbortHandle,
}

#[uniffi::export]
impl Subscription {
    /// Ends it: no call to the listener begins after this returns.
    ///
    /// # Errors
    /// None today.
    pub fn cancel(&self) -> Result<(), BeatbookError> {
        caught(|| {
            self.end();
            Ok(())
        })
    }
}

impl Subscription {
    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.task.abort();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells a listener what a look at the records shows: now, and whenever it shows something else.
pub(crate) fn observe<T: PartialEq + Clone + Send + 'static>(
    desk: &Arc<Desk>,
    look: impl Fn(&Core) -> Result<T, BeatbookError> + Send + Sync + 'static,
    tell: impl Fn(T) -> Result<(), ListenerError> + Send + Sync + 'static,
) -> Result<Arc<Subscription>, BeatbookError> {
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = Watcher {
        desk: Arc::clone(desk),
        look: Arc::new(look),
        tell: Arc::new(tell),
        is_over: Arc::clone(&is_over),
        shown: Arc::new(Mutex::new(None)),
    };
    let task = by_itself(watcher.watch(desk.changes(), desk.closing.subscribe()))?;
    Ok(Arc::new(Subscription { is_over, task }))
}

struct Watcher<T, L, F> {
    desk: Arc<Desk>,
    look: Arc<L>,
    tell: Arc<F>,
    is_over: Arc<AtomicBool>,
    shown: Arc<Mutex<Option<T>>>,
}

impl<T, L, F> Watcher<T, L, F>
where
    T: PartialEq + Clone + Send + 'static,
    L: Fn(&Core) -> Result<T, BeatbookError> + Send + Sync + 'static,
    F: Fn(T) -> Result<(), ListenerError> + Send + Sync + 'static,
{
    async fn watch(self, mut changes: watch::Receiver<()>, mut closing: watch::Receiver<bool>) -> Result<(), BeatbookError> {
        let mut resting = resting();
        loop {
            changes.mark_unchanged();
            if let Err(fault) = self.turn().await {
                match fault {
                    BeatbookError::Locked if *closing.borrow() => return Ok(()),
                    fault => tracing::warn!(%fault, "a listener could not be told"),
                }
            }
            tokio::select! {
                heard = changes.changed() => if heard.is_err() { return Ok(()) },
                _ = closing.wait_for(|closing| *closing) => return Ok(()),
                _ = resting.wait_for(|resting| *resting) => return Ok(()),
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Looks, and tells what is new. The book is not held while the listener is told.
    async fn turn(&self) -> Result<(), BeatbookError> {
        let look = Arc::clone(&self.look);
        let found = self.desk.work(move |core| look(core)).await?;
        let mut shown = Arc::clone(&self.shown).lock_owned().await;
        if shown.as_ref() == Some(&found) {
            return Ok(());
        }
        let (tell, is_over) = (Arc::clone(&self.tell), Arc::clone(&self.is_over));
        blocking(move || {
            if !is_over.load(Ordering::SeqCst) {
                *shown = Some(found.clone());
                if let Err(fault) = tell(found) {
                    tracing::warn!(%fault, "a listener threw");
                }
            }
            Ok(())
        })
        .await
    }
}
