//! What a person waits for on a phone: saving, opening, the first list, searching; and what a patrol costs.

use std::path::Path;
use std::time::Instant;

use beatbook_client_core::Core;
use beatbook_client_core::query::Filter;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::Fix;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::{BenchError, memory_kb, record, scratch};
use crate::day::{chief, content};
use crate::phone::{DayClock, Phone};
use crate::seeded::Seeded;
use crate::station::{Chief, Places, StationProcess};
use crate::street;

/// Saves of which the middle and the 99th percentile are told.
const SAMPLES: usize = 1_000;
/// Fixes handed over in one call, as a phone does each few minutes.
const FIX_BATCH: usize = 60;

/// The figures; times in milliseconds unless they say otherwise.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CaptureFigures {
    /// Records present.
    pub records: usize,
    /// Saving a visit, durable when it returns: median.
    pub save_p50_ms: f64,
    /// The same: 99th percentile.
    pub save_p99_ms: f64,
    /// A bare one-row commit in the same durability mode, taken in turns with the saves: median.
    pub bare_p50_ms: f64,
    /// The same: 99th percentile.
    pub bare_p99_ms: f64,
    /// `save_p50_ms` over `bare_p50_ms`.
    pub save_over_bare: f64,
    /// Opening the file.
    pub open_ms: f64,
    /// Opening and the first page of the list together.
    pub open_to_list_ms: f64,
    /// The first page of the list again.
    pub list_ms: f64,
    /// Searching a word of two Chinese characters.
    pub search_chinese_ms: f64,
    /// Searching an English word.
    pub search_english_ms: f64,
    /// Searching pinyin initials.
    pub search_pinyin_ms: f64,
    /// Rows that the three searches found.
    pub found: [usize; 3],
    /// Resident memory of a process that holds the core open after these reads, MB.
    pub resident_mb: f64,
    /// The same process before it opened the core, MB.
    pub resident_before_mb: f64,
    /// Adding a fix to a patrol, durable per batch of 60: microseconds a fix.
    pub fix_us: f64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Runs it.
///
/// # Errors
/// When anything of it does not work.
pub async fn run(records: usize) -> Result<CaptureFigures, BenchError> {
    let root = scratch("bench-capture")?;
    let file = root.join("phone.db");
    let mut figures = CaptureFigures {
        records,
        ..CaptureFigures::default()
    };
    {
        let phone = enrolled(&root, &file).await?;
        write(&phone, &root, records, &mut figures)?;
        figures.fix_us = patrol(&phone)?;
    }
    figures.file_bytes = std::fs::metadata(&file)?.len();
    let probe = std::process::Command::new(std::env::current_exe()?)
        .arg("probe")
        .arg(&file)
        .output()?;
    if !probe.status.success() {
        return Err(BenchError::Wrong(String::from_utf8_lossy(&probe.stderr).into_owned()));
    }
    let read: Vec<f64> = String::from_utf8_lossy(&probe.stdout)
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    if let [
        before,
        open,
        open_to_list,
        list,
        zh,
        en,
        py,
        found_zh,
        found_en,
        found_py,
        resident,
    ] = read[..]
    {
        (figures.resident_before_mb, figures.resident_mb) = (before, resident);
        (figures.open_ms, figures.open_to_list_ms, figures.list_ms) = (open, open_to_list, list);
        (figures.search_chinese_ms, figures.search_english_ms, figures.search_pinyin_ms) = (zh, en, py);
        figures.found = [found_zh, found_en, found_py].map(count);
    }
    std::fs::remove_dir_all(&root)?;
    Ok(figures)
}

/// What runs in a process of its own, so that its memory is the core's alone: prints figures in the order that `run` reads.
///
/// # Errors
/// When the file cannot be read.
#[expect(clippy::print_stdout, reason = "the parent process reads these figures")]
pub fn probe(file: &Path) -> Result<(), BenchError> {
    let before = resident_mb()?;
    let clock = DayClock::standing_at(UnixMillis(1_795_100_000_000));
    let began = Instant::now();
    let phone = Phone::open("bench", file, "http://127.0.0.1:1", &clock)?;
    let open = ms(began);
    let first = phone.core.list(&Filter {
        limit: Some(50),
        ..Filter::default()
    })?;
    let open_to_list = ms(began);
    if first.rows.is_empty() {
        return Err(BenchError::Wrong("the list is empty".into()));
    }
    let (list, _) = timed(|| {
        Ok(phone
            .core
            .list(&Filter {
                limit: Some(50),
                ..Filter::default()
            })?
            .rows
            .len())
    })?;
    let searches = ["消防", "property", "zfzz"].map(|text| search(&phone.core, text));
    let [zh, en, py] = searches;
    let ((zh, found_zh), (en, found_en), (py, found_py)) = (zh?, en?, py?);
    let resident = resident_mb()?;
    println!("{before} {open} {open_to_list} {list} {zh} {en} {py} {found_zh} {found_en} {found_py} {resident}");
    Ok(())
}

