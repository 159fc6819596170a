//! An act: judged by the state it meets, whether its author brings it or somebody gives it back for him. Findings on the facts never
//! refuse it: they flag the record for the chief.

use beatbook_protocol::entry::ActEntry;
use beatbook_protocol::id::Hash;
use beatbook_protocol::kind::workflow::{self, Misfit};
use beatbook_protocol::kind::{CheckedKind, DocumentName, Judgement, Who};
use beatbook_protocol::limits::ACT_BYTES_MAX;
use beatbook_protocol::wire::Verdict;

use super::desk::{Desk, refused, verdict_of_unopened};
use super::merge::{self, Others};
use crate::destruction::Destroyed;
use crate::error::StationError;
use crate::projection::record::{ActEffect, RecordState};

/// Judges an act.
pub(super) fn judge(desk: &mut Desk<'_>, entry: Hash, act: &ActEntry) -> Result<Verdict, StationError> {
    if act.on_behalf.is_some() {
        return Ok(refused("forbidden", "a phone acts for nobody else".into()));
    }
    if let Some(verdict) = unfit(act) {
        return Ok(verdict);
    }
    let Some(state) = desk.state.clone() else {
        return Ok(match &desk.unopened {
            Some(unopened) => verdict_of_unopened(unopened),
            None => refused("unknown_record", "no change has opened this record".into()),
        });
    };
    if !desk.might_hold(&state)? {
        return Ok(refused("out_of_scope", "the record's unit is not the author's".into()));
    }
    // Of a private document that is destroyed nobody asks for more than that it was there.
    let is_gone = act.private_heads.is_some() && Destroyed::of(desk.look.tx, desk.id)?.private;
    let private = act.private_heads.as_deref().filter(|_| !is_gone).unwrap_or_default();
    for (name, heads) in [(DocumentName::Facts, act.heads.as_slice()), (DocumentName::Private, private)] {
        if heads.is_empty() {
            continue;
        }
        if let Some(verdict) = desk.missing(name, heads)? {
            return Ok(verdict);
        }
    }
    let kind = desk.look.kinds.kind_of(&state)?;
    let whos = desk.whos(&state)?;
    Ok(match rule(kind, &state, act, &whos, desk)? {
        Ok((effect, verdict)) => take(desk, entry, act, &effect, verdict),
        Err(verdict) => verdict,
    })
}

/// Why an act is refused, whatever the record: it says more than one may, or that its author saw nothing of the record, which would make
/// nothing the official word when it pins.
pub(crate) fn unfit(act: &ActEntry) -> Option<Verdict> {
    if act.said_bytes() > ACT_BYTES_MAX {
        return Some(refused(
            "too_large",
            "comment and values are longer than an act may be".into(),
        ));
    }
    let text = "an act names the changes of the record that its author saw";
    act.heads.is_empty().then(|| refused("malformed", text.into()))
}

/// What an act does to a record in this state, done by somebody who is this, and the verdict on it; else why it is not taken in. It is
/// remembered for the acts judged after it.
pub(crate) fn rule(
    kind: &CheckedKind,
    state: &RecordState,
    act: &ActEntry,
    whos: &[Who],
    others: &mut impl Others,
) -> Result<Result<(ActEffect, Verdict), Verdict>, StationError> {
    let offered = match workflow::judge(kind, &state.state, &act.code, whos) {
        Judgement::Accepted { .. } => false,
        Judgement::OfferSupplement => true,
        Judgement::Repeat => return Ok(Ok((ActEffect::Nothing, Verdict::Accepted))),
        Judgement::Returned { state_met } => {
            return Ok(Err(Verdict::Refused {
                code: "state_met".into(),
                text: format!("the record is in state {state_met}"),
                state_met: Some(state_met),
            }));
        }
        Judgement::Forbidden => return Ok(Err(refused("forbidden", format!("its author may not do {}", act.code)))),
        Judgement::UnknownAct => return Ok(Err(refused("unknown_act", format!("the kind has no act {}", act.code)))),
    };
    if let Some(fault) = kind
        .act(&act.code)
        .and_then(|rule| workflow::check_comment(rule, act.comment.as_deref()))
    {
        let code = if fault.code == "required" {
            "comment_required"
        } else {
            "too_large"
        };
        return Ok(Err(refused(code, fault.message.en)));
    }
    let misfit = kind
        .act(&act.code)
        .and_then(|rule| workflow::check_values(rule, act.values.as_deref().unwrap_or_default()));
    match misfit {
        None => {}
        Some(Misfit::Unknown(name)) => {
            return Ok(Err(refused(
                "unknown_field",
                format!("the act {} takes no value {name}", act.code),
            )));
        }
        Some(Misfit::Value(name, why)) => {
            return Ok(Err(refused(
                "wrong_type",
                format!("the value {name} of the act {}: {}", act.code, why.en),
            )));
        }
    }
    if let Some(verdict) = merge::fault(others, kind, act)? {
        return Ok(Err(verdict));
    }
    merge::remember(others, act);
    let effect = ActEffect::of(kind, &state.state, &act.code, offered);
    Ok(Ok((effect, if offered { Verdict::Offered } else { Verdict::Accepted })))
}

fn take(desk: &mut Desk<'_>, entry: Hash, act: &ActEntry, effect: &ActEffect, verdict: Verdict) -> Verdict {
    let received = desk.look.received;
    if let Some(state) = &mut desk.state {
        state.take_act(effect, entry, &act.heads, act.at, received);
        let led_to = state.state.clone();
        desk.led_to(led_to);
        desk.touched = true;
    }
    verdict
}
