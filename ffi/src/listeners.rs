//! Where listeners of the app are called: on one thread that no call of the app waits for, one after the other. So a listener may
//! call back, or take its time, and costs at worst other listeners' time. Knows whom it calls now; knows nothing of what is told.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::error::BeatbookError;
use crate::work::{Awake, GIVEN_UP, caught, resting};

/// How long whoever ends a line waits for a call that was decided on. Nobody but the app can say when its first line ran: a call
/// that has not come back after this has long begun, and may itself be waiting for whoever ends the line, so that waiting on
/// would be a deadlock.
const BEGUN_AFTER: Duration = Duration::from_millis(500);

type Call = Box<dyn FnOnce() + Send>;

static CALLS: LazyLock<Result<Sender<Call>, String>> = LazyLock::new(|| {
    let (calls, waiting) = channel::<Call>();
    let thread = std::thread::Builder::new().name("beatbook-tell".into());
    let spawned = thread.spawn(move || {
        IS_TELLING.set(true);
        for call in waiting {
            call();
        }
    });
    spawned
        .map(|_| calls)
        .map_err(|fault| format!("threads cannot be started: {fault}"))
});

thread_local! {
    /// Whether this is the thread that listeners are called on.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

/// The call that goes on, if one does. Held only to decide and to look, never while the app's code runs.
static NOW: (Mutex<Option<Going>>, Condvar) = (Mutex::new(None), Condvar::new());

struct Going {
    line: Arc<Line>,
    since: Instant,
}

/// The line to one listener, until it is over: ended by the app, or with its session, or with the process.
#[derive(Debug)]
pub(crate) struct Line {
    is_ended: AtomicBool,
    closing: watch::Receiver<bool>,
}

impl Line {
    pub(crate) fn new(closing: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self {
            is_ended: AtomicBool::new(false),
            closing,
        })
    }

    /// Lets no further call be decided on. One that was may not have begun yet.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::SeqCst);
    }

    /// Ends it; no call begins after this returns.
    pub(crate) fn end_and_wait(&self) {
        self.end();
        wait_begun(|line| std::ptr::eq(line, self));
    }

    fn is_over(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst) || *self.closing.borrow() || *resting().borrow()
    }

    /// Calls the listener on its thread, unless this is over by then. Tells whether it was called; what panics in it takes
    /// nothing down.
    pub(crate) async fn call(self: &Arc<Self>, call: impl FnOnce() + Send + 'static) -> Result<bool, BeatbookError> {
        let (tell, told) = oneshot::channel();
        let (line, awake) = (Arc::clone(self), Awake::new());
        let call: Call = Box::new(move || {
            let _awake = awake;
            let begins = begin(&line);
            if begins {
                let ended = caught(|| {
                    call();
                    Ok(())
                });
                end_call();
                if let Err(fault) = ended {
                    tracing::warn!(%fault, "a listener could not be told");
                }
            } else {
                // It holds the listener, which must be let go of while this still counts.
                drop(call);
            }
            let _ = tell.send(begins);
        });
        let calls = CALLS
            .as_ref()
            .map_err(|report| BeatbookError::Internal { report: report.clone() })?;
        calls.send(call).map_err(|_| GIVEN_UP)?;
        told.await.map_err(|_| GIVEN_UP)
    }
}

/// Decides on a call. Whoever ends a line looks at what was decided after saying so: one of the two sees the other.
fn begin(line: &Arc<Line>) -> bool {
    let mut now = NOW.0.lock().unwrap_or_else(PoisonError::into_inner);
    if line.is_over() {
        return false;
    }
    *now = Some(Going {
        line: Arc::clone(line),
        since: Instant::now(),
    });
    true
}

fn end_call() {
    *NOW.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    NOW.1.notify_all();
}

/// Waits until no listener of a session that closes is about to be called.
pub(crate) fn wait_closed(closing: &watch::Sender<bool>) {
    let closing = closing.subscribe();
    wait_begun(|line| line.closing.same_channel(&closing));
}

/// Waits until a call on such a line has surely begun, at best until it has come back. A listener that ends its own line does not
/// wait for itself.
fn wait_begun(is_such: impl Fn(&Line) -> bool) {
    if IS_TELLING.get() {
        return;
    }
    let mut now = NOW.0.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(going) = now.as_ref().filter(|going| is_such(&going.line)) {
        let left = BEGUN_AFTER.saturating_sub(going.since.elapsed());
        if left.is_zero() {
            return;
        }
        now = NOW.1.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::testing::block_on;

    /// A line of a session that is open as long as the sender is there.
    fn a_line() -> (Arc<Line>, watch::Sender<bool>) {
        let closing = watch::Sender::new(false);
        (Line::new(closing.subscribe()), closing)
    }

    /// Begins a call of the app whose own code starts only after a while, as when its interpreter is busy, and says when it ran.
    fn calling(line: &Arc<Line>, after: Duration) -> (mpsc::Receiver<()>, mpsc::Receiver<Instant>) {
        let (decided, decision) = mpsc::channel();
        let (ran, running) = mpsc::channel();
        let line = Arc::clone(line);
        std::thread::spawn(move || {
            block_on(async move {
                line.call(move || {
                    decided.send(()).unwrap();
                    std::thread::sleep(after);
                    ran.send(Instant::now()).unwrap();
                })
                .await
            })
        });
        (decision, running)
    }

    #[test]
    fn no_call_begins_after_a_line_was_ended_not_even_one_that_was_decided_on() {
        let _one = crate::testing::alone();
        let (line, closing) = a_line();
        let (decision, running) = calling(&line, Duration::from_millis(100));
        decision.recv().unwrap();
        line.end_and_wait();
        let ended = Instant::now();
        assert!(running.try_recv().unwrap() <= ended);
        assert!(!block_on(line.call(|| panic!("it is over"))).unwrap());
        drop(closing);
    }

    #[test]
    fn no_call_begins_after_the_session_was_closed_not_even_one_that_was_decided_on() {
        let _one = crate::testing::alone();
        let (line, closing) = a_line();
        let (decision, running) = calling(&line, Duration::from_millis(100));
        decision.recv().unwrap();
        closing.send_replace(true);
        wait_closed(&closing);
        let ended = Instant::now();
        assert!(running.try_recv().unwrap() <= ended);
        assert!(!block_on(line.call(|| panic!("it is over"))).unwrap());
    }

    #[test]
    fn a_listener_may_end_its_own_line_and_a_slow_one_keeps_nobody_waiting() {
        let _one = crate::testing::alone();
        let (line, _closing) = a_line();
        let own = Arc::clone(&line);
        let begun = Instant::now();
        assert!(block_on(line.call(move || own.end_and_wait())).unwrap());
        assert!(begun.elapsed() < BEGUN_AFTER, "it did not wait for itself");
        let (line, _closing) = a_line();
        let (decision, running) = calling(&line, 6 * BEGUN_AFTER);
        decision.recv().unwrap();
        let begun = Instant::now();
        line.end_and_wait();
        assert!(begun.elapsed() < 4 * BEGUN_AFTER && running.try_recv().is_err());
        running.recv().unwrap();
    }

    #[test]
    fn a_listener_that_panics_takes_neither_its_thread_nor_its_line_down() {
        let _one = crate::testing::alone();
        let (line, _closing) = a_line();
        assert!(block_on(line.call(|| panic!("not today"))).unwrap());
        let (told, heard) = mpsc::channel();
        assert!(block_on(line.call(move || told.send(()).unwrap())).unwrap());
        heard.recv().unwrap();
        assert!(NOW.0.lock().unwrap().is_none());
    }
}