async fn enrolled(root: &Path, file: &Path) -> Result<Phone, BenchError> {
    let places = Places::under(root);
    let token = StationProcess::init(&places)?;
    let station = StationProcess::serve(&places, "127.0.0.1:0")?;
    let code = chief::register(&Chief::new(station.url(), &token)?, "王警官", "officer").await?;
    let clock = DayClock::standing_at(UnixMillis(1_795_000_000_000));
    let mut phone = Phone::open("bench", file, station.url(), &clock)?;
    phone.enrol(&code).await?;
    phone.sync().await?;
    Ok(phone)
}

fn write(phone: &Phone, root: &Path, records: usize, figures: &mut CaptureFigures) -> Result<(), BenchError> {
    let mut seeded = Seeded::new(1);
    let household = phone.core.begin("household", &content::household(&mut seeded, 101))?;
    let bare = bare_file(&root.join("bare.db"))?;
    let (mut saves, mut bares) = (Vec::new(), Vec::new());
    for n in 0..records {
        phone.clock.advance(60_000);
        let edit = whole_visit(&mut seeded, household, n);
        let began = Instant::now();
        phone.core.begin("visit", &edit)?;
        if n + SAMPLES >= records {
            saves.push(ms(began));
            let began = Instant::now();
            bare.execute("INSERT INTO row (body) VALUES (?1)", params![vec![7_u8; 1_000]])?;
            bares.push(ms(began));
        }
    }
    (figures.save_p50_ms, figures.save_p99_ms) = percentiles(&mut saves);
    (figures.bare_p50_ms, figures.bare_p99_ms) = percentiles(&mut bares);
    figures.save_over_bare = figures.save_p50_ms / figures.bare_p50_ms;
    Ok(())
}

/// A visit of 15 fields in one change, as a committed draft writes it.
fn whole_visit(seeded: &mut Seeded, household: RecordId, n: usize) -> beatbook_protocol::document::Edit {
    let mut edit = record::first(seeded, household, n);
    let (second, third) = (record::second(seeded), record::third(seeded));
    edit.fields.extend(third.fields);
    edit.items.extend(second.items);
    edit.items.extend(third.items);
    edit
}

fn bare_file(file: &Path) -> Result<Connection, BenchError> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "key", format!("x'{}'", "07".repeat(32)))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE row (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;")?;
    Ok(connection)
}

fn patrol(phone: &Phone) -> Result<f64, BenchError> {
    let began_at = phone.clock.now();
    let sightings = street::walk(&mut Seeded::new(2), 8 * 3_600, 2);
    let fix = |s: &street::Sighting| Fix::check(UnixMillis(began_at.0 + s.after_s * 1000), s.lat, s.lon, Some(s.accuracy_m)).ok();
    let fixes: Vec<Fix> = sightings.iter().filter_map(fix).collect();
    phone
        .core
        .patrol_start(&beatbook_protocol::document::Edit::new().field("patrol_kind", "foot"))?;
    let began = Instant::now();
    for batch in fixes.chunks(FIX_BATCH) {
        phone.core.patrol_add(batch)?;
    }
    let took = ms(began) * 1_000.0 / to_f64(fixes.len());
    phone.core.patrol_finish(&beatbook_protocol::document::Edit::new())?;
    Ok(took)
}

fn search(core: &Core, text: &str) -> Result<(f64, usize), BenchError> {
    timed(|| Ok(core.search(text, 20)?.len()))
}

/// The quickest of five: the first warms the cache, and noise only adds.
fn timed(mut work: impl FnMut() -> Result<usize, BenchError>) -> Result<(f64, usize), BenchError> {
    let mut best = f64::INFINITY;
    let mut found = 0;
    for _ in 0..5 {
        let began = Instant::now();
        found = work()?;
        best = best.min(ms(began));
    }
    Ok((best, found))
}

fn percentiles(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100).copied().unwrap_or(0.0);
    (at(50), at(99))
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1_000.0
}

fn resident_mb() -> Result<f64, BenchError> {
    Ok(to_f64(usize::try_from(memory_kb("self", "VmRSS")?).unwrap_or(0)) / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a printed count read back"
)]
fn count(number: f64) -> usize {
    number as usize
}
