//! Merges that come from a phone, its own or given back: what a person at the station could not order is refused here too, and no two merges
//! make a loop, not even within one batch.

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

/// Other records than the one that an act is on, as whoever judges it sees them.
pub(crate) trait Others {
    /// Whether a record may be named as another one of this kind.
    fn fits(&mut self, kind: &Kind, other: RecordId) -> Result<bool, StationError>;
    /// Into which record this one is merged, by all that was judged before.
    fn merged_into(&mut self, record: RecordId) -> Result<Option<RecordId>, StationError>;
    /// Remembers into which record this one is merged from here on.
    fn remember(&mut self, record: RecordId, target: Option<RecordId>);
}

/// Whether an act tells of another record than its own.
pub(crate) fn looks_beyond(act: &ActEntry) -> bool {
    matches!(act.code.as_str(), MERGE_INTO | UNMERGE | NOT_DUPLICATE)
}

/// Why the act cannot be taken in, if it is a merge, or a word on a pair, that cannot be.
pub(super) fn fault(others: &mut impl Others, kind: &Kind, act: &ActEntry) -> Result<Option<Verdict>, StationError> {
    if kind.duplicate_key.is_empty() {
        return Ok(None);
    }
    let other = match act.code.as_str() {
        MERGE_INTO => merge_target(act),
        NOT_DUPLICATE => other_than(act),
        _ => return Ok(None),
    };
    let fits = match other.filter(|other| *other != act.record) {
        Some(other) => others.fits(kind, other)?,
        None => false,
    };
    let Some(other) = other.filter(|_| fits) else {
        let text = format!("{} names no other record of this kind in its author's scope", act.code);
        return Ok(Some(refused("merge_target", text)));
    };
    if act.code == MERGE_INTO && ends_in(others, other, act.record)? {
        let text = "that record was merged into this one: undo that first".into();
        return Ok(Some(refused("merge_loop", text)));
    }
    Ok(None)
}

/// Remembers what an act that is taken in does to merges, for the acts after it in the batch.
pub(super) fn remember(others: &mut impl Others, act: &ActEntry) {
    match act.code.as_str() {
        MERGE_INTO => others.remember(act.record, merge_target(act)),
        UNMERGE => others.remember(act.record, None),
        _ => {}
    }
}

/// Whether merges lead from one record to another, those of this batch included.
fn ends_in(others: &mut impl Others, from: RecordId, to: RecordId) -> Result<bool, StationError> {
    let mut passed = BTreeSet::new();
    let mut at = from;
    while at != to && passed.insert(at) {
        match others.merged_into(at)? {
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(at == to)
}

/// At intake a merge goes to a record in its author's scope.
impl Others for Desk<'_> {
    fn fits(&mut self, kind: &Kind, other: RecordId) -> Result<bool, StationError> {
        let found = match self.board.opened.get(&other) {
            Some(found) => Some(found.clone()),
            None => {
                let state = self.look.tx.record(other)?;
                self.beyond.push((other, state.as_ref().map(|state| state.leaf)));
                state.map(|state| (state.opening.opens.kind, state.opening.opens.unit))
            }
        };
        match found {
            Some((code, unit)) if code == kind.code => self.look.author.scope.holds(self.look.tx, other, unit),
            Some(_) | None => Ok(false),
        }
    }

    fn merged_into(&mut self, record: RecordId) -> Result<Option<RecordId>, StationError> {
        if let Some(target) = self.board.merges.get(&record) {
            return Ok(*target);
        }
        let leaf = self.look.tx.record_leaf(record)?;
        self.beyond.push((record, leaf));
        Ok(self.look.tx.merged_into(record)?)
    }

    fn remember(&mut self, _: RecordId, target: Option<RecordId>) {
        self.merged = Some(target);
    }
}
