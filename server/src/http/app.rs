//! What every call shares: the station behind a bound on calls at work, the counters, the limits. Knows no routes.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::fault::Fault;
use super::listen::OpenConnections;
use super::metrics::Metrics;
use crate::config::HttpConfig;
use crate::station::Station;

/// What every call shares.
#[derive(Debug)]
pub(crate) struct App {
    station: Arc<Station>,
    calls: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) connections: OpenConnections,
    pub(crate) limits: HttpConfig,
}

/// The form in which calls receive it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(station: Arc<Station>, limits: HttpConfig, metrics: Metrics, connections: OpenConnections) -> Self {
        Self {
            station,
            calls: Arc::new(Semaphore::new(limits.calls_max)),
            metrics,
            connections,
            limits,
        }
    }

    /// Calls the station on a thread of its own. The place is held until the work is done, even when nobody waits for it any more.
    pub(crate) async fn call<T: Send + 'static>(&self, work: impl FnOnce(&Station) -> T + Send + 'static) -> Result<T, Fault> {
        let place = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Fault::Busy)?;
        let station = Arc::clone(&self.station);
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(|| work(&station))
        });
        // The panic hook has logged where; what the panic says may hold content.
        done.await.map_err(|_| Fault::Internal)
    }
}
