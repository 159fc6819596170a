//! The patrol that is going on, as rows: what its recorder was told since its last cut, and the recorder's state at that cut. The fixes
//! stay until the patrol ends, so that a batch that is handed over twice is known. Knows no filters and no segments.

use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, GapReason, Source};
use rusqlite::{OptionalExtension, Row};

use super::{StoreError, Tx};
use crate::capture::recorder::{RecorderState, TrackEvent};

/// The patrol that is going on.
#[derive(Debug, Clone)]
pub(crate) struct PatrolRow {
    /// Its record.
    pub(crate) record: RecordId,
    /// When it started.
    pub(crate) started_at: UnixMillis,
    /// The last event that segments hold.
    pub(crate) cut: i64,
    /// The recorder's state after it.
    pub(crate) state: RecorderState,
}

const FIX: u8 = 0;
const BROKE: u8 = 1;
const RESUMED: u8 = 2;

/// Begins the patrol.
pub(crate) fn start(tx: &Tx<'_>, record: RecordId, at: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO patrol (one, record, started_at, cut, state) VALUES (1, ?1, ?2, 0, ?3)",
        (record.as_bytes(), at.0, written(&RecorderState::default())?),
    )?;
    Ok(())
}

/// The patrol that is going on, if one is.
pub(crate) fn active(tx: &Tx<'_>) -> Result<Option<PatrolRow>, StoreError> {
    let row: Option<([u8; 16], i64, i64, String)> = tx
        .prepare_cached("SELECT record, started_at, cut, state FROM patrol WHERE one = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((record, started_at, cut, state)) = row else {
        return Ok(None);
    };
    let state = serde_json::from_str(&state).map_err(|error| StoreError::Damaged(format!("the recorder's state: {error}")))?;
    Ok(Some(PatrolRow {
        record: RecordId::from_bytes(record),
        started_at: UnixMillis(started_at),
        cut,
        state,
    }))
}

/// Writes down what the recorder is told; tells whether it is news (a fix of a time that is here already is none).
pub(crate) fn tell(tx: &Tx<'_>, event: &TrackEvent) -> Result<bool, StoreError> {
    let (what, fix, reason) = match event {
        TrackEvent::Fix(fix) => (FIX, Some(fix), None),
        TrackEvent::Broke(reason) => (BROKE, None, Some(reason.code())),
        TrackEvent::Resumed => (RESUMED, None, None),
    };
    let told = tx
        .prepare_cached(
            "INSERT INTO track_event (what, at, lat_e6, lon_e6, accuracy_m, source, is_mock, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (at) DO NOTHING",
        )?
        .execute((
            what,
            fix.map(|fix| fix.at.0),
            fix.map(|fix| fix.lat_e6),
            fix.map(|fix| fix.lon_e6),
            fix.and_then(|fix| fix.accuracy_m),
            fix.map(|fix| fix.source.code()),
            fix.map(|fix| fix.is_mock),
            reason,
        ))?;
    Ok(told > 0)
}

/// What the recorder was told after event `cut`.
pub(crate) fn told_since(tx: &Tx<'_>, cut: i64) -> Result<Vec<TrackEvent>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT what, at, lat_e6, lon_e6, accuracy_m, source, is_mock, reason FROM track_event WHERE n > ?1 ORDER BY n",
    )?;
    let rows = rows.query_map([cut], event)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All told so far is in segments now.
pub(crate) fn cut(tx: &Tx<'_>, state: &RecorderState) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE patrol SET cut = (SELECT coalesce(max(n), 0) FROM track_event), state = ?1 WHERE one = 1")?
        .execute([written(state)?])?;
    Ok(())
}

/// Ends the patrol: its document holds the track.
pub(crate) fn finish(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM patrol", [])?;
    tx.execute("DELETE FROM track_event", [])?;
    Ok(())
}

fn written(state: &RecorderState) -> Result<String, StoreError> {
    serde_json::to_string(state).map_err(|error| StoreError::Damaged(format!("the recorder's state: {error}")))
}

fn event(row: &Row<'_>) -> rusqlite::Result<TrackEvent> {
    Ok(match row.get::<_, u8>(0)? {
        FIX => TrackEvent::Fix(Fix {
            at: UnixMillis(row.get(1)?),
            lat_e6: row.get(2)?,
            lon_e6: row.get(3)?,
            accuracy_m: row.get(4)?,
            source: Source::from_code(row.get(5)?),
            is_mock: row.get(6)?,
        }),
        BROKE => TrackEvent::Broke(GapReason::from_code(row.get(7)?)),
        _ => TrackEvent::Resumed,
    })
}
