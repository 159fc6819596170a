//! Records: their state and its history, versions, changes, acts, author marks. Authority comes from here and never from a document.

use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry};
use beatbook_protocol::id::RecordId;

use super::record::{ActEffect, Opening, RecordState};
use super::{Place, merges};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{ActRow, WriteTx};

const ACCEPTED: u32 = 0;
const REFUSED: u32 = 2;
const OFFERED: u32 = 4;

/// The record whose changes are being folded: its row is put when something else comes, so that a record which was written in several
/// changes one after another is looked up and put once. Its versions are put with each of them.
#[derive(Debug, Default)]
pub(crate) struct InHand(Option<RecordState>);

impl InHand {
    /// Whether an entry is an accepted change of the record in hand.
    pub(crate) fn goes_on(&self, verdict: u32, entry: &Entry) -> bool {
        match (&self.0, entry) {
            (Some(state), Entry::Change(change)) => verdict == ACCEPTED && state.id == change.record,
            _ => false,
        }
    }

    /// Puts its row. Called before anything else may look at it.
    pub(crate) fn put_down(&mut self, tx: &WriteTx<'_>, kinds: &Kinds) -> Result<(), StationError> {
        match self.0.take() {
            Some(state) => put(tx, kinds, &state),
            None => Ok(()),
        }
    }
}

/// Folds an entry; returns the record when something of it moved. What is in hand is put down before, unless the entry goes on with it.
pub(crate) fn fold(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    place: &Place,
    (verdict, entry): (u32, &Entry),
    hand: &mut InHand,
) -> Result<Option<RecordId>, StationError> {
    match (verdict, entry) {
        (ACCEPTED, Entry::Change(change)) => {
            let known = match hand.0.take() {
                Some(state) => Some(state),
                None => tx.record(change.record)?,
            };
            hand.0 = Some(take_change(tx, kinds, place, (known, change))?);
            Ok(Some(change.record))
        }
        (REFUSED, Entry::Change(change)) => {
            if let (Some(document), Ok(envelope)) = (change.document.name(), guard::envelope(&change.change)) {
                tx.put_refused(change.record, document, &envelope.hash, place.book)?;
            }
            Ok(None)
        }
        (ACCEPTED, Entry::Act(act)) => take_act(tx, kinds, place, act, false).map(Some),
        (OFFERED, Entry::Act(act)) => take_act(tx, kinds, place, act, true).map(Some),
        _ => Ok(None),
    }
}

fn put(tx: &WriteTx<'_>, kinds: &Kinds, state: &RecordState) -> Result<(), StationError> {
    let kind = kinds.kind_of(state)?;
    Ok(tx.put_record(state, kinds.in_review(kind, state))?)
}

/// Takes a change into its record's state, whose row is the caller's to put.
fn take_change(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    place: &Place,
    (known, change): (Option<RecordState>, &ChangeEntry),
) -> Result<RecordState, StationError> {
    let damaged = |why: &str| StationError::Damaged(format!("leaf {}, entry {}: {why}", place.leaf, place.position));
    let envelope = guard::envelope(&change.change).map_err(|fault| damaged(&fault.to_string()))?;
    let document = change.document.name().ok_or_else(|| damaged("an unknown document"))?;
    let author = change.on_behalf.unwrap_or(place.user);
    let opened = known.is_none();
    let mut state = match (known, &change.opens) {
        (Some(state), _) => state,
        (None, Some(opens)) => {
            let kind = kinds.get(&opens.kind, opens.version)?;
            let opening = Opening {
                opens: opens.clone(),
                book: place.book,
                user: author,
                at: change.at,
            };
            RecordState::open(change.record, opening, kind, place.received)
        }
        (None, None) => return Err(damaged("a change of a record that nobody opened")),
    };
    state.take_change(document, envelope.hash, &envelope.deps, change.at, place.received);
    state.leaf = place.leaf;
    tx.put_version(&state)?;
    if opened {
        tx.put_record_state(state.id, place.leaf, place.position, &state.state)?;
    }
    tx.put_change(
        change.record,
        document,
        &envelope.hash,
        place.leaf,
        place.position,
        &place.entry,
        author,
    )?;
    tx.put_actor(envelope.actor, place.book)?;
    Ok(state)
}

fn take_act(tx: &WriteTx<'_>, kinds: &Kinds, place: &Place, act: &ActEntry, offered: bool) -> Result<RecordId, StationError> {
    let Some(mut state) = tx.record(act.record)? else {
        return Err(StationError::Damaged(format!(
            "leaf {}, entry {}: an act on no record",
            place.leaf, place.position
        )));
    };
    let kind = kinds.get(&state.opening.opens.kind, state.opening.opens.version)?;
    let met = state.state.clone();
    let effect = ActEffect::of(kind, &met, &act.code, offered);
    merges::fold(tx, kind, act, &effect)?;
    state.take_act(&effect, place.entry, &act.heads, act.at, place.received);
    state.leaf = place.leaf;
    tx.put_version(&state)?;
    put(tx, kinds, &state)?;
    if state.state != met {
        tx.put_record_state(state.id, place.leaf, place.position, &state.state)?;
    }
    let row = ActRow {
        entry: place.entry,
        leaf: place.leaf,
        position: place.position,
        code: act.code.clone(),
        author: act.on_behalf.unwrap_or(place.user),
        at: act.at,
        received: place.received,
        state: state.state,
        offered,
    };
    tx.put_act(act.record, &row)?;
    Ok(act.record)
}
