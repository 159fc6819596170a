//! Where the core's work is done: on threads of our own, so that no call holds up the thread that draws a screen, whatever language called.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinError};

use crate::error::BeatbookError;

/// Threads for work on files at a time. Writers wait for each other anyway, and argon2 takes 64 MiB each.
const BLOCKING_THREADS_MAX: usize = 8;
/// Threads that wait for the network and for changes. Listeners are called on a thread of their own (`listeners`).
const WORKER_THREADS: usize = 2;

static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("beatbook")
        .enable_all()
        .build()
        .map_err(|fault| format!("threads cannot be started: {fault}"))
});

/// Told when the process is about to end: nothing of the app is called from then on.
static RESTING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// How much is being done on these threads, until it has let go of everything and has told whoever asked.
static AWAKE: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// That something is being done.
pub(crate) struct Awake(());

impl Awake {
    pub(crate) fn new() -> Self {
        *AWAKE.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        *AWAKE.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        AWAKE.1.notify_all();
    }
}

/// Ends listeners, syncs and log lines of this process, and waits until its threads have nothing to do. For languages whose interpreter must not
/// be called any more once it ends; Python's package does it by itself. Tells whether it came to rest in that time.
///
/// # Errors
/// None today.
#[uniffi::export]
pub fn rest(seconds_max: u32) -> Result<bool, BeatbookError> {
    caught(|| {
        RESTING.send_replace(true);
        let awake = AWAKE.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = Duration::from_secs(u64::from(seconds_max));
        let rested = AWAKE.1.wait_timeout_while(awake, wait, |awake| *awake > 0);
        let (awake, _) = rested.unwrap_or_else(PoisonError::into_inner);
        Ok(*awake == 0)
    })
}

/// Whether the process is about to end.
pub(crate) fn resting() -> watch::Receiver<bool> {
    RESTING.subscribe()
}

pub(crate) fn threads() -> Result<Handle, BeatbookError> {
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.handle().clone()),
        Err(report) => Err(BeatbookError::Internal { report: report.clone() }),
    }
}

/// Does work on a file. Once begun it is done to its end, also when whoever asked has stopped waiting: nothing is half written.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BeatbookError> + Send + 'static,
) -> Result<T, BeatbookError> {
    let (tell, told) = oneshot::channel();
    let awake = Awake::new();
    threads()?.spawn_blocking(move || {
        let _awake = awake;
        let done = caught(work);
        // Whoever waits is woken here, while this still counts.
        let _ = tell.send(done);
    });
    told.await.unwrap_or(Err(GIVEN_UP))
}

/// Runs a future on the threads; it ends when whoever asked stops waiting.
pub(crate) async fn while_awaited<T: Send + 'static>(
    work: impl Future<Output = Result<T, BeatbookError>> + Send + 'static,
) -> Result<T, BeatbookError> {
    let (task, told) = spawn(work)?;
    let _ends = EndsWithThis(task);
    told.await.unwrap_or(Err(GIVEN_UP))
}

/// Runs a future on the threads to its end, also when whoever asked stops waiting.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, BeatbookError>> + Send + 'static,
) -> Result<T, BeatbookError> {
    let (_, told) = spawn(work)?;
    told.await.unwrap_or(Err(GIVEN_UP))
}

/// Starts a future on the threads that goes on by itself.
pub(crate) fn by_itself(
    work: impl Future<Output = Result<(), BeatbookError>> + Send + 'static,
) -> Result<AbortHandle, BeatbookError> {
    Ok(spawn(work)?.0)
}

/// What is said of work that was given up: by the app, or with the process.
pub(crate) const GIVEN_UP: BeatbookError = BeatbookError::TryLater { after_ms: 0 };

struct EndsWithThis(AbortHandle);

impl Drop for EndsWithThis {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Told<T> = oneshot::Receiver<Result<T, BeatbookError>>;

/// Two tasks: the inner may be given up or panic; the outer tells what became of it. Both count until they have let go of everything.
fn spawn<T: Send + 'static>(
    work: impl Future<Output = Result<T, BeatbookError>> + Send + 'static,
) -> Result<(AbortHandle, Told<T>), BeatbookError> {
    let threads = threads()?;
    let awake = Awake::new();
    let inner = threads.spawn(async move {
        let _awake = awake;
        work.await
    });
    let (given_up, (tell, told), awake) = (inner.abort_handle(), oneshot::channel(), Awake::new());
    threads.spawn(async move {
        let _awake = awake;
        let done = joined(inner.await);
        let _ = tell.send(done);
    });
    Ok((given_up, told))
}

/// What became of a task: a panic in it is an error like others.
fn joined<T>(outcome: Result<Result<T, BeatbookError>, JoinError>) -> Result<T, BeatbookError> {
    match outcome {
        Ok(done) => done,
        Err(fault) if fault.is_panic() => Err(panicked(fault.into_panic().as_ref())),
        Err(_) => Err(GIVEN_UP),
    }
}

/// Turns a panic into an error. UniFFI would catch it as well, but throw what no app is told to expect. The core takes no harm: a
/// transaction that does not end is rolled back, and no lock stays poisoned.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, BeatbookError>) -> Result<T, BeatbookError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> BeatbookError {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    BeatbookError::Internal {
        report: words.unwrap_or("a panic without words").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_below_comes_out_as_an_error_with_its_words() {
        let told = caught::<()>(|| panic!("page {}", 7)).unwrap_err();
        assert_eq!(told, BeatbookError::Internal { report: "page 7".into() });
        let told = threads().unwrap().block_on(blocking::<()>(|| panic!("page 8"))).unwrap_err();
        assert_eq!(told, BeatbookError::Internal { report: "page 8".into() });
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_ended_and_what_writes_is_not() {
        let handle = threads().unwrap();
        let (ended, mut heard) = tokio::sync::mpsc::unbounded_channel::<&str>();
        let wrote = ended.clone();
        handle.block_on(async move {
            let endless = while_awaited(async move {
                let _ended = ended;
                std::future::pending::<Result<(), BeatbookError>>().await
            });
            let writing = blocking(move || {
                wrote.send("written").unwrap();
                Ok(())
            });
            tokio::select! {
                biased;
                _ = endless => panic!("it has no end"),
                done = writing => done.unwrap(),
            }
        });
        assert_eq!(handle.block_on(heard.recv()), Some("written"));
        assert_eq!(handle.block_on(heard.recv()), None, "the endless one let go");
    }
}
