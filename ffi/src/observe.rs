//! Telling an app when what it shows has changed: coalesced, in order, never while anything is locked. A listener that throws is told of the
//! next change like any other; one that is slow hears of fewer.

use std::sync::Arc;
use std::time::Duration;

use beatbook_client_core::Core;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::listeners::Line;
use crate::work::{by_itself, caught, resting, while_awaited};

/// Changes that come together become one.
const GATHER: Duration = Duration::from_millis(30);
/// Sayings that are kept for a listener that is slow.
pub(crate) const SAYINGS_MAX: usize = 64;

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
    line: Arc<Line>,
    task: AbortHandle,
    /// Its other end goes with the task.
    at_work: watch::Receiver<()>,
}

#[uniffi::export]
impl Subscription {
    /// Ends it: no call to the listener begins after this returns. It waits for one that has only just begun, half a second at
    /// most; called by the listener itself it does not.
    ///
    /// # Errors
    /// None today.
    pub fn cancel(&self) -> Result<(), BeatbookError> {
        caught(|| {
            self.task.abort();
            self.line.end_and_wait();
            Ok(())
        })
    }

    /// Waits until nothing is told any more: it was cancelled, or the session was locked.
    ///
    /// # Errors
    /// None today.
    pub async fn ended(&self) -> Result<(), BeatbookError> {
        let mut at_work = self.at_work.clone();
        while_awaited(async move {
            // Nothing is ever sent: this ends when the other end is dropped.
            while at_work.changed().await.is_ok() {}
            Ok(())
        })
        .await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Nobody was promised anything of this moment, which may be a collector's: it waits for nothing.
        self.line.end();
        self.task.abort();
    }
}

/// Tells a listener what a look at the records shows: now, and whenever it shows something else.
pub(crate) fn observe<T: PartialEq + Clone + Send + 'static>(
    desk: &Arc<Desk>,
    look: impl Fn(&Core) -> Result<T, BeatbookError> + Send + Sync + 'static,
    tell: impl Fn(T) -> Result<(), ListenerError> + Send + Sync + 'static,
) -> Result<Arc<Subscription>, BeatbookError> {
    let line = Line::new(desk.closing.subscribe());
    let watcher = Watcher {
        desk: Arc::clone(desk),
        look: Arc::new(look),
        tell: Arc::new(tell),
        line: Arc::clone(&line),
        shown: None,
    };
    let watching = watcher.watch(desk.changes(), desk.back.subscribe(), desk.closing.subscribe());
    subscribed(line, watching)
}

