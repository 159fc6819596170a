//! What syncing costs: first push, fresh pull, nothing to do, twenty edited up and down; seconds, requests, and bytes at the socket,
//! beside the floor in the same run. The station is a process of its own; every step uses a fresh connection.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use beatbook_protocol::document::Document;
use beatbook_protocol::id::{ActorId, RecordId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::floor::Floor;
use super::load::Bulk;
use super::work;
use super::{BenchError, cpu_s, memory_kb, record, scratch, to_mb};
use crate::day::{chief, content};
use crate::phone::{DayClock, Phone};
use crate::proxy::{Road, Traffic};
use crate::seeded::Seeded;
use crate::station::{Chief, Places, StationProcess};

/// Records edited after the first push.
const EDITED: usize = 20;

/// What one step took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Step {
    /// Wall-clock seconds, connecting included.
    pub seconds: f64,
    /// HTTP requests.
    pub requests: u64,
    /// Bytes to the station at the socket.
    pub bytes_up: u64,
    /// Bytes from the station at the socket.
    pub bytes_down: u64,
}

/// The five steps.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Steps {
    /// Everything up for the first time.
    pub push: Step,
    /// Everything down to a fresh phone.
    pub pull: Step,
    /// Nothing to do.
    pub noop: Step,
    /// Twenty edited records up.
    pub push_edits: Step,
    /// These down to the other phone.
    pub pull_edits: Step,
}

/// The figures.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SyncFigures {
    /// Records.
    pub records: usize,
    /// Delay each way, milliseconds.
    pub delay_ms: u64,
    /// Beatbook's five steps.
    #[serde(flatten)]
    pub steps: Steps,
    /// The floor's five steps.
    pub floor: Steps,
    /// CPU seconds of the station over all steps; none for a station that runs elsewhere.
    pub server_cpu_s: Option<f64>,
    /// Peak memory of the station, MB.
    pub server_peak_mb: Option<f64>,
    /// Nothing to do, on a phone that holds more records.
    pub noops: Vec<Noop>,
}

/// Nothing to do.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Noop {
    /// Records that the phone holds.
    pub records: usize,
    /// Seconds, requests and bytes.
    #[serde(flatten)]
    pub step: Step,
}

/// A station that already runs, for benchmarks through somebody's own network.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Its address.
    pub url: String,
    /// A chief's token there.
    pub token: String,
}

/// Runs it; afterwards the no-op again on phones that hold `noop_at` records, which another wrote.
///
/// # Errors
/// When anything of it does not work.
pub async fn run(
    records: usize,
    noop_at: &[usize],
    delay_ms: u64,
    elsewhere: Option<Elsewhere>,
) -> Result<SyncFigures, BenchError> {
    let root = scratch("bench-sync")?;
    let mut figures = SyncFigures {
        records,
        delay_ms,
        ..SyncFigures::default()
    };
    let delay = Duration::from_millis(delay_ms);
    match elsewhere {
        Some(station) => figures.steps = beatbook(&root, &station.url, &station.token, delay, records).await?,
        None => {
            let places = Places::under(&root);
            let token = StationProcess::init(&places)?;
            let station = StationProcess::serve(&places, "127.0.0.1:0")?;
            let before = cpu_s(station.id())?;
            figures.steps = beatbook(&root, station.url(), &token, delay, records).await?;
            figures.server_cpu_s = Some(cpu_s(station.id())? - before);
            figures.server_peak_mb = Some(to_mb(memory_kb(&station.id().to_string(), "VmHWM")?));
            drop(station);
            figures.noops = noops(&root.join("noops"), delay, noop_at).await?;
        }
    }
    figures.floor = floor(&root, delay, &RawChanges::of(records)?).await?;
    std::fs::remove_dir_all(&root)?;
    Ok(figures)
}

/// The raw changes that went up: all of the first push, and those of the edits.
struct RawChanges {
    push: Vec<Vec<u8>>,
    edits: Vec<Vec<u8>>,
}

impl RawChanges {
    /// The same edits as the phone's, under another author mark: equal in number and size.
    fn of(records: usize) -> Result<Self, BenchError> {
        let wrong = |fault: &dyn std::fmt::Display| BenchError::Wrong(fault.to_string());
        let shape = work::shape("visit")?;
        let mut seeded = Seeded::new(1);
        let mut raw = Self {
            push: Vec::new(),
            edits: Vec::new(),
        };
        for n in 0..records {
            let mut document = Document::begin(&shape, ActorId::from_bytes([7; 16]));
            let household = RecordId::from_bytes([8; 16]);
            let edits = [
                record::first(&mut seeded, household, n),
                record::second(&mut seeded),
                record::third(&mut seeded),
            ];
            for edit in &edits {
                raw.push
                    .push(document.edit(edit, UnixMillis(0)).map_err(|fault| wrong(&fault))?.bytes);
            }
            if n < EDITED {
                let change = document
                    .edit(&record::later(&mut seeded), UnixMillis(0))
                    .map_err(|fault| wrong(&fault))?;
                raw.edits.push(change.bytes);
            }
        }
        Ok(raw)
    }
}

