//! Emergency notes whose time is over: 90 days after somebody was shown one first. One that nobody has read is kept.

use std::collections::BTreeSet;

use beatbook_protocol::id::UnitId;
use beatbook_protocol::time::UnixMillis;

use super::DAY_MS;
use crate::audit::{self, Line};
use crate::environment::Environment;
use crate::error::StationError;
use crate::station::Session;
use crate::store::{ReadTx, WriteTx};

/// Days that a note is kept after it was read: what was still to be done is in a record by then.
const NOTE_DAYS: i64 = 90;

/// How many notes are over, of these units; of all where none are named.
pub(super) fn due(tx: &ReadTx<'_>, units: Option<&BTreeSet<UnitId>>, now: UnixMillis) -> Result<u64, StationError> {
    let over = tx.notes_read_until(now.plus(-NOTE_DAYS * DAY_MS))?;
    let his = over.iter().filter(|(_, unit)| units.is_none_or(|units| units.contains(unit)));
    Ok(his.count() as u64)
}

/// Takes away what is over, and says so in the log; how many there were.
pub(super) fn apply(tx: &WriteTx<'_>, env: &Environment, by: Option<&Session>, now: UnixMillis) -> Result<u64, StationError> {
    let over = tx.notes_read_until(now.plus(-NOTE_DAYS * DAY_MS))?;
    if over.is_empty() {
        return Ok(0);
    }
    for (number, _) in &over {
        tx.drop_note(*number)?;
    }
    tx.ask_scrub()?;
    let detail = format!("{} notes, read {NOTE_DAYS} days ago or before", over.len());
    audit::append(tx, env, &Line::of(by.map(|by| by.user), "note.destroyed", detail))?;
    Ok(over.len() as u64)
}
