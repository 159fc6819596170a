//! What must be done until when, by the clocks of the kinds, and what lies near: the lists that a day's round begins with.

use beatbook_protocol::id::UserId;
use beatbook_protocol::kind::{Clock, FieldType, Kind, Label};
use beatbook_protocol::place::Place;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, metres_between};

use super::types::{Filter, RecordRow};
use crate::core::Core;
use crate::error::CoreError;
use crate::record::Course;
use crate::store::{StoreError, Tx, lists, rows};

/// Rows that one look takes of a state; few in tests, so that there is more than one.
const LOOK: u32 = if cfg!(test) { 3 } else { 500 };

/// Something that must be done until a time.
#[derive(Debug, Clone, PartialEq)]
pub struct DueView {
    /// The record.
    pub row: RecordRow,
    /// Code of the clock.
    pub clock: String,
    /// What the clock is called.
    pub label: Label,
    /// Since when it runs, by the clock of whoever acted.
    pub since: UnixMillis,
    /// When it runs out, by the kind's period; a station may have set a shorter one.
    pub until: UnixMillis,
    /// Whether it has run out by this phone's clock.
    pub is_late: bool,
}

/// A record with a place, and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct NearView {
    /// The record.
    pub row: RecordRow,
    /// Metres from where was asked.
    pub metres: f64,
}

impl Core {
    /// What must be done until when, the most pressing first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn due(&self, limit: u32) -> Result<Vec<DueView>, CoreError> {
        let (office, now) = (self.office(), self.platform().clock.wall());
        let mut due = self.read(|tx| {
            let mut due = Vec::new();
            for kind in office.kinds.iter() {
                for clock in &kind.workflow.clocks {
                    for state in &clock.runs_in {
                        due.extend(running(tx, kind, clock, state, now)?);
                    }
                }
            }
            Ok(due)
        })?;
        due.sort_by_key(|due| (due.until, due.row.record));
        due.truncate(limit as usize);
        Ok(due)
    }

    /// Records whose place lies within so many metres, the nearest first. Merged ones are left out: what stays lies there too.
    ///
    /// # Errors
    /// When the place is none, or the file cannot be read.
    pub fn nearby(&self, kind: &str, from: &Place, metres_max: f64, limit: u32) -> Result<Vec<NearView>, CoreError> {
        let office = self.office();
        let newest = office.newest(kind).ok_or_else(|| CoreError::Unknown {
            what: format!("kind {kind}"),
        })?;
        let places: Vec<String> = newest
            .fields
            .iter()
            .filter(|field| field.field_type == FieldType::Place)
            .map(|field| field.code.clone())
            .collect();
        let at = |place: &Place| Fix::check(UnixMillis(0), place.lat, place.lon, None).ok();
        let here = at(from).ok_or_else(|| CoreError::InvalidInput {
            field: "place".into(),
            why: "it is not on the earth".into(),
        })?;
        let mut near = Vec::new();
        self.read(|tx| {
            lists::each_place(tx, kind, &places, |record, place| {
                let Some(there) = Place::parse(place).ok().as_ref().and_then(at) else {
                    return;
                };
                let metres = metres_between(&here, &there);
                if metres <= metres_max {
                    near.push((metres, record));
                }
            })
        })?;
        near.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        near.dedup_by_key(|(_, record)| *record);
        near.truncate(limit as usize);
        self.read(|tx| {
            let mut views = Vec::with_capacity(near.len());
            for (metres, record) in near {
                views.extend(lists::one(tx, record)?.map(|row| NearView { row, metres }));
            }
            Ok(views)
        })
    }
}

/// The records of a kind in a state where a clock runs.
fn running(tx: &Tx<'_>, kind: &Kind, clock: &Clock, state: &str, now: UnixMillis) -> Result<Vec<DueView>, StoreError> {
    let mut filter = Filter {
        kind: Some(kind.code.clone()),
        state: Some(state.to_owned()),
        limit: Some(LOOK),
        ..Filter::default()
    };
    let nobody = UserId::from_bytes([0; 16]);
    let mut rows = Vec::new();
    // All of them: lists begin with the newest, and the oldest are the most pressing.
    loop {
        let page = lists::list(tx, &filter, nobody)?;
        rows.extend(page.rows);
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    let mut due = Vec::new();
    for row in rows {
        if row.kind_version != kind.version || row.merged_into.is_some() {
            continue;
        }
        let since = started(tx, kind, clock, &row)?;
        let until = UnixMillis(since.0.saturating_add(i64::from(clock.minutes) * 60_000));
        due.push(DueView {
            row,
            clock: clock.code.clone(),
            label: clock.label.clone(),
            since,
            until,
            is_late: until < now,
        });
    }
    Ok(due)
}

/// When a clock that runs now started: with the first state of those that it runs in, since they were last left.
fn started(tx: &Tx<'_>, kind: &Kind, clock: &Clock, row: &RecordRow) -> Result<UnixMillis, StoreError> {
    let course = Course::of(kind, &rows::steps(tx, row.record)?);
    let runs = |state: &str| clock.runs_in.iter().any(|runs| runs == state);
    let entered = course.entered.iter().rev().take_while(|(state, _)| runs(state)).last();
    let began_so = course.entered.iter().all(|(state, _)| runs(state)) && runs(&kind.workflow.initial);
    Ok(match entered {
        Some((_, at)) if !began_so => *at,
        _ => row.opened_at,
    })
}
