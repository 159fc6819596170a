//! Merges that come from a phone: what a person at the station could not order is refused here too, and no two merges make a loop, not even
//! on one page.

use std::collections::BTreeSet;

use beatbook_protocol::entry::ActEntry;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::Kind;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, NOT_DUPLICATE, UNMERGE, merge_target, other_than};
use beatbook_protocol::wire::Verdict;

use super::desk::{Desk, refused};
use crate::error::StationError;

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
    let state = match other.filter(|other| *other != act.record) {
        Some(other) => desk.lay(other)?.state.clone(),
        None => None,
    };
    let fits = |state: &crate::projection::record::RecordState| {
        state.opening.opens.kind == kind.code && desk.author.scope.contains(&state.opening.opens.unit)
    };
    let Some(state) = state.filter(fits) else {
        let text = format!("{} names no other record of this kind in its author's scope", act.code);
        return Ok(Some(refused("merge_target", text)));
    };
    if act.code == MERGE_INTO && ends_in(desk, state.id, act.record)? {
        let text = "that record was merged into this one: undo that first".into();
        return Ok(Some(refused("merge_loop", text)));
    }
    Ok(None)
}

/// Remembers what an act that is taken in does to merges, for the acts after it on the page.
pub(super) fn remember(desk: &mut Desk<'_>, act: &ActEntry) {
    match act.code.as_str() {
        MERGE_INTO => drop(desk.merges.insert(act.record, merge_target(act))),
        UNMERGE => drop(desk.merges.insert(act.record, None)),
        _ => {}
    }
}

/// Whether merges lead from one record to another, those of this page included.
fn ends_in(desk: &Desk<'_>, from: RecordId, to: RecordId) -> Result<bool, StationError> {
    let mut passed = BTreeSet::new();
    let mut at = from;
    while at != to && passed.insert(at) {
        let next = match desk.merges.get(&at) {
            Some(next) => *next,
            None => desk.tx.merged_into(at)?,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(at == to)
}