async fn beatbook(root: &Path, url: &str, token: &str, delay: Duration, records: usize) -> Result<Steps, BenchError> {
    let desk = Chief::new(url, token)?;
    let road = Road::to(address(url)?, delay).await?;
    let clock = DayClock::standing_at(UnixMillis(1_795_000_000_000));
    let mut first = phone(root, "first", &desk, &road, &clock).await?;
    let mut other = phone(root, "other", &desk, &road, &clock).await?;
    let mut seeded = Seeded::new(1);
    let household = first.core.begin("household", &content::household(&mut seeded, 101))?;
    let written: Vec<RecordId> = (0..records)
        .map(|n| record::write(&first.core, &mut seeded, household, n))
        .collect::<Result<_, _>>()?;
    let mut steps = Steps {
        push: step(&road, &mut first).await?,
        ..Steps::default()
    };
    steps.pull = step(&road, &mut other).await?;
    steps.noop = step(&road, &mut first).await?;
    for record in written.iter().take(EDITED) {
        first.core.edit(*record, &record::later(&mut seeded), None)?;
    }
    steps.push_edits = step(&road, &mut first).await?;
    steps.pull_edits = step(&road, &mut other).await?;
    Ok(steps)
}

/// The no-op on a phone that holds ever more records.
async fn noops(root: &Path, delay: Duration, at: &[usize]) -> Result<Vec<Noop>, BenchError> {
    std::fs::create_dir_all(root)?;
    let places = Places::under(root);
    let token = StationProcess::init(&places)?;
    let station = StationProcess::serve(&places, "127.0.0.1:0")?;
    let desk = Chief::new(station.url(), &token)?;
    let near = Road::to(address(station.url())?, Duration::ZERO).await?;
    let far = Road::to(address(station.url())?, delay).await?;
    let clock = DayClock::standing_at(UnixMillis(1_795_000_000_000));
    let mut phone = phone(root, "holder", &desk, &near, &clock).await?;
    let mut bulk = Bulk::begin(station.url(), &chief::register(&desk, "writer", "officer").await?).await?;
    let mut noops = Vec::with_capacity(at.len());
    for records in at {
        while bulk.written() < *records {
            bulk.push(1_000.min(*records - bulk.written())).await?;
        }
        phone.call(&near.url());
        phone.sync().await?;
        // What it has confirmed by now is noted at the station; from here on there is nothing.
        phone.sync().await?;
        phone.call(&far.url());
        noops.push(Noop {
            records: *records,
            step: step(&far, &mut phone).await?,
        });
    }
    Ok(noops)
}

async fn phone(root: &Path, name: &str, desk: &Chief, road: &Road, clock: &DayClock) -> Result<Phone, BenchError> {
    let code = chief::register(desk, name, "officer").await?;
    let mut phone = Phone::open(name, &root.join(format!("{name}.db")), &road.url(), clock)?;
    phone.enrol(&code).await?;
    if name == "first" {
        phone.sync().await?;
    }
    Ok(phone)
}

async fn step(road: &Road, phone: &mut Phone) -> Result<Step, BenchError> {
    let (before, began) = (road.traffic(), Instant::now());
    let report = phone.sync().await?;
    Ok(taken(before, road.traffic(), began, u64::from(report.requests)))
}

fn taken(before: Traffic, after: Traffic, began: Instant, requests: u64) -> Step {
    Step {
        seconds: began.elapsed().as_secs_f64(),
        requests,
        bytes_up: after.up - before.up,
        bytes_down: after.down - before.down,
    }
}

async fn floor(root: &Path, delay: Duration, changes: &RawChanges) -> Result<Steps, BenchError> {
    let floor = Floor::serve(&root.join("floor.db"))
        .await
        .map_err(|fault| BenchError::Wrong(fault.to_string()))?;
    let road = Road::to(floor.address(), delay).await?;
    Ok(Steps {
        push: post(&road, &changes.push).await?,
        pull: get(&road, 0).await?,
        noop: get(&road, 1).await?,
        push_edits: post(&road, &changes.edits).await?,
        pull_edits: get(&road, 1).await?,
    })
}

async fn post(road: &Road, changes: &[Vec<u8>]) -> Result<Step, BenchError> {
    let packed = beatbook_protocol::codec::compress(&changes.concat()).map_err(|fault| BenchError::Wrong(fault.to_string()))?;
    let (before, began) = (road.traffic(), Instant::now());
    client()?
        .post(format!("{}/push", road.url()))
        .body(packed)
        .send()
        .await?
        .error_for_status()?;
    Ok(taken(before, road.traffic(), began, 1))
}

async fn get(road: &Road, after: u64) -> Result<Step, BenchError> {
    let (before, began) = (road.traffic(), Instant::now());
    client()?
        .get(format!("{}/after/{after}", road.url()))
        .send()
        .await?
        .error_for_status()?
        .bytes()
        .await?;
    Ok(taken(before, road.traffic(), began, 1))
}

fn client() -> Result<reqwest::Client, BenchError> {
    Ok(reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?)
}

fn address(url: &str) -> Result<SocketAddr, BenchError> {
    url.trim_start_matches("http://")
        .parse()
        .map_err(|_| BenchError::Wrong(format!("{url} is not http://ADDRESS:PORT")))
}
