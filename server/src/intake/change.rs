//! A change: is its record there or opened by it, is it in scope, might its author write by what he could know, and is it sound? What
//! passes here waits for the guard, which judges each document's changes together.

use beatbook_protocol::document::guard;
use beatbook_protocol::entry::ChangeEntry;
use beatbook_protocol::kind::workflow;
use beatbook_protocol::wire::Verdict;

use super::desk::{Desk, Unopened, Waiting, refused, verdict_of_unopened};
use crate::error::StationError;
use crate::projection::record::{Opening, RecordState};

/// Judges a change; none when it waits for the guard.
pub(super) fn judge(desk: &mut Desk<'_>, position: usize, change: ChangeEntry) -> Result<Option<Verdict>, StationError> {
    let (id, opens) = (change.record, change.opens.is_some());
    let Some(document) = change.document.name() else {
        return Ok(Some(refused(
            "not_understood",
            "a document that this station does not know".into(),
        )));
    };
    let envelope = match guard::envelope(&change.change) {
        Ok(envelope) => envelope,
        Err(fault) => return Ok(Some(refused(fault.code(), fault.to_string()))),
    };
    let (hash, actor) = (envelope.hash, envelope.actor);
    let mut verdict = right_to_write(desk, position, &change)?;
    if verdict.is_none() && desk.tx.actor(actor)?.is_some_and(|book| book != desk.author.book) {
        verdict = Some(refused("foreign_actor", "the author mark belongs to another book".into()));
    }
    if verdict.is_none() {
        verdict = desk.missing(id, document, &envelope.deps)?;
    }
    let author_opened = opens && desk.lay(id)?.opener == Some(position);
    let record = desk.lay(id)?;
    match &verdict {
        None => record.waiting.push(Waiting {
            position,
            document,
            bytes: change.change,
            settles: change.settles == Some(true),
            hash,
            deps: envelope.deps,
            actor,
            at: change.at,
        }),
        Some(Verdict::Refused { .. }) => {
            record.refused.insert((document, hash));
            if author_opened || (opens && record.state.is_none()) {
                take_off(record, Unopened::Refused);
            }
        }
        Some(Verdict::Needs { changes }) if author_opened => take_off(record, Unopened::Needs(changes.clone())),
        Some(_) => {}
    }
    Ok(verdict)
}

fn take_off(record: &mut super::desk::OpenRecord, unopened: Unopened) {
    record.state = None;
    record.documents = None;
    record.states.clear();
    record.opener = None;
    record.unopened = Some(unopened);
}

/// Whether the author might write there, by any state that the record had since he last could have heard of it.
fn right_to_write(desk: &mut Desk<'_>, position: usize, change: &ChangeEntry) -> Result<Option<Verdict>, StationError> {
    // A phone writes for its own user; the station's book does not come this way.
    if change.on_behalf.is_some() {
        return Ok(Some(refused("forbidden", "a phone writes for nobody else".into())));
    }
    let (kinds, received, author) = (desk.kinds, desk.received, desk.author);
    let record = desk.lay(change.record)?;
    match (&record.state, &change.opens) {
        (Some(_), Some(_)) => return Ok(Some(refused("record_exists", "the record was opened before".into()))),
        (Some(_), None) => {}
        (None, None) => {
            return Ok(Some(match &record.unopened {
                Some(unopened) => verdict_of_unopened(unopened),
                None => refused("unknown_record", "no change has opened this record".into()),
            }));
        }
        (None, Some(opens)) => {
            let Some(kind) = kinds.find(&opens.kind, opens.version) else {
                let text = format!("this station has no kind {} version {}", opens.kind, opens.version);
                return Ok(Some(refused("unknown_kind", text)));
            };
            let opening = Opening {
                opens: opens.clone(),
                book: author.book,
                user: author.user,
                at: change.at,
            };
            let state = RecordState::open(change.record, opening, kind, received);
            record.states = vec![state.state.clone()];
            record.state = Some(state);
            record.opener = Some(position);
            record.unopened = None;
        }
    }
    let states = record.states.clone();
    let Some(state) = record.state.clone() else { return Ok(None) };
    if !desk.might_hold(&state, change.record)? {
        return Ok(Some(refused("out_of_scope", "the record's unit is not the author's".into())));
    }
    let kind = kinds.kind_of(&state)?;
    let whos = desk.whos(&state);
    if states.iter().any(|state| workflow::may_write(kind, state, &whos)) {
        Ok(None)
    } else {
        Ok(Some(refused(
            "forbidden",
            format!("its author may not write in state {}", state.state),
        )))
    }
}
