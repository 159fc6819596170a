//! What a form shows of a record at a moment: which fields matter and which must be filled. Screens ask here, so that no app evaluates an
//! expression of its own.

use cel::Value as CelValue;

use super::judged::{Answer, Evaluator, Judged, values_map};
use super::model::{ActRule, DocumentName, Field, FieldType};
use super::parse::CheckedKind;
use crate::facts::Value;

/// One field as a form shows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldNow {
    /// Its code; of a field of an item its place, as findings have it (`lists/CODE/ITEM/FIELD`).
    pub code: String,
    /// Whether it is to be shown: an irrelevant field is not judged, whatever it says.
    pub is_relevant: bool,
    /// Whether it must be filled before the record is handed in.
    pub is_required: bool,
}

/// The fields in the kind's order. What cannot be judged here, since it reaches a document that is not held or its expression fails, is
/// shown and not required: the station has the last word.
#[must_use]
pub fn form(kind: &CheckedKind, judged: &Judged<'_>) -> Vec<FieldNow> {
    let evaluator = Evaluator::of(kind, judged);
    let now = |field: &Field| now(kind, &evaluator, field, &[]);
    kind.fields.iter().map(now).collect()
}

/// Likewise the fields of the items that are there.
#[must_use]
pub fn item_form(kind: &CheckedKind, judged: &Judged<'_>) -> Vec<FieldNow> {
    let evaluator = Evaluator::of(kind, judged);
    let mut found = Vec::new();
    for list in kind.fields.iter().filter(|field| field.field_type == FieldType::List) {
        let facts = match list.document {
            DocumentName::Facts => Some(judged.facts),
            DocumentName::Private => judged.private,
        };
        let items = facts.and_then(|facts| facts.lists.get(&list.code));
        for (id, item) in items.into_iter().flatten().filter(|(_, item)| !item.removed) {
            let value = values_map(&list.fields, |code| item.fields.get(code));
            found.extend(list.fields.iter().map(|field| {
                let code = format!("lists/{}/{id}/{}", list.code, field.code);
                FieldNow {
                    code,
                    ..now(kind, &evaluator, field, &[("item", &value)])
                }
            }));
        }
    }
    found
}

/// Likewise the fields of an act, with the values that were given so far.
#[must_use]
pub fn act_form(kind: &CheckedKind, act: &ActRule, given: &[(String, Value)], judged: &Judged<'_>) -> Vec<FieldNow> {
    let evaluator = Evaluator::of(kind, judged);
    let value = |code: &str| given.iter().find(|(name, _)| name == code).map(|(_, value)| value);
    let values = values_map(&act.fields, value);
    let now = |field: &Field| now(kind, &evaluator, field, &[("act", &values)]);
    act.fields.iter().map(now).collect()
}

fn now(kind: &CheckedKind, evaluator: &Evaluator, field: &Field, more: &[(&str, &CelValue)]) -> FieldNow {
    let answer = |source: &Option<String>, unsaid: bool| match source {
        None => unsaid,
        Some(source) => match evaluator.answer(kind.expression(source), more) {
            Answer::Is(yes) => yes,
            Answer::Unknown | Answer::Fault(_) => unsaid,
        },
    };
    let is_relevant = answer(&field.relevant, true);
    FieldNow {
        code: field.code.clone(),
        is_relevant,
        is_required: is_relevant && answer(&field.required, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::id::{RecordId, UnitId, UserId};
    use crate::kind::{Catalogue, RecordContext, UTC_OFFSET_MINUTES, UserContext, Who};
    use crate::time::UnixMillis;

    fn visit_form(facts: &Facts) -> Vec<FieldNow> {
        let kinds = Catalogue::builtin().unwrap();
        let kind = kinds.newest("visit").unwrap();
        let judged = Judged {
            facts,
            private: None,
            record: RecordContext {
                id: RecordId::from_bytes([1; 16]),
                state: &kind.workflow.initial,
                unit: UnitId::from_bytes([2; 16]),
                opened_at: UnixMillis(0),
                opened_by: UserId::from_bytes([3; 16]),
            },
            now: UnixMillis(0),
            utc_offset_minutes: UTC_OFFSET_MINUTES,
            user: UserContext {
                id: UserId::from_bytes([3; 16]),
                roles: &[Who::Author],
            },
        };
        form(kind, &judged)
    }

    #[test]
    fn what_is_shown_and_required_follows_what_was_typed() {
        let at = |facts: &Facts, code: &str| {
            let found = visit_form(facts).into_iter().find(|field| field.code == code).unwrap();
            (found.is_relevant, found.is_required)
        };
        let (mut done, mut moved) = (Facts::default(), Facts::default());
        done.fields.insert("outcome".into(), "done".into());
        moved.fields.insert("outcome".into(), "moved".into());
        let differing: Vec<String> = visit_form(&done)
            .into_iter()
            .zip(visit_form(&moved))
            .filter(|(one, other)| one != other)
            .map(|(one, _)| one.code)
            .collect();
        assert!(!differing.is_empty(), "the outcome of a visit decides what else is asked");
        for code in differing {
            assert_ne!(at(&done, &code), at(&moved, &code));
        }
        assert_eq!(at(&Facts::default(), "outcome"), (true, true));
    }
}
