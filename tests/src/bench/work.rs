//! Work for light phones: records in bulk, and the day of an officer.

use beatbook_protocol::document::{Document, Edit, Shape};
use beatbook_protocol::id::{ActorId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::{Catalogue, DocumentName};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, Segment, segment_key};

use super::light::{act_entry, change_entry};
use super::{BenchError, record};
use crate::day::content;
use crate::seeded::Seeded;
use crate::street;

/// When the day begins, by every phone's clock.
const MORNING: UnixMillis = UnixMillis(1_795_000_000_000);
/// Visits of one day.
pub const VISITS: usize = 13;
/// Incidents of one day.
pub const INCIDENTS: usize = 2;
/// Fixes of the day's patrol.
pub const FIXES: usize = 2_000;

fn wrong(fault: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(fault.to_string())
}

/// The three changes of each of many records, under one author mark.
///
/// # Errors
/// When an edit does not fit its kind.
pub fn templates(actor: ActorId, records: usize) -> Result<Vec<[Vec<u8>; 3]>, BenchError> {
    let shape = shape("visit")?;
    let mut seeded = Seeded::new(1);
    let household = RecordId::from_bytes([8; 16]);
    let mut templates = Vec::with_capacity(records);
    for n in 0..records {
        let mut document = Document::begin(&shape, actor);
        let mut write = |edit: &Edit| document.edit(edit, MORNING).map(|change| change.bytes).map_err(wrong);
        templates.push([
            write(&record::first(&mut seeded, household, n))?,
            write(&record::second(&mut seeded))?,
            write(&record::third(&mut seeded))?,
        ]);
    }
    Ok(templates)
}

/// The shape of a kind's facts.
///
/// # Errors
/// When there is no such kind.
pub fn shape(kind: &str) -> Result<Shape, BenchError> {
    let catalogue = Catalogue::builtin().map_err(wrong)?;
    let kind = catalogue.newest(kind).ok_or_else(|| wrong("no such kind"))?;
    Shape::of(kind, DocumentName::Facts).map_err(wrong)
}

/// A day's entries.
#[derive(Debug)]
pub struct Day {
    actor: ActorId,
    unit: UnitId,
    seeded: Seeded,
    /// The entries so far, in their order.
    pub entries: Vec<Vec<u8>>,
    /// Records so far.
    pub records: usize,
}

impl Day {
    /// The day of one officer: visits, incidents, and a patrol in between, each finished and handed in.
    ///
    /// # Errors
    /// When an edit does not fit its kind.
    pub fn of(actor: ActorId, unit: UnitId, seed: u64) -> Result<Self, BenchError> {
        let mut day = Self {
            actor,
            unit,
            seeded: Seeded::new(seed),
            entries: Vec::new(),
            records: 0,
        };
        let household = RecordId::from_bytes([8; 16]);
        for n in 0..VISITS {
            let seeded = &mut day.seeded;
            let edits = [
                record::first(seeded, household, n),
                record::second(seeded),
                record::third(seeded),
            ];
            day.write("visit", &edits, &["finish", "submit"])?;
        }
        for _ in 0..INCIDENTS {
            let edits = [content::incident(&mut day.seeded, MORNING)];
            day.write("incident", &edits, &["report"])?;
        }
        let edits = day.patrol()?;
        day.write("patrol", &edits, &["end", "submit"])?;
        Ok(day)
    }

    /// A patrol of two thousand fixes, one every four seconds, in segments of a quarter of an hour.
    fn patrol(&mut self) -> Result<Vec<Edit>, BenchError> {
        let sightings = street::walk(&mut self.seeded, 12_000, 4);
        let fix =
            |s: &street::Sighting| Fix::check(UnixMillis(MORNING.0 + s.after_s * 1000), s.lat, s.lon, Some(s.accuracy_m)).ok();
        let mut fixes: Vec<Fix> = sightings.iter().filter_map(fix).collect();
        fixes.dedup_by_key(|fix| fix.at);
        fixes.truncate(FIXES);
        let ended = fixes.last().map_or(MORNING, |fix| fix.at);
        let mut edits = vec![content::patrol(UserId::from_bytes([7; 16]), MORNING)];
        for part in fixes.chunks(225) {
            let bytes = Segment::check(part.to_vec(), Vec::new()).map_err(wrong)?.encode();
            edits.push(Edit::new().segment(&segment_key(&bytes).map_err(wrong)?, bytes));
        }
        edits.push(content::patrol_end(&mut self.seeded, ended));
        Ok(edits)
    }

    fn write(&mut self, kind: &str, edits: &[Edit], acts: &[&str]) -> Result<(), BenchError> {
        let mut id = [0; 16];
        self.seeded.fill(&mut id);
        let record = RecordId::from_bytes(id);
        let mut document = Document::begin(&shape(kind)?, self.actor);
        for (n, edit) in edits.iter().enumerate() {
            let change = document.edit(edit, MORNING).map_err(wrong)?;
            let opens = (n == 0).then_some((kind, self.unit));
            self.entries.push(change_entry(record, &change.bytes, opens, MORNING));
        }
        for act in acts {
            self.entries.push(act_entry(record, act, document.heads(), MORNING));
        }
        self.records += 1;
        Ok(())
    }
}
