//! What an act comes to in the state it meets, and who may do what there. The kind's file says it all; nothing here names a state.

use super::judged::{Evaluator, Judged, values_map};
use super::model::{ActRule, Comment, Kind, Label, Meeting, Who};
use super::parse::CheckedKind;
use super::validate::{Finding, FindingSeverity, judge_rules, judge_values};
use super::values;
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

/// Why an act does not take one of these values: it has no field of that name, or the field is of another type.
#[must_use]
pub fn check_values(act: &ActRule, given: &[(String, Value)]) -> Option<Misfit> {
    given.iter().find_map(|(name, value)| {
        let Some(field) = act.fields.iter().find(|field| field.code == *name) else {
            return Some(Misfit::Unknown(name.clone()));
        };
        let fault = (*value != Value::Null).then(|| values::check(field, value).err())??;
        Some(Misfit::Value(name.clone(), fault.1))
    })
}

/// Why an act does not take a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// It has no field of this name.
    Unknown(String),
    /// The field of this name takes none of the kind: what to say of it.
    Value(String, Label),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::kind::samples::{NOW, judged, kind, plain_visit, put, record_id, short};

    const AUTHOR: &[Who] = &[Who::Author, Who::GridWorker];
    const CHIEF: &[Who] = &[Who::Chief];
    const DEPARTMENT: &[Who] = &[Who::Department];

    /// Walks from the initial state through (act, who, state led to).
    fn walk(kind: &Kind, steps: &[(&str, &[Who], &str)]) {
        let mut state = kind.workflow.initial.clone();
        for (act, who, expected) in steps {
            match judge(kind, &state, act, who) {
                Judgement::Accepted { to, .. } => state = to,
                other => panic!("{} in {state}: {act} is {other:?}", kind.code),
            }
            assert_eq!(state, *expected, "{} after {act}", kind.code);
            assert!(kind.state(&state).is_some());
        }
    }

    #[test]
    fn a_household_lives_from_active_to_archived_and_back() {
        let household = kind("household");
        walk(
            &household,
            &[
                ("comment", AUTHOR, "active"),
                ("merge_into", &[Who::Officer], "merged"),
                ("unmerge", &[Who::Officer], "active"),
                ("archive", &[Who::Officer], "archived"),
                ("reopen", CHIEF, "active"),
            ],
        );
        assert_eq!(judge(&household, "archived", "reopen", &[Who::Officer]), Judgement::Forbidden);
        assert_eq!(judge(&household, "archived", "archive", CHIEF), Judgement::Repeat);
        assert_eq!(
            judge(&household, "merged", "archive", CHIEF),
            Judgement::Returned {
                state_met: "merged".into()
            }
        );
    }

    #[test]
    fn a_request_is_examined_and_answered_or_refused_with_a_ground_and_may_be_taken_up_again() {
        let request = kind("request");
        walk(
            &request,
            &[
                ("comment", AUTHOR, "received"),
                ("examine", AUTHOR, "examining"),
                ("answer", CHIEF, "answered"),
                ("close", &[Who::Officer], "closed"),
                ("reopen", CHIEF, "examining"),
                ("refuse", CHIEF, "refused"),
                ("close", CHIEF, "closed"),
            ],
        );
        for act in ["answer", "refuse"] {
            assert_eq!(judge(&request, "examining", act, &[Who::Officer]), Judgement::Forbidden);
        }
        let refusal = request.act("refuse").unwrap();
        assert!(check_comment(refusal, None).is_some(), "who asked is told why");
        let clock = request.workflow.clocks.iter().find(|clock| clock.code == "answer").unwrap();
        assert_eq!((clock.runs_in.len(), clock.minutes), (2, 21 * 24 * 60));
    }

    #[test]
    fn a_quick_visit_is_finish_and_submit() {
        walk(
            &kind("visit"),
            &[
                ("finish", AUTHOR, "done"),
                ("submit", AUTHOR, "submitted"),
                ("approve", CHIEF, "approved"),
            ],
        );
    }

    #[test]
    fn a_visit_goes_through_all_its_states_and_returns() {
        walk(
            &kind("visit"),
            &[
                ("attempt", AUTHOR, "attempted"),
                ("attempt", AUTHOR, "attempted"),
                ("refuse", AUTHOR, "refused"),
                ("mark_moved", AUTHOR, "moved"),
                ("submit", AUTHOR, "submitted"),
                ("supplement", CHIEF, "submitted"),
                ("return", CHIEF, "returned"),
                ("withdraw", CHIEF, "submitted"),
                ("return", CHIEF, "returned"),
                ("submit", AUTHOR, "submitted"),
                ("approve", CHIEF, "approved"),
                ("supplement", CHIEF, "approved"),
                ("withdraw", CHIEF, "submitted"),
                ("approve", CHIEF, "approved"),
                ("reopen", CHIEF, "returned"),
                ("submit", AUTHOR, "submitted"),
            ],
        );
    }

    #[test]
    fn acts_are_judged_by_the_state_they_meet() {
        let visit = kind("visit");
        let submit = |state| judge(&visit, state, "submit", AUTHOR);
        assert_eq!(
            submit("done"),
            Judgement::Accepted {
                to: "submitted".into(),
                pins: true
            }
        );
        assert_eq!(submit("submitted"), Judgement::OfferSupplement);
        assert_eq!(submit("approved"), Judgement::OfferSupplement);
        assert_eq!(submit("due"), Judgement::Returned { state_met: "due".into() });
        assert_eq!(
            submit("of_a_later_version"),
            Judgement::Returned {
                state_met: "of_a_later_version".into()
            }
        );
        assert_eq!(judge(&visit, "approved", "approve", CHIEF), Judgement::Repeat);
        assert_eq!(
            judge(&visit, "approved", "supplement", CHIEF),
            Judgement::Accepted {
                to: "approved".into(),
                pins: true
            }
        );
        assert_eq!(judge(&visit, "submitted", "approve", AUTHOR), Judgement::Forbidden);
        // Who may not act does not learn the state either.
        assert_eq!(judge(&visit, "approved", "approve", AUTHOR), Judgement::Forbidden);
        assert_eq!(judge(&visit, "submitted", "bless", CHIEF), Judgement::UnknownAct);
        assert_eq!(judge(&visit, "submitted", "submit", &[]), Judgement::Forbidden);
    }

    #[test]
    fn a_returned_patrol_is_explained_and_never_walked_again() {
        let patrol = kind("patrol");
        walk(
            &patrol,
            &[
                ("pause", AUTHOR, "paused"),
                ("resume", AUTHOR, "started"),
                ("pause", AUTHOR, "paused"),
                ("end", AUTHOR, "ended"),
                ("submit", AUTHOR, "submitted"),
                ("return", CHIEF, "returned"),
                ("explain", AUTHOR, "submitted"),
                ("approve", CHIEF, "approved"),
                ("reopen", CHIEF, "returned"),
                ("withdraw", CHIEF, "submitted"),
            ],
        );
        let mut reached = vec!["returned".to_owned()];
        let mut next = 0;
        while let Some(state) = reached.get(next).cloned() {
            next += 1;
            for act in &patrol.workflow.acts {
                if let Judgement::Accepted { to, .. } = judge(&patrol, &state, &act.code, &Who::ALL)
                    && !reached.contains(&to)
                {
                    reached.push(to);
                }
            }
        }
        reached.sort_unstable();
        assert_eq!(reached, ["approved", "returned", "submitted"]);
        let explain = patrol.act("explain").unwrap();
        assert_eq!(check_comment(explain, None).unwrap().code, "required");
    }

    #[test]
    fn an_incident_goes_from_draft_to_evaluated_with_every_return() {
        walk(
            &kind("incident"),
            &[
                ("report", AUTHOR, "reported"),
                ("follow_up", AUTHOR, "reported"),
                ("decline", CHIEF, "declined"),
                ("withdraw", CHIEF, "reported"),
                ("decline", CHIEF, "declined"),
                ("report", AUTHOR, "reported"),
                ("accept", CHIEF, "accepted"),
                ("dispatch", CHIEF, "dispatched"),
                ("recall", CHIEF, "accepted"),
                ("dispatch", CHIEF, "dispatched"),
                ("refuse", DEPARTMENT, "refused"),
                ("dispatch", CHIEF, "dispatched"),
                ("sign_for", DEPARTMENT, "signed_for"),
                ("start_handling", DEPARTMENT, "handling"),
                ("request_extension", DEPARTMENT, "extension_requested"),
                ("deny", CHIEF, "handling"),
                ("request_extension", DEPARTMENT, "extension_requested"),
                ("grant", CHIEF, "handling"),
                ("feed_back", DEPARTMENT, "fed_back"),
                ("return", CHIEF, "handling"),
                ("feed_back", DEPARTMENT, "fed_back"),
                ("final_report", AUTHOR, "fed_back"),
                ("verify", CHIEF, "verified"),
                ("close", CHIEF, "closed"),
                ("reopen", CHIEF, "reopened"),
                ("start_handling", DEPARTMENT, "handling"),
                ("feed_back", DEPARTMENT, "fed_back"),
                ("verify", CHIEF, "verified"),
                ("close", CHIEF, "closed"),
                ("evaluate", CHIEF, "evaluated"),
                ("supplement", CHIEF, "evaluated"),
                ("reopen", CHIEF, "reopened"),
            ],
        );
    }

    #[test]
    fn from_the_first_report_on_everything_is_pinned() {
        for (code, open) in [("visit", 5), ("patrol", 3), ("incident", 1), ("household", 3), ("request", 5)] {
            let kind = kind(code);
            assert_eq!(
                kind.workflow.states.iter().filter(|state| !state.pinned).count(),
                open,
                "{code}"
            );
            for act in &kind.workflow.acts {
                for from in &act.from {
                    let Judgement::Accepted { to, .. } = judge(&kind, from, &act.code, &act.by) else {
                        panic!("{}", act.code)
                    };
                    let pinned = |state: &str| kind.state(state).unwrap().pinned;
                    assert!(
                        pinned(&to) || !pinned(from),
                        "{code}: {} leads out of what is pinned",
                        act.code
                    );
                }
            }
        }
    }

    #[test]
    fn nobody_but_the_chief_leads_out_of_settled_states_or_writes_in_them() {
        let others: Vec<Who> = Who::ALL.into_iter().filter(|who| *who != Who::Chief).collect();
        for code in ["household", "visit", "patrol", "incident", "request"] {
            let kind = kind(code);
            for state in kind.workflow.states.iter().filter(|state| state.settled) {
                for act in &kind.workflow.acts {
                    match judge(&kind, &state.code, &act.code, &others) {
                        Judgement::Accepted { to, pins } => assert!(to == state.code && !pins, "{code}: {}", act.code),
                        Judgement::Repeat
                        | Judgement::OfferSupplement
                        | Judgement::Returned { .. }
                        | Judgement::Forbidden
                        | Judgement::UnknownAct => {}
                    }
                }
                assert!(!may_write(&kind, &state.code, &others));
                assert!(acts_open(&kind, &state.code, CHIEF).iter().any(|act| act.code == "reopen"));
            }
        }
    }

    #[test]
    fn facts_may_still_be_written_after_submitting() {
        let visit = kind("visit");
        assert!(
            may_write(&visit, "due", AUTHOR) && may_write(&visit, "submitted", AUTHOR) && may_write(&visit, "returned", AUTHOR)
        );
        assert!(!may_write(&visit, "approved", AUTHOR) && !may_write(&visit, "due", &[Who::Auditor, Who::Admin]));
        assert!(!may_write(&visit, "no_such_state", &Who::ALL));
    }

    #[test]
    fn a_screen_offers_the_acts_that_are_open() {
        let visit = kind("visit");
        let open = |state, whos| -> Vec<String> {
            acts_open(&visit, state, whos)
                .into_iter()
                .map(|act| act.code.clone())
                .collect()
        };
        assert_eq!(open("due", AUTHOR), ["attempt", "finish", "refuse", "mark_moved", "comment"]);
        assert_eq!(open("submitted", CHIEF), ["approve", "return", "supplement", "comment"]);
        assert_eq!(open("approved", AUTHOR), ["comment"]);
        assert_eq!(open("due", &[Who::Auditor]), Vec::<String>::new());
    }

    #[test]
    fn a_user_is_author_only_of_what_he_opened() {
        assert_eq!(
            whos(&[Who::Officer, Who::GridWorker], true),
            [Who::Author, Who::GridWorker, Who::Officer]
        );
        assert_eq!(whos(&[Who::Author, Who::Officer, Who::Officer], false), [Who::Officer]);
        assert_eq!(Who::ALL.map(|who| Who::from_code(who.code())), Who::ALL.map(Some));
        assert_eq!(Who::from_code("mayor"), None);
        for who in Who::ALL {
            assert_eq!(serde_json::to_value(who).unwrap(), who.code());
        }
    }

    #[test]
    fn an_act_is_checked_with_its_comment_values_and_rules() {
        let household = kind("household");
        let facts = Facts::default();
        let judged = judged(&facts, None, "active");
        let merge = household.act("merge_into").unwrap();
        let target = |id: u8| vec![("target".to_owned(), Value::from(record_id(id).to_string()))];
        let found = |values: &[(String, Value)]| check_act(&household, merge, ActGiven { comment: None, values }, &judged);
        assert_eq!(found(&target(2)), []);
        assert_eq!(short(&found(&[])), [("values/target", "required", FindingSeverity::Error)]);
        assert_eq!(short(&found(&[("target".into(), Value::from("the other"))]))[0].1, "type");
        assert_eq!(
            short(&found(&target(1))),
            [("rules/another_record", "rule:another_record", FindingSeverity::Error)]
        );

        let archive = household.act("archive").unwrap();
        for (comment, code) in [(None, Some("required")), (Some(" "), Some("required")), (Some("拆迁"), None)] {
            let findings = check_act(&household, archive, ActGiven { comment, values: &[] }, &judged);
            assert_eq!(findings.first().map(|finding| finding.code.as_str()), code);
        }
        assert_eq!(
            check_comment(merge, Some(&"长".repeat(ACT_BYTES_MAX))).unwrap().code,
            "too_long"
        );
    }

    #[test]
    fn an_outcome_and_its_act_agree() {
        let visit = kind("visit");
        let mut facts = plain_visit();
        let found = |facts: &Facts, act: &str| check_requires(&visit, visit.act(act).unwrap(), &judged(facts, None, "due")).len();
        assert_eq!(
            (found(&facts, "finish"), found(&facts, "refuse"), found(&facts, "mark_moved")),
            (0, 1, 1)
        );
        put(&mut facts, "outcome", "not_found");
        assert_eq!(
            (found(&facts, "finish"), found(&facts, "refuse"), found(&facts, "mark_moved")),
            (1, 1, 0)
        );
    }

    #[test]
    fn an_extension_is_asked_for_a_time_to_come() {
        let incident = kind("incident");
        let facts = Facts::default();
        let judged = judged(&facts, None, "handling");
        let act = incident.act("request_extension").unwrap();
        let codes = |until: Value| -> Vec<String> {
            let values = [("until".to_owned(), until)];
            check_act(
                &incident,
                act,
                ActGiven {
                    comment: Some("等待鉴定"),
                    values: &values,
                },
                &judged,
            )
            .into_iter()
            .map(|f| f.code)
            .collect()
        };
        assert_eq!(codes(Value::Int(NOW.0 + 1)), Vec::<String>::new());
        assert_eq!(codes(Value::Int(NOW.0)), ["constraint"]);
        assert_eq!(codes(Value::Null), ["required"]);
    }
}
