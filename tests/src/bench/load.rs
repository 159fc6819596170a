//! What the station bears: records in bulk, and three hundred phones that come home at once. The work is prepared before the clock
//! starts; making it is the phones' cost.

use std::time::Instant;

use serde::Serialize;

use super::light::{LightPhone, change_entry};
use super::work::{Day, templates};
use super::{BenchError, cpu_s, memory_kb, scratch, to_mb};
use crate::day::chief;
use crate::seeded::Seeded;
use crate::station::{Chief, Places, StationProcess};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;

/// What a bulk of first pushes took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct BulkFigures {
    /// Records of 15 fields in 3 changes.
    pub records: usize,
    /// Records in each request.
    pub batch: usize,
    /// Wall-clock seconds of all requests.
    pub seconds: f64,
    /// CPU seconds of the station.
    pub server_cpu_s: f64,
    /// Changes for each CPU second of the station.
    pub changes_a_core_second: f64,
    /// Changes for each wall-clock second.
    pub changes_a_second: f64,
    /// CPU milliseconds for each kilobyte of the unpacked entries.
    pub cpu_ms_a_kb: f64,
    /// The station's memory before the first request, MB.
    pub memory_idle_mb: f64,
    /// The station's peak memory, MB.
    pub memory_peak_mb: f64,
    /// The station's memory at the end, MB.
    pub memory_end_mb: f64,
    /// Bytes of its database.
    pub database_bytes: u64,
}

/// A light phone that pushes records in bulk, a thousand distinct ones over and over under new ids.
#[derive(Debug)]
pub struct Bulk {
    phone: LightPhone,
    templates: Vec<[Vec<u8>; 3]>,
    seeded: Seeded,
    written: usize,
    /// Bytes of all entries so far.
    bytes: usize,
}

impl Bulk {
    /// Enrols by a one-time code.
    ///
    /// # Errors
    /// When the station refuses.
    pub async fn begin(url: &str, code: &str) -> Result<Self, BenchError> {
        let mut seeded = Seeded::new(1);
        let phone = LightPhone::enrol(url, code, &mut seeded).await?;
        Ok(Self {
            templates: templates(phone.actor, 1_000)?,
            phone,
            seeded,
            written: 0,
            bytes: 0,
        })
    }

    /// Records pushed so far.
    #[must_use]
    pub const fn written(&self) -> usize {
        self.written
    }

    /// Pushes so many records in one request; the seconds that the request took.
    ///
    /// # Errors
    /// When not all is accepted.
    pub async fn push(&mut self, records: usize) -> Result<f64, BenchError> {
        let mut entries = Vec::with_capacity(3 * records);
        for template in self.templates.iter().cycle().skip(self.written % 1_000).take(records) {
            let mut id = [0; 16];
            self.seeded.fill(&mut id);
            let record = RecordId::from_bytes(id);
            for (n, change) in template.iter().enumerate() {
                let opens = (n == 0).then_some(("visit", self.phone.unit));
                entries.push(change_entry(record, change, opens, UnixMillis(1_795_000_000_000)));
            }
        }
        self.bytes += entries.iter().map(Vec::len).sum::<usize>();
        let expected = entries.len() as u64;
        let packed = self.phone.request(entries, Some(0))?;
        let began = Instant::now();
        let told = self.phone.exchange(packed).await?;
        let took = began.elapsed().as_secs_f64();
        if told.others > 0 || told.accepted != expected {
            let said = format!("{} of {expected} entries accepted", told.accepted);
            return Err(BenchError::Wrong(said));
        }
        self.written += records;
        Ok(took)
    }
}