/// Tells a listener everything that is said from now on, in order. One that is slow by more than [`SAYINGS_MAX`] misses the oldest.
pub(crate) fn hear<T: Clone + Send + 'static>(
    desk: &Arc<Desk>,
    mut said: broadcast::Receiver<T>,
    tell: impl Fn(T) -> Result<(), ListenerError> + Send + Sync + 'static,
) -> Result<Arc<Subscription>, BeatbookError> {
    let line = Line::new(desk.closing.subscribe());
    let (mut closing, own, tell) = (desk.closing.subscribe(), Arc::clone(&line), Arc::new(tell));
    let hearing = async move {
        let mut resting = resting();
        loop {
            let heard = tokio::select! {
                heard = said.recv() => heard,
                _ = closing.wait_for(|closing| *closing) => return Ok(()),
                _ = resting.wait_for(|resting| *resting) => return Ok(()),
            };
            match heard {
                Ok(heard) => {
                    let tell = Arc::clone(&tell);
                    let call = move || {
                        if let Err(fault) = tell(heard) {
                            tracing::warn!(%fault, "a listener threw");
                        }
                    };
                    own.call(call).await?;
                }
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "a listener is too slow for what is said"),
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    };
    subscribed(line, hearing)
}

fn subscribed(
    line: Arc<Line>,
    work: impl Future<Output = Result<(), BeatbookError>> + Send + 'static,
) -> Result<Arc<Subscription>, BeatbookError> {
    let (working, at_work) = watch::channel(());
    let task = by_itself(async move {
        let _working = working;
        work.await
    })?;
    Ok(Arc::new(Subscription { line, task, at_work }))
}

struct Watcher<T, L, F> {
    desk: Arc<Desk>,
    look: Arc<L>,
    tell: Arc<F>,
    line: Arc<Line>,
    /// What the listener was told last.
    shown: Option<T>,
}

impl<T, L, F> Watcher<T, L, F>
where
    T: PartialEq + Clone + Send + 'static,
    L: Fn(&Core) -> Result<T, BeatbookError> + Send + Sync + 'static,
    F: Fn(T) -> Result<(), ListenerError> + Send + Sync + 'static,
{
    async fn watch(
        mut self,
        mut changes: watch::Receiver<()>,
        mut back: watch::Receiver<()>,
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), BeatbookError> {
        let mut resting = resting();
        loop {
            changes.mark_unchanged();
            back.mark_unchanged();
            if let Err(fault) = self.turn().await {
                match fault {
                    BeatbookError::Locked if *closing.borrow() => return Ok(()),
                    fault => tracing::warn!(%fault, "a listener could not be told"),
                }
            }
            tokio::select! {
                heard = changes.changed() => if heard.is_err() { return Ok(()) },
                _ = back.changed() => {},
                _ = closing.wait_for(|closing| *closing) => return Ok(()),
                _ = resting.wait_for(|resting| *resting) => return Ok(()),
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Looks, and tells what is new. The book is not held while the listener is told.
    async fn turn(&mut self) -> Result<(), BeatbookError> {
        let look = Arc::clone(&self.look);
        let found = self.desk.work(move |core| look(core)).await?;
        if self.shown.as_ref() == Some(&found) {
            return Ok(());
        }
        let (tell, told) = (Arc::clone(&self.tell), found.clone());
        let call = move || {
            if let Err(fault) = tell(told) {
                tracing::warn!(%fault, "a listener threw");
            }
        };
        if self.line.call(call).await? {
            self.shown = Some(found);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::testing::{Handset, alone, block_on};

    /// More than a listener needs when nothing hangs.
    const SOON: Duration = Duration::from_secs(20);

    /// A look that shows something else each time.
    fn counting() -> impl Fn(&Core) -> Result<u32, BeatbookError> + Send + Sync + 'static {
        let looks = AtomicU32::new(0);
        move |_| Ok(looks.fetch_add(1, Ordering::SeqCst))
    }

    #[test]
    fn more_listeners_than_there_are_threads_may_call_back_at_once() {
        let _one = alone();
        let handset = Handset::new();
        let (told, heard) = mpsc::channel();
        let subscriptions: Vec<_> = (0..12)
            .map(|number| {
                let (told, desk) = (told.clone(), Arc::clone(&handset.desk));
                let tell = move |shown: u32| {
                    // Long enough that all of them are in their calls at once, where each has a thread.
                    std::thread::sleep(Duration::from_millis(50));
                    block_on(desk.work(|_| Ok(()))).unwrap();
                    told.send((number, shown)).unwrap();
                    Ok(())
                };
                observe(&handset.desk, counting(), tell).unwrap()
            })
            .collect();
        for _ in 0..12 {
            heard.recv_timeout(SOON).unwrap();
        }
        handset.write();
        for _ in 0..12 {
            assert!(heard.recv_timeout(SOON).unwrap().1 > 0, "told of the change");
        }
        for subscription in subscriptions {
            subscription.cancel().unwrap();
        }
        handset.lock();
    }

    #[test]
    fn what_was_looked_at_before_a_lock_is_not_told_after_it() {
        let _one = alone();
        let handset = Handset::new();
        let (looking, looked) = mpsc::channel();
        let (told, heard) = mpsc::channel();
        let look = move |_: &Core| {
            looking.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            Ok(7)
        };
        let tell = move |shown: i32| {
            told.send(shown).unwrap();
            Ok(())
        };
        let _subscription = observe(&handset.desk, look, tell).unwrap();
        looked.recv_timeout(SOON).unwrap();
        handset.lock();
        assert!(heard.recv_timeout(Duration::from_millis(500)).is_err());
    }

    #[test]
    fn after_a_cancel_nothing_is_told_and_a_listener_may_cancel_itself() {
        let _one = alone();
        let handset = Handset::new();
        let (told, heard) = mpsc::channel();
        let (hand_over, own) = mpsc::channel::<Arc<Subscription>>();
        let own = std::sync::Mutex::new(own);
        let tell = move |shown: u32| {
            own.lock().unwrap().recv().unwrap().cancel().unwrap();
            told.send(shown).unwrap();
            Ok(())
        };
        let subscription = observe(&handset.desk, counting(), tell).unwrap();
        hand_over.send(Arc::clone(&subscription)).unwrap();
        assert_eq!(heard.recv_timeout(SOON), Ok(0));
        handset.write();
        assert!(heard.recv_timeout(Duration::from_millis(500)).is_err());
        handset.lock();
    }

    #[test]
    fn a_listener_that_threw_or_panicked_is_told_of_the_next_change() {
        let _one = alone();
        let handset = Handset::new();
        let (told, heard) = mpsc::channel();
        let tell = move |shown: u32| {
            told.send(shown).unwrap();
            assert!(shown > 0, "the first time it panics");
            Err(ListenerError::Thrown {
                report: "not today".into(),
            })
        };
        let _subscription = observe(&handset.desk, counting(), tell).unwrap();
        for _ in 0..3 {
            heard.recv_timeout(SOON).unwrap();
            handset.write();
        }
        handset.lock();
    }

    #[test]
    fn all_that_is_said_is_told_in_order_and_nothing_after_a_lock() {
        let _one = alone();
        let handset = Handset::new();
        let (told, heard) = mpsc::channel();
        let said = broadcast::Sender::new(SAYINGS_MAX);
        let tell = move |word: u32| {
            std::thread::sleep(Duration::from_millis(2));
            told.send(word).unwrap();
            assert!(word != 3, "one panics");
            Ok(())
        };
        let subscription = hear(&handset.desk, said.subscribe(), tell).unwrap();
        for word in 0..50 {
            said.send(word).unwrap();
        }
        for word in 0..50 {
            assert_eq!(heard.recv_timeout(SOON), Ok(word));
        }
        handset.lock();
        let _ = said.send(50);
        assert!(heard.recv_timeout(Duration::from_millis(300)).is_err());
        block_on(subscription.ended()).unwrap();
    }

    #[test]
    fn a_subscription_says_when_it_is_over() {
        let _one = alone();
        let handset = Handset::new();
        let over = |one: &Arc<Subscription>, wait| block_on(async { tokio::time::timeout(wait, one.ended()).await.is_ok() });
        let quiet = |_: u32| Ok(());
        let [cancelled, locked] = [(); 2].map(|()| observe(&handset.desk, counting(), quiet).unwrap());
        assert!(!over(&cancelled, Duration::from_millis(300)));
        cancelled.cancel().unwrap();
        assert!(over(&cancelled, SOON));
        assert!(!over(&locked, Duration::from_millis(100)), "the other goes on");
        handset.lock();
        assert!(over(&locked, SOON));
    }

    #[test]
    fn a_listener_goes_on_after_a_parting_that_did_not_come_about() {
        use beatbook_client_core::drive::UserParted;
        let _one = alone();
        let handset = Handset::new();
        let (told, heard) = mpsc::channel();
        let tell = move |shown: u32| {
            told.send(shown).unwrap();
            Ok(())
        };
        let _subscription = observe(&handset.desk, counting(), tell).unwrap();
        heard.recv_timeout(SOON).unwrap();
        let not = handset.desk.part(|open| async { Ok(UserParted::Not(Box::new(open))) });
        block_on(not).unwrap();
        heard.recv_timeout(SOON).unwrap();
        handset.write();
        heard.recv_timeout(SOON).unwrap();
        handset.lock();
    }
}
