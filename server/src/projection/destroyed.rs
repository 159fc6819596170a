//! Destructions as the ledger has them: a record that is gone leaves its number and its place behind, one that lost its private document is
//! counted again without it. Live work and a rebuild come to the same rows, though a rebuild never sees what was destroyed.

use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{DestructionEvent, Entry, identity};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::DocumentName;

use super::Place;
use super::record::{ActEffect, RecordState};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{DestroyedRow, DestructionRow, DigestGroup, FeedRow, GoneRow, WriteTx};

const ACCEPTED: u32 = 0;

/// Folds an entry that was destroyed since: its author mark stays its book's, its record's number stays taken.
pub(crate) fn fold_entry(tx: &WriteTx<'_>, verdict: u32, row: &DestroyedRow) -> Result<(), StationError> {
    if row.late || verdict != ACCEPTED {
        return Ok(());
    }
    if let (Some(record), Some(opens)) = (row.record, &row.opens) {
        tx.reserve_gone(record, opens)?;
    }
    if let Some(actor) = row.actor {
        tx.put_actor(actor, row.book)?;
    }
    Ok(())
}

/// Folds a destruction; returns the record when something of it is still there.
pub(crate) fn fold(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    place: &Place,
    event: &DestructionEvent,
) -> Result<Option<RecordId>, StationError> {
    tx.put_destruction(&DestructionRow {
        event: place.entry,
        place: (place.leaf, place.position),
        at: place.received,
        said: event.clone(),
    })?;
    let state = tx.record(event.record)?;
    match (event.document.map(|document| document.name()), state) {
        (None, Some(state)) => take_away(tx, place, &state).map(|()| None),
        (None, None) => {
            // A rebuild never sees it open, and still meets what others said of it: a hold, that it is no duplicate.
            tx.drop_record(event.record)?;
            let nowhere = GoneRow {
                record: event.record,
                number: None,
                kind: None,
                unit: None,
            };
            tx.put_gone(&nowhere, &place.entry)?;
            Ok(None)
        }
        (Some(Some(DocumentName::Private)), Some(state)) => {
            tx.drop_private(event.record, &place.entry)?;
            count_again(tx, kinds, place, state)?;
            Ok(Some(event.record))
        }
        (Some(_), Some(_) | None) => Ok(None),
    }
}

fn take_away(tx: &WriteTx<'_>, place: &Place, state: &RecordState) -> Result<(), StationError> {
    let opens = state.opening.opens.clone();
    if let Some(parts) = tx.record_digest(state.id)? {
        let group = DigestGroup {
            unit: opens.unit,
            kind: (opens.kind.clone(), opens.version),
            opener: state.opening.user,
        };
        tx.take_from_digest_sum(&group, parts)?;
    }
    let gone = GoneRow {
        record: state.id,
        number: tx.number_of(state.id)?,
        kind: Some((opens.kind, opens.version)),
        unit: Some(opens.unit),
    };
    tx.drop_record(state.id)?;
    Ok(tx.put_gone(&gone, &place.entry)?)
}

/// Folds what is left of a record once more, from its opening to here.
fn count_again(tx: &WriteTx<'_>, kinds: &Kinds, place: &Place, old: RecordState) -> Result<(), StationError> {
    let damaged = |why: String| StationError::Damaged(format!("record {}: {why}", old.id));
    let kind = kinds.kind_of(&old)?;
    let mut rows: Vec<FeedRow> = Vec::new();
    tx.each_of_record(old.id, place.leaf, |row| {
        rows.push(row);
        Ok::<_, StationError>(())
    })?;
    let mut folded: Option<RecordState> = None;
    for row in rows {
        let (id, entry) = match Entry::parse(&row.bytes) {
            Ok(Entry::Recovered(recovered)) => (identity(&recovered.entry), recovered.inner()),
            other => (identity(&row.bytes), other),
        };
        let entry = entry.map_err(|fault| damaged(fault.to_string()))?;
        let state = folded.get_or_insert_with(|| RecordState::open(old.id, old.opening.clone(), kind, row.received));
        match entry {
            Entry::Change(change) => {
                let envelope = guard::envelope(&change.change).map_err(|fault| damaged(fault.to_string()))?;
                let document = change.document.name().unwrap_or_default();
                state.take_change(document, envelope.hash, &envelope.deps, change.at, row.received);
            }
            Entry::Act(act) => {
                let effect = ActEffect::of(kind, &state.state, &act.code, row.offered);
                state.take_act(&effect, id, &act.heads, act.at, row.received);
            }
            // Grants say nothing of it.
            Entry::Registry(_) | Entry::Recovered(_) | Entry::Other(_) => continue,
        }
        state.leaf = row.leaf;
        tx.put_version(state)?;
    }
    let Some(mut state) = folded else {
        return Err(damaged("nothing is left of it but its private document".into()));
    };
    // Whoever judges by how he met the record must look again.
    state.leaf = place.leaf;
    tx.put_version(&state)?;
    Ok(tx.put_record(&state, kinds.in_review(kind, &state))?)
}
