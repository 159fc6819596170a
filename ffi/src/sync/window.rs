//! The time that a sync was given: reckoned from the call on, since a system that gives a background task seconds counts from
//! there.

use std::time::Duration;

use beatbook_client_core::protocol::time::UnixMillis;
use tokio::time::{Instant, timeout_at};

/// Until when a sync may begin anything. By the clock that nobody sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window(Option<Instant>);

impl Window {
    /// From now on so many seconds; none sets no end.
    pub(super) fn from_now(seconds: Option<u32>) -> Self {
        Self(seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds.into()))))
    }

    /// Whether nothing further may begin.
    pub(super) fn is_over(self) -> bool {
        self.0.is_some_and(|end| end <= Instant::now())
    }

    /// The end by the wall clock, as the core's budgets have it.
    pub(super) fn deadline(self) -> Option<UnixMillis> {
        let left = self.0?.saturating_duration_since(Instant::now());
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let end = since.saturating_add(left).as_millis();
        Some(UnixMillis(i64::try_from(end).unwrap_or(i64::MAX)))
    }

    /// What comes of it, if that is before the end; it is given up then.
    pub(super) async fn within<T>(self, work: impl Future<Output = T>) -> Option<T> {
        match self.0 {
            Some(end) => timeout_at(end, work).await.ok(),
            None => Some(work.await),
        }
    }
}
