//! How long a change takes from one phone that is online to another, by the hint that carries no data: from the moment when it is written
//! until the other phone has it, both syncs and their random pauses included.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use beatbook_client_core::blobs::BlobBudget;
use beatbook_client_core::drive::{self, Pace};
use beatbook_client_core::sync::{Budget, StoreVault, SyncReport};
use beatbook_client_core::transport::HttpTransport;
use beatbook_protocol::document::Edit;
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use super::{BenchError, scratch};
use crate::day::chief;
use crate::phone::{DayClock, Phone};
use crate::station::{Chief, Places, StationProcess};

/// A machine that takes longer is out of order.
const PATIENCE: Duration = Duration::from_secs(60);

/// The figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LiveFigures {
    /// Changes.
    pub changes: usize,
    /// Seconds from the write to the other phone, of half of them at most.
    pub median_s: f64,
    /// Of nine in ten of them at most.
    pub ninth_tenth_s: f64,
    /// Of the slowest.
    pub longest_s: f64,
    /// Requests of the other phone for each change.
    pub requests_a_change: f64,
}

/// A phone that stays in touch, and what its syncs did.
struct Online {
    phone: Arc<Phone>,
    wanted: Arc<Notify>,
    reports: mpsc::UnboundedReceiver<SyncReport>,
    task: tokio::task::JoinHandle<()>,
}

impl Online {
    fn begin(phone: Phone, transport: HttpTransport) -> Self {
        let (phone, wanted) = (Arc::new(phone), Arc::new(Notify::new()));
        let (sender, reports) = mpsc::unbounded_channel();
        let (held, woken) = (Arc::clone(&phone), Arc::clone(&wanted));
        let task = tokio::spawn(async move {
            let sender = Mutex::new(sender);
            let told = |report: &SyncReport| {
                if let Ok(sender) = sender.lock() {
                    let _ = sender.send(report.clone());
                }
            };
            let vault = StoreVault(&held.core);
            let limits = (Budget::default(), BlobBudget::default(), Pace::default());
            let _ = drive::live(&held.core, &vault, &transport, limits, &woken, told).await;
        });
        Self {
            phone,
            wanted,
            reports,
            task,
        }
    }

    /// Requests until the first sync of which this holds.
    async fn until(&mut self, holds: impl Fn(&SyncReport) -> bool) -> Result<u32, BenchError> {
        let wait = async {
            let mut requests = 0;
            while let Some(report) = self.reports.recv().await {
                requests += report.requests;
                if holds(&report) {
                    return Some(requests);
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, wait).await.ok().flatten();
        found.ok_or_else(|| BenchError::Wrong("the change did not come".into()))
    }
}

/// Writes so many changes, one after the other, each when the one before has come.
///
/// # Errors
/// When one does not come.
pub async fn run(changes: usize) -> Result<LiveFigures, BenchError> {
    let root = scratch("bench-live")?;
    let places = Places::under(&root);
    let token = StationProcess::init(&places)?;
    let station = StationProcess::serve(&places, "127.0.0.1:0")?;
    let desk = Chief::new(station.url(), &token)?;
    let clock = DayClock::standing_at(UnixMillis(1_790_000_000_000));
    let mut phones = Vec::new();
    for name in ["甲", "乙"] {
        let mut phone = Phone::open(name, &root.join(format!("{name}.db")), station.url(), &clock)?;
        phone.enrol(&chief::register(&desk, name, "officer").await?).await?;
        phone.sync().await?;
        phones.push(phone);
    }
    let (Some(other), Some(one)) = (phones.pop(), phones.pop()) else {
        return Err(BenchError::Wrong("no phones".into()));
    };
    let record = one.core.begin("household", &Edit::new().field("address", "长青路1号"))?;
    let (one_way, other_way) = (one.transport()?, other.transport()?);
    let (mut one, mut other) = (Online::begin(one, one_way), Online::begin(other, other_way));
    one.until(|report| report.complete && report.accepted > 0).await?;
    other.until(|report| report.feed_entries > 0).await?;
    let (mut took, mut requests) = (Vec::with_capacity(changes), 0);
    for number in 0..changes {
        let began = Instant::now();
        one.phone.core.edit(
            record,
            &Edit::new().field("address", format!("长青路{number}号").as_str()),
            None,
        )?;
        one.wanted.notify_one();
        requests += other.until(|report| report.feed_entries > 0).await?;
        took.push(began.elapsed().as_secs_f64());
    }
    one.task.abort();
    other.task.abort();
    station.stop()?;
    std::fs::remove_dir_all(&root)?;
    took.sort_by(f64::total_cmp);
    let at = |tenths: usize| {
        took.get((took.len().saturating_sub(1)) * tenths / 10)
            .copied()
            .unwrap_or_default()
    };
    Ok(LiveFigures {
        changes,
        median_s: at(5),
        ninth_tenth_s: at(9),
        longest_s: at(10),
        requests_a_change: f64::from(requests) / f64::from(u32::try_from(changes.max(1)).unwrap_or(u32::MAX)),
    })
}
