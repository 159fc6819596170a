//! One phone's day with no network: visits, incidents, patrols, all through the core's public door.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use beatbook_client_core::capture::gpx::read_gpx;
use beatbook_client_core::{ActOrder, Core};
use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::Fix;

use super::{DayError, content, table::DayTable};
use crate::phone::Phone;
use crate::seeded::Seeded;
use crate::street;

/// Milliseconds of one visit, door to door.
const VISIT_MS: i64 = 22 * 60_000;

/// Makes a visit to a household and submits it.
///
/// # Errors
/// Those of the core.
pub fn visit(phone: &Phone, seeded: &mut Seeded, household: RecordId) -> Result<RecordId, DayError> {
    let core = &phone.core;
    // As a person at a door does it: last time's values first, the form saved at each step, then done.
    let known = core.starting_point("visit", household)?;
    let mut draft = core.draft_begin("visit", None)?;
    draft.edit.fields.extend(known.fields);
    core.draft_save(&draft)?;
    let written = content::visit(seeded, household, phone.clock.now());
    draft.edit.fields.extend(written.fields);
    core.draft_save(&draft)?;
    draft.edit.items.extend(written.items);
    draft.edit.notes.extend(written.notes);
    core.draft_save(&draft)?;
    let record = core.draft_commit(draft.id)?;
    phone.clock.advance(VISIT_MS);
    act(core, record, "finish")?;
    act(core, record, "submit")?;
    Ok(record)
}

/// Writes an incident down and reports it.
///
/// # Errors
/// Those of the core.
pub fn incident(phone: &Phone, seeded: &mut Seeded) -> Result<RecordId, DayError> {
    let record = phone.core.begin("incident", &content::incident(seeded, phone.clock.now()))?;
    phone.clock.advance(6 * 60_000);
    act(&phone.core, record, "report")?;
    Ok(record)
}

/// Patrols with these fixes as the GPS, a pause in the middle, and hands the patrol in.
///
/// # Errors
/// Those of the core, or when there are no fixes.
pub fn patrol(phone: &Phone, seeded: &mut Seeded, me: UserId, fixes: &[Fix], table: &mut DayTable) -> Result<RecordId, DayError> {
    let core = &phone.core;
    let began = fixes
        .first()
        .ok_or_else(|| DayError::Wrong("a patrol without fixes".into()))?
        .at;
    let ended = fixes.iter().map(|fix| fix.at).max().unwrap_or(began);
    let record = core.patrol_start(&content::patrol(me, began))?;
    for batch in fixes.chunks(60) {
        core.patrol_add(batch)?;
    }
    let counts = core.patrol_active()?.map(|active| active.counts).unwrap_or_default();
    core.patrol_finish(&content::patrol_end(seeded, ended))?;
    act(core, record, "submit")?;
    table.patrols += 1;
    table.fixes_in += counts.fixes_in;
    Ok(record)
}

/// Fixes of a walk of two hours over the street grid that begins now; the clock moves on by its length.
#[must_use]
pub fn walked(phone: &Phone, seeded: &mut Seeded) -> Vec<Fix> {
    walked_for(phone, seeded, 2 * 3_600)
}

/// The same, of some seconds.
#[must_use]
pub fn walked_for(phone: &Phone, seeded: &mut Seeded, seconds: i64) -> Vec<Fix> {
    let began = phone.clock.now();
    let sightings = street::walk(seeded, seconds, 5);
    phone.clock.advance(seconds * 1_000);
    let fix = |s: &street::Sighting| Fix::check(UnixMillis(began.0 + s.after_s * 1000), s.lat, s.lon, Some(s.accuracy_m)).ok();
    sightings.iter().filter_map(fix).collect()
}

/// Fixes of a GPX file. What was good in a faulty one stays good: the fault is told to `progress`.
///
/// # Errors
/// When the file is missing, or nothing in it is good.
pub fn from_gpx(path: &Path, progress: &dyn Fn(String)) -> Result<Vec<Fix>, DayError> {
    let mut fixes = Vec::new();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = File::open(path).map_err(|fault| DayError::Gpx(format!("{}: {fault}", path.display())))?;
    match read_gpx(BufReader::new(file), &name, |fix| fixes.push(fix)) {
        Err(error) if fixes.is_empty() => return Err(DayError::Gpx(error.to_string())),
        Err(error) => progress(error.to_string()),
        Ok(_) => {}
    }
    Ok(fixes)
}

/// Does an act on a record as it stands on the phone.
///
/// # Errors
/// Those of the core.
pub fn act(core: &Core, record: RecordId, code: &str) -> Result<(), DayError> {
    let version = core.record(record)?.row.version;
    core.act(
        record,
        &ActOrder {
            code: code.into(),
            version,
            ..ActOrder::default()
        },
    )?;
    Ok(())
}
