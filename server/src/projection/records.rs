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

/// Folds an entry; returns the record when something of it moved.
pub(crate) fn fold(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    place: &Place,
    verdict: u32,
    entry: &Entry,
) -> Result<Option<RecordId>, StationError> {
    match (verdict, entry) {
        (ACCEPTED, Entry::Change(change)) => take_change(tx, kinds, place, change).map(Some),
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

fn take_change(tx: &WriteTx<'_>, kinds: &Kinds, place: &Place, change: &ChangeEntry) -> Result<RecordId, StationError> {
    let damaged = |why: &str| StationError::Damaged(format!("leaf {}, entry {}: {why}", place.leaf, place.position));
    let envelope = guard::envelope(&change.change).map_err(|fault| damaged(&fault.to_string()))?;
    let document = change.document.name().ok_or_else(|| damaged("an unknown document"))?;
    let author = change.on_behalf.unwrap_or(place.user);
    let known = tx.record(change.record)?;
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
    let kind = kinds.get(&state.opening.opens.kind, state.opening.opens.version)?;
    state.take_change(document, envelope.hash, &envelope.deps, change.at, place.received);
    state.leaf = place.leaf;
    tx.put_record(&state, kinds.in_review(kind, &state))?;
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
    Ok(change.record)
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
    tx.put_record(&state, kinds.in_review(kind, &state))?;
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
