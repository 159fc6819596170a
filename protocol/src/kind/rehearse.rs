//! Expressions of a kind file tried on made-up records before any officer meets them: what cannot be judged on a record where nothing
//! is said yet would fail in the street. Keeps nothing.

use std::collections::BTreeMap;

use super::expression::{Expression, Scope};
use super::judged::{Answer, Evaluator, Judged, RecordContext, UTC_OFFSET_MINUTES, UserContext, field_value, values_map};
use super::model::{Field, FieldType, Kind};
use crate::facts::{Facts, Item, Value};
use crate::id::{ItemId, RecordId, UnitId, UserId};
use crate::time::UnixMillis;
use cel::Value as CelValue;

/// Two records of a kind: one where nothing is said, and one with one empty item in every list.
pub(super) struct Rehearsal {
    records: [Evaluator; 2],
}

impl Rehearsal {
    pub(super) fn of(kind: &Kind) -> Self {
        let lists = kind.fields.iter().filter(|field| field.field_type == FieldType::List);
        let one = |field: &Field| {
            (
                field.code.clone(),
                BTreeMap::from([(ItemId::from_bytes([1; 16]), Item::default())]),
            )
        };
        let items = Facts {
            lists: lists.map(one).collect(),
            ..Facts::default()
        };
        Self {
            records: [evaluator(kind, &Facts::default()), evaluator(kind, &items)],
        }
    }

    /// Tries an expression.
    ///
    /// # Errors
    /// When it cannot be judged.
    pub(super) fn run(&self, expression: &Expression, scope: Scope<'_>) -> Result<(), String> {
        let this = scope.this.map(sample);
        let item = scope.item.map(|fields| values_map(fields, |_| None));
        let act = scope.act.map(|fields| values_map(fields, |_| None));
        let more: Vec<(&str, &CelValue)> = [("this", &this), ("item", &item), ("act", &act)]
            .into_iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
            .collect();
        for record in &self.records {
            if let Answer::Fault(why) = record.answer(Some(expression), &more) {
                return Err(format!(
                    "on a record where nothing is said yet, {why}; compare with null first"
                ));
            }
        }
        Ok(())
    }
}

fn evaluator(kind: &Kind, facts: &Facts) -> Evaluator {
    let user = UserId::from_bytes([1; 16]);
    let record = RecordContext {
        id: RecordId::from_bytes([1; 16]),
        state: &kind.workflow.initial,
        unit: UnitId::from_bytes([1; 16]),
        opened_at: NOON,
        opened_by: user,
    };
    Evaluator::of(
        kind,
        &Judged {
            facts,
            private: Some(facts),
            record,
            now: NOON,
            utc_offset_minutes: UTC_OFFSET_MINUTES,
            user: UserContext { id: user, roles: &[] },
        },
    )
}

/// 2026-11-23T04:00:00Z: any time would do.
const NOON: UnixMillis = UnixMillis(1_795_406_400_000);

/// A value of the field's type, as `this` never is null.
fn sample(field: &Field) -> CelValue {
    let code = || Value::from(field.choices.first().map_or("", |choice| choice.code.as_str()));
    let said = |value: Value| {
        let fields = BTreeMap::from([(field.code.clone(), value)]);
        field_value(
            field,
            &Facts {
                fields,
                ..Facts::default()
            },
        )
    };
    match field.field_type {
        FieldType::Text => said(Value::from("text")),
        FieldType::Integer => said(Value::Int(1)),
        FieldType::Decimal => said(Value::Decimal(1.0)),
        FieldType::Boolean => said(Value::Bool(true)),
        FieldType::Date => said(Value::from("2026-11-23")),
        FieldType::Time => said(Value::Int(NOON.0)),
        FieldType::Choice | FieldType::Choices => said(code()),
        FieldType::Place => said(Value::from("geo:39.971743,116.441827;u=12")),
        FieldType::Reference | FieldType::User => said(Value::from(RecordId::from_bytes([1; 16]).to_string())),
        FieldType::Note => CelValue::String("note".to_owned().into()),
        FieldType::List | FieldType::Files | FieldType::Track => field_value(field, &Facts::default()),
    }
}
