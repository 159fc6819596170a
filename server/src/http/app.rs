//! What every call shares: the station behind a bound on calls at work, the counters, the limits. Knows no routes.

use std::sync::Arc;

use beatbook_protocol::id::BookId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bodies::Bodies;
use super::cookie::Cookies;
use super::fault::Fault;
use super::hints::Streams;
use super::listen::OpenConnections;
use super::metrics::Metrics;
use crate::blobs::Blobs;
use crate::config::{HttpConfig, Network};
use crate::news::{Hearing, Reach};
use crate::station::Station;

/// Uploads whose bodies are read at once: each has some hundred kilobytes in memory, all together some ten megabytes. A phone that finds
/// no place tries again in a few seconds.
const UPLOADS_MAX: usize = 64;

/// What every call shares.
#[derive(Debug)]
pub(crate) struct App {
    station: Arc<Station>,
    calls: Calls,
    uploads: Arc<Semaphore>,
    pub(crate) bodies: Bodies,
    pub(crate) metrics: Metrics,
    pub(crate) connections: OpenConnections,
    pub(crate) limits: HttpConfig,
    pub(crate) streams: Streams,
    pub(crate) cookies: Cookies,
}

/// The form in which calls receive it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(station: Arc<Station>, limits: HttpConfig, metrics: Metrics, connections: OpenConnections) -> Self {
        let public_url = station.sign_in_config().public_url.as_deref();
        let cookies = Cookies::new(public_url, limits.listen.ip().is_loopback());
        Self {
            cookies,
            station,
            calls: Calls::new(limits.calls_max),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            bodies: Bodies::new(limits.body_bytes_max),
            metrics,
            connections,
            streams: Streams::new(limits.connections_max / 2),
            limits,
        }
    }

    /// Begins to listen for a book.
    pub(crate) fn listen(&self, book: BookId, reach: Reach) -> Option<Hearing> {
        self.station.store.news.listen(book, reach)
    }

    /// Calls the station.
    pub(crate) async fn call<T: Send + 'static>(&self, work: impl FnOnce(&Station) -> T + Send + 'static) -> Result<T, Fault> {
        let station = Arc::clone(&self.station);
        self.calls.run(move || work(&station)).await
    }

    /// Calls the station for a request that is half done: waits for a place instead of giving the half up.
    pub(crate) async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce(&Station) -> T + Send + 'static) -> Result<T, Fault> {
        let station = Arc::clone(&self.station);
        self.calls.run_in_turn(move || work(&station)).await
    }

    /// A place for the body of an upload, until it is dropped.
    pub(crate) fn upload_place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| Fault::Busy)
    }

    /// The proxies whose word about addresses is believed.
    pub(crate) fn proxies(&self) -> &[Network] {
        &self.station.sign_in_config().proxies
    }

    /// The station's blobs, for waiting one's turn at an upload.
    pub(crate) fn blobs(&self) -> &Blobs {
        &self.station.blobs
    }
}

/// Calls at work, each on a thread of its own, and no more than allowed.
#[derive(Debug)]
struct Calls(Arc<Semaphore>);

impl Calls {
    fn new(calls_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(calls_max.min(Semaphore::MAX_PERMITS))))
    }

    /// Does the work. Its place is held until it is done, even when nobody waits for it any more.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| Fault::Busy)?;
        Self::run_at(place, work).await
    }

    /// Does the work when its place is free.
    async fn run_in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(|_| Fault::Busy)?;
        Self::run_at(place, work).await
    }

    async fn run_at<T: Send + 'static>(
        place: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(work)
        });
        // The panic hook has logged where; what the panic says may hold content.
        done.await.map_err(|_| Fault::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn one_call_too_many_is_told_to_try_later_and_the_next_finds_the_place_free() {
        let calls = Arc::new(Calls::new(1));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let calls = Arc::clone(&calls);
            async move {
                let work = move || {
                    begun.send(()).unwrap();
                    released.recv().unwrap();
                    7
                };
                calls.run(work).await
            }
        });
        has_begun.await.unwrap();
        assert!(matches!(calls.run(|| 0).await, Err(Fault::Busy)));
        release.send(()).unwrap();
        assert!(matches!(first.await.unwrap(), Ok(7)));
        assert!(matches!(calls.run(|| 8).await, Ok(8)));
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_internal_fault_and_gives_its_place_back() {
        let calls = Calls::new(1);
        assert!(matches!(
            calls.run(|| panic!("said by nobody")).await,
            Err::<(), _>(Fault::Internal)
        ));
        assert!(matches!(calls.run(|| 8).await, Ok(8)));
    }
}
