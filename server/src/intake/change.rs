//! A change: is its record there or opened by it, is it in scope, might its author write by what he could know, and is it sound?

use beatbook_protocol::document::guard::{self, Envelope, Incoming};
use beatbook_protocol::entry::ChangeEntry;
use beatbook_protocol::kind::{DocumentName, workflow};
use beatbook_protocol::wire::Verdict;

use super::desk::{Desk, Unopened, refused, verdict_of_unopened};
use crate::error::StationError;
use crate::policy;
use crate::projection::record::{Opening, RecordState};

/// Judges a change.
pub(super) fn judge(desk: &mut Desk<'_>, change: &ChangeEntry) -> Result<Verdict, StationError> {
    let Some(document) = change.document.name() else {
        return Ok(refused("not_understood", "a document that this station does not know".into()));
    };
    let envelope = match guard::envelope(&change.change) {
        Ok(envelope) => envelope,
        Err(fault) => return Ok(refused(fault.code(), fault.to_string())),
    };
    let opens = change.opens.is_some() && desk.state.is_none();
    let mut verdict = match right_to_write(desk, change)? {
        Some(verdict) => verdict,
        None => sound(desk, document, change, &envelope)?,
    };
    if opens && verdict == Verdict::Duplicate {
        // Its change is the genesis, which every document holds: a record that nobody wrote in would stay behind.
        verdict = refused("malformed", "the change that opens a record says nothing".into());
    }
    match &verdict {
        Verdict::Accepted => {
            if let Some(state) = &mut desk.state {
                state.take_change(document, envelope.hash, &envelope.deps, change.at, desk.look.received);
                desk.bound.insert(envelope.actor);
                desk.touched = true;
            }
        }
        Verdict::Refused { .. } => {
            desk.refused.insert((document, envelope.hash));
            if opens {
                desk.take_off(Unopened::Refused);
            }
        }
        Verdict::Needs { changes } if opens => desk.take_off(Unopened::Needs(changes.clone())),
        Verdict::Needs { .. } | Verdict::Duplicate | Verdict::Offered | Verdict::Other(_) => {}
    }
    Ok(verdict)
}

/// Whether the author might write there, by any state that the record had since he last could have heard of it.
fn right_to_write(desk: &mut Desk<'_>, change: &ChangeEntry) -> Result<Option<Verdict>, StationError> {
    // A phone writes for its own user; the station's book does not come this way.
    if change.on_behalf.is_some() {
        return Ok(Some(refused("forbidden", "a phone writes for nobody else".into())));
    }
    let (kinds, author) = (desk.look.kinds, desk.look.author);
    match (&desk.state, &change.opens) {
        (Some(_), Some(_)) => return Ok(Some(refused("record_exists", "the record was opened before".into()))),
        (Some(_), None) => {}
        (None, None) => {
            return Ok(Some(match &desk.unopened {
                Some(unopened) => verdict_of_unopened(unopened),
                None => refused("unknown_record", "no change has opened this record".into()),
            }));
        }
        (None, Some(_)) if change.document.name() != Some(DocumentName::Facts) => {
            let text = "a record opens in its facts: who may not read `private` would be sent this";
            return Ok(Some(refused("malformed", text.into())));
        }
        (None, Some(opens)) => {
            let Some(kind) = kinds.find(&opens.kind, opens.version) else {
                let text = format!("this station has no kind {} version {}", opens.kind, opens.version);
                return Ok(Some(refused("unknown_kind", text)));
            };
            if desk.look.tx.unit_closed_at(opens.unit, desk.known())? {
                return Ok(Some(refused(
                    "unit_closed",
                    "its unit takes no new records: open it in another".into(),
                )));
            }
            let opening = Opening {
                opens: opens.clone(),
                book: author.book,
                user: author.user,
                at: change.at,
            };
            let state = RecordState::open(change.record, opening, kind, desk.look.received);
            desk.led_to(state.state.clone());
            desk.state = Some(state);
            desk.unopened = None;
        }
    }
    let states = desk.states()?;
    let Some(state) = &desk.state else { return Ok(None) };
    if !desk.might_hold(state)? {
        return Ok(Some(refused("out_of_scope", "the record's unit is not the author's".into())));
    }
    let kind = kinds.kind_of(state)?;
    let whos = desk.whos_since(state)?;
    if change.opens.is_some() && !policy::writes(&whos) {
        return Ok(Some(refused("forbidden", "no role of its author writes records".into())));
    }
    if states.iter().any(|state| workflow::may_write(kind, state, &whos)) {
        Ok(None)
    } else {
        Ok(Some(refused(
            "forbidden",
            format!("its author may not write in state {}", state.state),
        )))
    }
}

/// Whether the change stands under a mark of its author's, has all that it builds on, and passes the guard.
fn sound(
    desk: &mut Desk<'_>,
    document: DocumentName,
    change: &ChangeEntry,
    envelope: &Envelope,
) -> Result<Verdict, StationError> {
    let (actor, book) = (envelope.actor, desk.look.author.book);
    if !desk.bound.contains(&actor) && desk.look.tx.is_foreign(actor, book)? {
        return Ok(refused(
            "foreign_actor",
            "the author mark belongs to a book of somebody else".into(),
        ));
    }
    if let Some(verdict) = desk.missing(document, &envelope.deps)? {
        return Ok(verdict);
    }
    let incoming = Incoming {
        bytes: &change.change,
        settles: change.settles == Some(true),
        actors: None,
    };
    desk.try_change(document, envelope, &incoming)
}
