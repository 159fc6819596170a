//! Two records of one thing: pairs to decide on, and what a merge must not do. The merge itself is an act of the kind like any other; it
//! changes no document, and is taken back by another.

use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, NOT_DUPLICATE, OTHER, TARGET};
use beatbook_protocol::kind::{Kind, Label};

use super::queue;
use super::view::{ActOrder, DuplicatePair, FindingView, RecordRow};
use crate::error::{ActError, StationError};
use crate::kinds::Kinds;
use crate::policy::{self, Permission};
use crate::projection::record::RecordState;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::ReadTx;

/// Pairs in a list at most: who has more has another problem than two officers at one door.
const PAIRS_MAX: u32 = 200;

/// Pairs in the person's scope that may be one thing.
pub(crate) fn duplicates(station: &Station, session: &Session) -> Result<Vec<DuplicatePair>, StationError> {
    policy::require(Some(session), Permission::ReadRecords)?;
    let (pairs, personal) = station.store.read(|tx| {
        let (mut pairs, mut personal) = (Vec::new(), 0);
        for pair in tx.duplicates((session.unit, session.user), PAIRS_MAX)? {
            let look = |record| queue::glance(tx, &station.kinds, session, record);
            let (Some((older, one)), Some((newer, other))) = (look(pair.older)?, look(pair.newer)?) else {
                continue;
            };
            personal += usize::from(one) + usize::from(other);
            let fields = pair.key.split_once('=').map_or("", |(fields, _)| fields);
            pairs.push(DuplicatePair {
                alike: fields.split('+').map(str::to_owned).collect(),
                older,
                newer,
            });
        }
        Ok::<_, StationError>((pairs, personal))
    })?;
    queue::note_personal(station, session, personal)?;
    Ok(pairs)
}

/// The rows of those records that are in the person's scope.
pub(crate) fn rows(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    records: Vec<RecordId>,
) -> Result<Vec<RecordRow>, StationError> {
    let mut rows = Vec::new();
    for record in records {
        rows.extend(queue::row(tx, kinds, session, record)?);
    }
    Ok(rows)
}

/// The record that an act on a record with a duplicate key names beside it.
pub(crate) fn named(kind: &Kind, order: &ActOrder) -> Option<(&'static str, Option<RecordId>)> {
    let value = match order.code.as_str() {
        _ if kind.duplicate_key.is_empty() => return None,
        MERGE_INTO => TARGET,
        NOT_DUPLICATE => OTHER,
        _ => return None,
    };
    let text = order.values.get(value).and_then(|value| value.as_text());
    Some((value, text.and_then(|text| text.parse().ok())))
}

/// Refuses a merge, or a word on a pair, that cannot be: with nothing, with itself, with another sort of thing, in a loop.
pub(crate) fn check(
    tx: &ReadTx<'_>,
    session: &Session,
    kind: &Kind,
    state: &RecordState,
    order: &ActOrder,
) -> Result<(), ActError> {
    let Some((value, named)) = named(kind, order) else {
        return Ok(());
    };
    let other = match named {
        Some(named) => tx.record(named)?,
        None => None,
    };
    let units = Scope::of(tx, session)?.units;
    let Some(other) = other.filter(|other| units.contains(&other.opening.opens.unit)) else {
        return Err(finding(value, "unknown_record", "没有这条记录", "there is no such record"));
    };
    if other.opening.opens.kind != state.opening.opens.kind || other.id == state.id {
        return Err(finding(
            value,
            "other_kind",
            "应为同类的另一条记录",
            "it must be another record of the same kind",
        ));
    }
    if order.code == MERGE_INTO && ends_in(tx, other.id, state.id)? {
        return Err(finding(
            value,
            "merge_loop",
            "该记录已并入本记录：请先撤销",
            "that record was merged into this one: undo that first",
        ));
    }
    Ok(())
}

/// Whether merges lead from one record to another.
pub(crate) fn ends_in(tx: &ReadTx<'_>, from: RecordId, to: RecordId) -> Result<bool, StationError> {
    let mut at = from;
    while at != to {
        // The projection holds no loops, so this ends.
        match tx.merged_into(at)? {
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(true)
}

fn finding(value: &str, code: &str, zh: &str, en: &str) -> ActError {
    ActError::Findings(vec![FindingView {
        path: format!("values/{value}"),
        code: code.to_owned(),
        severity: "error".into(),
        message: Label {
            zh: zh.to_owned(),
            en: en.to_owned(),
        },
    }])
}
