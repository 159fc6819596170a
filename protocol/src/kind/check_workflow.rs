//! The rules that a kind's workflow keeps: every name is a state, every state is reached, and what is pinned or settled is so by each act.

use std::collections::BTreeSet;

use super::check::{Among, Checker, Fault, join};
use super::expression::Scope;
use super::lines::Step::{self, At, Key};
use super::model::{ActRule, State, Who, Workflow};
use super::parse::KindFault;

/// Checks the workflow of the checker's kind.
pub(super) fn check(checker: &mut Checker<'_>) -> Result<(), Fault> {
    let kind = checker.kind;
    let workflow = &kind.workflow;
    states(checker, workflow)?;
    acts(checker, workflow)?;
    clocks(checker, workflow)?;
    reachable(checker, workflow)
}

fn states(checker: &Checker<'_>, workflow: &Workflow) -> Result<(), Fault> {
    let mut codes = BTreeSet::new();
    for (index, state) in workflow.states.iter().enumerate() {
        let way = [Key("workflow"), Key("state"), At(index)];
        checker.once(&mut codes, "state", &state.code, &join(&way, "code"))?;
        checker.label(&state.label, &join(&way, "label"))?;
    }
    known(checker, workflow, &workflow.initial, &[Key("workflow"), Key("initial")]).map(|_| ())
}

fn acts<'k>(checker: &mut Checker<'k>, workflow: &'k Workflow) -> Result<(), Fault> {
    let kind = checker.kind;
    let mut codes = BTreeSet::new();
    for (index, act) in workflow.acts.iter().enumerate() {
        let way = [Key("workflow"), Key("act"), At(index)];
        checker.once(&mut codes, "act", &act.code, &join(&way, "code"))?;
        checker.label(&act.label, &join(&way, "label"))?;
        if act.from.is_empty() {
            return checker.fault(&way, KindFault::Missing("from"));
        }
        if act.by.is_empty() {
            return checker.fault(&way, KindFault::Missing("by"));
        }
        moves(checker, workflow, act, &way)?;
        meets(checker, workflow, act, &way)?;
        checker.fields(&act.fields, &way, Among::Values(&act.fields))?;
        let scope = Scope {
            kind,
            this: None,
            item: None,
            act: Some(&act.fields),
        };
        checker.rules(&act.requires, &join(&way, "requires"), scope)?;
    }
    Ok(())
}

/// Where an act leads from and to; who leads out of settled states; what is pinned on the way.
fn moves(checker: &Checker<'_>, workflow: &Workflow, act: &ActRule, way: &[Step<'_>]) -> Result<(), Fault> {
    let to = match &act.to {
        Some(code) => Some(known(checker, workflow, code, &join(way, "to"))?),
        None => None,
    };
    let mut seen = BTreeSet::new();
    for (index, code) in act.from.iter().enumerate() {
        let way = [way, &[Key("from"), At(index)]].concat();
        let from = known(checker, workflow, code, &way)?;
        if !seen.insert(code) {
            return checker.fault(
                &way,
                KindFault::Duplicate {
                    what: "state in from",
                    code: code.clone(),
                },
            );
        }
        if from.settled && (to.is_some() || act.pins) && act.by != [Who::Chief] {
            return checker.fault(
                &way,
                KindFault::Unsettled {
                    act: act.code.clone(),
                    state: code.clone(),
                },
            );
        }
        let reached = to.unwrap_or(from);
        let enters = reached.pinned && !from.pinned;
        if (enters && !act.pins) || (act.pins && !reached.pinned) {
            return checker.fault(
                &way,
                KindFault::PinsDisagree {
                    act: act.code.clone(),
                    state: reached.code.clone(),
                },
            );
        }
    }
    Ok(())
}

fn meets(checker: &Checker<'_>, workflow: &Workflow, act: &ActRule, way: &[Step<'_>]) -> Result<(), Fault> {
    for code in act.meets.keys() {
        let way = [way, &[Key("meets"), Key(code)]].concat();
        known(checker, workflow, code, &way)?;
        if act.from.contains(code) {
            return checker.fault(
                &way,
                KindFault::Misplaced {
                    what: "a state of from",
                    place: "meets".into(),
                },
            );
        }
    }
    Ok(())
}

fn clocks(checker: &Checker<'_>, workflow: &Workflow) -> Result<(), Fault> {
    let mut codes = BTreeSet::new();
    for (index, clock) in workflow.clocks.iter().enumerate() {
        let way = [Key("workflow"), Key("clock"), At(index)];
        checker.once(&mut codes, "clock", &clock.code, &join(&way, "code"))?;
        checker.label(&clock.label, &join(&way, "label"))?;
        checker.said(&clock.why, "why", &join(&way, "why"))?;
        if clock.minutes == 0 {
            let fault = KindFault::OutOfRange {
                what: "minutes",
                min: 1,
                max: u64::from(u32::MAX),
            };
            return checker.fault(&join(&way, "minutes"), fault);
        }
        if clock.runs_in.is_empty() {
            return checker.fault(&way, KindFault::Missing("runs_in"));
        }
        for (at, code) in clock.runs_in.iter().enumerate() {
            known(checker, workflow, code, &[way.as_slice(), &[Key("runs_in"), At(at)]].concat())?;
        }
    }
    Ok(())
}

fn reachable(checker: &Checker<'_>, workflow: &Workflow) -> Result<(), Fault> {
    let mut reached = BTreeSet::from([workflow.initial.as_str()]);
    loop {
        let before = reached.len();
        for act in &workflow.acts {
            if let Some(to) = &act.to
                && act.from.iter().any(|from| reached.contains(from.as_str()))
            {
                reached.insert(to);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    match workflow
        .states
        .iter()
        .position(|state| !reached.contains(state.code.as_str()))
    {
        None => Ok(()),
        Some(index) => {
            let code = workflow.states[index].code.clone();
            checker.fault(&[Key("workflow"), Key("state"), At(index)], KindFault::Unreachable(code))
        }
    }
}

fn known<'w>(checker: &Checker<'_>, workflow: &'w Workflow, code: &str, way: &[Step<'_>]) -> Result<&'w State, Fault> {
    match workflow.states.iter().find(|state| state.code == code) {
        Some(state) => Ok(state),
        None => checker.fault(
            way,
            KindFault::Unknown {
                what: "state",
                code: code.to_owned(),
            },
        ),
    }
}
