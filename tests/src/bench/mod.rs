//! Benchmarks: what saving, opening, searching and syncing cost, each beside the least that the same work could cost, in the same run.
//! Machines are shared and noisy: compare figures of one run, and ratios rather than seconds.

pub mod capture;
pub mod floor;
pub mod hostile;
pub mod light;
pub mod live;
pub mod load;
pub mod record;
pub mod sync;
pub mod work;

use std::path::PathBuf;

use crate::phone::PhoneError;
use crate::station::StationProcessError;

/// What can go wrong with a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The station.
    #[error(transparent)]
    Station(#[from] StationProcessError),
    /// A phone.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// A file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// SQLite, under the bare figures.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The floor's HTTP.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The station is busy: try again after this time.
    #[error("told to try again in {0:?}")]
    TryLater(std::time::Duration),
    /// Something else.
    #[error("{0}")]
    Wrong(String),
}

impl From<beatbook_client_core::CoreError> for BenchError {
    fn from(error: beatbook_client_core::CoreError) -> Self {
        Self::Phone(error.into())
    }
}

/// A fresh directory under the system's temporary one.
///
/// # Errors
/// When it cannot be made.
pub fn scratch(name: &str) -> std::io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|fault| std::io::Error::other(fault.to_string()))?;
    let root = std::env::temp_dir().join(format!("beatbook-{name}-{:016x}", u64::from_be_bytes(random)));
    std::fs::create_dir_all(&root)?;
    Ok(root)
}

/// A figure of `/proc/PID/status` in kB, as `VmHWM` (peak memory) or `VmRSS`.
///
/// # Errors
/// When the process is gone or the system has no such file.
pub fn memory_kb(process: &str, what: &str) -> std::io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    Ok(line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0))
}

/// Megabytes out of kilobytes, as memory is told.
#[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
fn to_mb(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

/// CPU seconds that a process has used, by `/proc/PID/stat` (100 ticks a second on Linux).
///
/// # Errors
/// When the process is gone or the system has no such file.
pub fn cpu_s(process: u32) -> std::io::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u32 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    Ok(f64::from(ticks) / 100.0)
}
