//! What an act comes to in the state it meets, and who may do what there. The kind's file says it all; nothing here names a state.

use super::judged::{Evaluator, Judged, values_map};
use super::model::{ActRule, Comment, Kind, Meeting, Who};
use super::parse::CheckedKind;
use super::validate::{Finding, FindingSeverity, judge_rules, judge_values};
use crate::facts::Value;
use crate::limits::ACT_BYTES_MAX;

/// What an act comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is done.
    Accepted {
        /// The state it leads to; the state met when it leads nowhere.
        to: String,
        /// Whether it pins the facts as the official view.
        pins: bool,
    },
    /// It was done already; done again it changes nothing.
    Repeat,
    /// It becomes an offer that the chief may take in by a supplement.
    OfferSupplement,
    /// It comes back to its author with the state it met.
    Returned {
        /// That state.
        state_met: String,
    },
    /// He may not do it.
    Forbidden,
    /// The kind has no such act.
    UnknownAct,
}

/// What goes with an act besides its code.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActGiven<'a> {
    /// The comment.
    pub comment: Option<&'a str>,
    /// The values by name.
    pub values: &'a [(String, Value)],
}

/// What a user is for a record: his roles in its unit, and its author if he opened it. Sorted, each once.
#[must_use]
pub fn whos(roles: &[Who], opened_it: bool) -> Vec<Who> {
    // Author is a relation to one record, never a role that somebody could be given for all.
    let mut whos: Vec<Who> = roles.iter().copied().filter(|who| *who != Who::Author).collect();
    if opened_it {
        whos.push(Who::Author);
    }
    whos.sort_unstable();
    whos.dedup();
    whos
}

/// Judges an act by the state it meets and by who does it.
#[must_use]
pub fn judge(kind: &Kind, state: &str, act: &str, whos: &[Who]) -> Judgement {
    let Some(rule) = kind.act(act) else {
        return Judgement::UnknownAct;
    };
    if !may(&rule.by, whos) {
        return Judgement::Forbidden;
    }
    if rule.from.iter().any(|from| from == state) {
        return Judgement::Accepted {
            to: rule.to.clone().unwrap_or_else(|| state.to_owned()),
            pins: rule.pins,
        };
    }
    match rule.meets.get(state) {
        Some(Meeting::Repeat) => Judgement::Repeat,
        Some(Meeting::OfferSupplement) => Judgement::OfferSupplement,
        Some(Meeting::Return) | None => Judgement::Returned {
            state_met: state.to_owned(),
        },
    }
}

/// Whether facts may be written in this state by one who is all of these.
#[must_use]
pub fn may_write(kind: &Kind, state: &str, whos: &[Who]) -> bool {
    kind.state(state).is_some_and(|state| may(&state.writers, whos))
}

/// The acts that one who is all of these may do in this state, in the kind's order.
#[must_use]
pub fn acts_open<'k>(kind: &'k Kind, state: &str, whos: &[Who]) -> Vec<&'k ActRule> {
    let open = |act: &&ActRule| may(&act.by, whos) && act.from.iter().any(|from| from == state);
    kind.workflow.acts.iter().filter(open).collect()
}

/// What an act requires and does not find: its comment, its values, its rules over the facts. `judged.record.state` is the state met.
///
/// Required fields of the record are another matter: `validate` judges them when an act pins.
#[must_use]
pub fn check_act(kind: &CheckedKind, act: &ActRule, given: ActGiven<'_>, judged: &Judged<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = check_comment(act, given.comment).into_iter().collect();
    let value = |code: &str| given.values.iter().find(|(name, _)| name == code).map(|(_, value)| value);
    let act_value = values_map(&act.fields, value);
    let evaluator = Evaluator::of(kind, judged);
    judge_values(
        kind,
        &evaluator,
        &act.fields,
        value,
        "values",
        &[("act", &act_value)],
        &mut findings,
    );
    judge_rules(kind, &evaluator, &act.requires, &[("act", &act_value)], &mut findings);
    findings
}

/// What an act's rules over the facts find, when it carries no values.
#[must_use]
pub fn check_requires(kind: &CheckedKind, act: &ActRule, judged: &Judged<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let act_value = values_map(&act.fields, |_| None);
    judge_rules(
        kind,
        &Evaluator::of(kind, judged),
        &act.requires,
        &[("act", &act_value)],
        &mut findings,
    );
    findings
}

/// Whether an act that needs a comment has none, or has one that is too long.
#[must_use]
pub fn check_comment(act: &ActRule, comment: Option<&str>) -> Option<Finding> {
    let blank = comment.is_none_or(|comment| comment.trim().is_empty());
    if blank && act.comment == Comment::Required {
        let message = Finding::label("请说明理由", "say why");
        return Some(Finding {
            path: "comment".into(),
            code: "required".into(),
            severity: FindingSeverity::Error,
            message,
        });
    }
    if comment.is_some_and(|comment| comment.len() > ACT_BYTES_MAX) {
        let message = Finding::label("说明过长", "the comment is too long");
        return Some(Finding {
            path: "comment".into(),
            code: "too_long".into(),
            severity: FindingSeverity::Error,
            message,
        });
    }
    None
}

fn may(allowed: &[Who], whos: &[Who]) -> bool {
    whos.iter().any(|who| allowed.contains(who))
}
