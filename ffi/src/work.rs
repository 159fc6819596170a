//! Where the core's work is done: on threads of our own, so that no call holds up the thread that draws a screen, whatever language called.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{AbortHandle, JoinError, JoinHandle};

use crate::error::BeatbookError;

/// Threads for work on files at a time. Writers wait for each other anyway, and argon2 takes 64 MiB each.
const BLOCKING_THREADS_MAX: usize = 8;
/// Threads that wait for the network and wake listeners.
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

/// The threads.
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
    joined(threads()?.spawn_blocking(work).await)
}

/// Runs a future on the threads; it ends when whoever asked stops waiting.
pub(crate) async fn while_awaited<T: Send + 'static>(
    work: impl Future<Output = Result<T, BeatbookError>> + Send + 'static,
) -> Result<T, BeatbookError> {
    let task = threads()?.spawn(work);
    let _ends = EndsWithThis(task.abort_handle());
    joined(task.await)
}

struct EndsWithThis(AbortHandle);

impl Drop for EndsWithThis {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a future on the threads that goes on by itself.
pub(crate) fn start<T: Send + 'static>(
    work: impl Future<Output = Result<T, BeatbookError>> + Send + 'static,
) -> Result<JoinHandle<Result<T, BeatbookError>>, BeatbookError> {
    Ok(threads()?.spawn(work))
}

/// What became of a task: a panic in it is an error like others.
pub(crate) fn joined<T>(outcome: Result<Result<T, BeatbookError>, JoinError>) -> Result<T, BeatbookError> {
    match outcome {
        Ok(done) => done,
        Err(fault) if fault.is_panic() => Err(panicked(fault.into_panic().as_ref())),
        Err(_) => Err(BeatbookError::TryLater { after_ms: 0 }),
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