/// Pushes records in bulk.
///
/// # Errors
/// When anything of it does not work, or anything is not accepted.
pub async fn bulk(records: usize, batch: usize) -> Result<BulkFigures, BenchError> {
    let root = scratch("bench-bulk")?;
    let places = Places::under(&root);
    let token = StationProcess::init(&places)?;
    let station = StationProcess::serve(&places, "127.0.0.1:0")?;
    let code = chief::register(&Chief::new(station.url(), &token)?, "bulk", "officer").await?;
    let mut bulk = Bulk::begin(station.url(), &code).await?;
    let process = station.id().to_string();
    let mut figures = BulkFigures {
        records,
        batch,
        memory_idle_mb: to_mb(memory_kb(&process, "VmRSS")?),
        ..BulkFigures::default()
    };
    let cpu = cpu_s(station.id())?;
    while bulk.written() < records {
        figures.seconds += bulk.push(batch.min(records - bulk.written())).await?;
    }
    figures.server_cpu_s = cpu_s(station.id())? - cpu;
    let changes = to_f64(3 * records);
    figures.changes_a_core_second = changes / figures.server_cpu_s;
    figures.changes_a_second = changes / figures.seconds;
    figures.cpu_ms_a_kb = figures.server_cpu_s * 1_000.0 / (to_f64(bulk.bytes) / 1_000.0);
    figures.memory_peak_mb = to_mb(memory_kb(&process, "VmHWM")?);
    figures.memory_end_mb = to_mb(memory_kb(&process, "VmRSS")?);
    figures.database_bytes = std::fs::metadata(places.data.join("station.db")).map_or(0, |file| file.len());
    drop(station);
    std::fs::remove_dir_all(&root)?;
    Ok(figures)
}

/// How often a phone waits at most when the station is busy.
const WAITS_MAX: u64 = 60;

/// What a fleet of phones took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LoadFigures {
    /// Phones.
    pub phones: usize,
    /// Records that they brought.
    pub records: usize,
    /// Entries that they brought.
    pub entries: u64,
    /// Bytes of their packed requests.
    pub bytes_up: usize,
    /// Wall-clock seconds from the first request to the last answer, all sent at once.
    pub seconds: f64,
    /// The slowest phone's seconds.
    pub slowest_s: f64,
    /// CPU seconds of the station.
    pub server_cpu_s: f64,
    /// How often a phone was told to try later.
    pub waits: u64,
    /// CPU seconds of the load generator, over the same time.
    pub generator_cpu_s: f64,
    /// The station's peak memory, MB.
    pub memory_peak_mb: f64,
    /// Requests that failed, and entries that were not accepted.
    pub errors: u64,
}

/// Phones with a day's work each, all at once, each over a connection of its own.
///
/// # Errors
/// When the work cannot be prepared. What fails on the way is counted.
pub async fn load(phones: usize) -> Result<LoadFigures, BenchError> {
    let root = scratch("bench-load")?;
    let places = Places::under(&root);
    let token = StationProcess::init(&places)?;
    let station = StationProcess::serve(&places, "127.0.0.1:0")?;
    let desk = Chief::new(station.url(), &token)?;
    let mut figures = LoadFigures {
        phones,
        ..LoadFigures::default()
    };
    let mut ready = Vec::with_capacity(phones);
    for seed in (1..).take(phones) {
        let code = chief::register(&desk, &format!("officer {seed}"), "officer").await?;
        let mut phone = LightPhone::enrol(station.url(), &code, &mut Seeded::new(seed)).await?;
        let day = Day::of(phone.actor, phone.unit, seed)?;
        figures.records += day.records;
        figures.entries += day.entries.len() as u64;
        let packed = phone.request(day.entries, Some(0))?;
        figures.bytes_up += packed.len();
        ready.push((phone, packed));
    }
    let own = std::process::id();
    let (cpu, own_cpu, began) = (cpu_s(station.id())?, cpu_s(own)?, Instant::now());
    let mut fleet = tokio::task::JoinSet::new();
    for (mut phone, packed) in ready {
        fleet.spawn(async move {
            // A phone that is told to try later does so, as the real one does.
            let mut waits = 0;
            let told = loop {
                match phone.exchange(packed.clone()).await {
                    Err(BenchError::TryLater(wait)) if waits < WAITS_MAX => {
                        waits += 1;
                        tokio::time::sleep(wait).await;
                    }
                    told => break told,
                }
            };
            (told, waits, began.elapsed().as_secs_f64())
        });
    }
    let mut accepted = 0;
    while let Some(done) = fleet.join_next().await {
        let (told, waits, seconds) = done.map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        match told {
            Ok(told) => accepted += told.accepted,
            Err(_) => figures.errors += 1,
        }
        figures.waits += waits;
        figures.slowest_s = figures.slowest_s.max(seconds);
    }
    figures.seconds = began.elapsed().as_secs_f64();
    figures.errors += figures.entries - accepted;
    figures.server_cpu_s = cpu_s(station.id())? - cpu;
    figures.generator_cpu_s = cpu_s(own)? - own_cpu;
    figures.memory_peak_mb = to_mb(memory_kb(&station.id().to_string(), "VmHWM")?);
    drop(station);
    std::fs::remove_dir_all(&root)?;
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
