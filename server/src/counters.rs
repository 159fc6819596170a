//! Counters of what happened since the station was opened, for the status and for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counters by name.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    /// Adds to a counter.
    pub(crate) fn add(&self, name: &'static str, more: u64) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(name).or_default();
        *counter = counter.saturating_add(more);
    }

    /// All counters.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}
