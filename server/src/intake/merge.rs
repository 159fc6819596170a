//! Merges that come from a phone: what a person at the station could not order is refused here too, and no two merges make a loop, not even
//! within one batch.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::entry::ActEntry;
use beatbook_protocol::id::{RecordId, UnitId};
use beatbook_protocol::kind::Kind;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, NOT_DUPLICATE, UNMERGE, merge_target, other_than};
use beatbook_protocol::wire::Verdict;

use super::desk::{Desk, refused};
use crate::error::StationError;

/// What the lanes of a batch that were judged so far did: merges look beyond their own record.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Records that the batch opened: kind and unit.
    pub(super) opened: BTreeMap<RecordId, (String, UnitId)>,
    /// Merges that it made, and those that it took back.
    pub(super) merges: BTreeMap<RecordId, Option<RecordId>>,
}

/// Whether an act tells of another record than its own.
pub(super) fn looks_beyond(act: &ActEntry) -> bool {
    matches!(act.code.as_str(), MERGE_INTO | UNMERGE | NOT_DUPLICATE)
}

/// Why the act cannot be taken in, if it is a merge, or a word on a pair, that cannot be.
pub(super) fn fault(desk: &mut Desk<'_>, kind: &Kind, act: &ActEntry) -> Result<Option<Verdict>, StationError> {
    if kind.duplicate_key.is_empty() {
        return Ok(None);
    }
    let other = match act.code.as_str() {
        MERGE_INTO => merge_target(act),
        NOT_DUPLICATE => other_than(act),
        _ => return Ok(None),
    };
    let fits = match other.filter(|other| *other != act.record) {
        Some(other) => is_of_kind_in_scope(desk, kind, other)?,
        None => false,
    };
    let Some(other) = other.filter(|_| fits) else {
        let text = format!("{} names no other record of this kind in its author's scope", act.code);
        return Ok(Some(refused("merge_target", text)));
    };
    if act.code == MERGE_INTO && ends_in(desk, other, act.record)? {
        let text = "that record was merged into this one: undo that first".into();
        return Ok(Some(refused("merge_loop", text)));
    }
    Ok(None)
}

/// Remembers what an act that is taken in does to merges, for the acts after it in the batch.
pub(super) fn remember(desk: &mut Desk<'_>, act: &ActEntry) {
    match act.code.as_str() {
        MERGE_INTO => desk.merged = Some(merge_target(act)),
        UNMERGE => desk.merged = Some(None),
        _ => {}
    }
}

fn is_of_kind_in_scope(desk: &mut Desk<'_>, kind: &Kind, other: RecordId) -> Result<bool, StationError> {
    let found = match desk.board.opened.get(&other) {
        Some(found) => Some(found.clone()),
        None => {
            let state = desk.look.tx.record(other)?;
            desk.beyond.push((other, state.as_ref().map(|state| state.leaf)));
            state.map(|state| (state.opening.opens.kind, state.opening.opens.unit))
        }
    };
    Ok(found.is_some_and(|(code, unit)| code == kind.code && desk.look.author.scope.units.contains(&unit)))
}

/// Whether merges lead from one record to another, those of this batch included.
fn ends_in(desk: &mut Desk<'_>, from: RecordId, to: RecordId) -> Result<bool, StationError> {
    let mut passed = BTreeSet::new();
    let mut at = from;
    while at != to && passed.insert(at) {
        let next = match desk.board.merges.get(&at) {
            Some(next) => *next,
            None => {
                let leaf = desk.look.tx.record_leaf(at)?;
                desk.beyond.push((at, leaf));
                desk.look.tx.merged_into(at)?
            }
        };
        match next {
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(at == to)
}
