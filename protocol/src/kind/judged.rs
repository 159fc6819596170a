//! What is judged, and by whose view: a record's facts, its context, the time in question, the user; and the evaluation of expressions
//! over them. The time is the stamp under judgement, never a clock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map};
use cel::{Context, Env, Value as CelValue};

use super::calendar::Day;
use super::expression::{Expression, PLACE_PARTS};
use super::model::{DocumentName, Field, FieldType, Kind, Who};
use crate::facts::{Facts, Value};
use crate::id::{RecordId, UnitId, UserId};
use crate::limits::{FILES_MAX, LIST_ITEMS_MAX};
use crate::place::Place;
use crate::time::UnixMillis;

/// Minutes east of UTC where a unit names nothing else: Asia/Shanghai, which has no summer time.
pub const UTC_OFFSET_MINUTES: i32 = 8 * 60;

/// A record as it is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The `facts` document.
    pub facts: &'a Facts,
    /// The `private` document; `None` when the one who judges does not hold it (an empty one that he holds is `Some`).
    pub private: Option<&'a Facts>,
    /// The record.
    pub record: RecordContext<'a>,
    /// The time under judgement, as the entry's stamp says.
    pub now: UnixMillis,
    /// Minutes east of UTC in the record's unit; [`UTC_OFFSET_MINUTES`] unless it differs.
    pub utc_offset_minutes: i32,
    /// Whose writing or acting is judged.
    pub user: UserContext<'a>,
}

/// What an expression may know of the record besides its facts.
#[derive(Debug, Clone, Copy)]
pub struct RecordContext<'a> {
    /// The record.
    pub id: RecordId,
    /// The state it is in.
    pub state: &'a str,
    /// The unit it belongs to.
    pub unit: UnitId,
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// Who opened it.
    pub opened_by: UserId,
}

/// What an expression may know of the user.
#[derive(Debug, Clone, Copy)]
pub struct UserContext<'a> {
    /// The user.
    pub id: UserId,
    /// What he is in the record's unit.
    pub roles: &'a [Who],
}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It holds, or not.
    Is(bool),
    /// It reaches a document that is not held.
    Unknown,
    /// It could not be evaluated. The reason is one of a few fixed texts, so that two ends say the same.
    Fault(&'static str),
}

/// A record made ready for expressions.
pub(super) struct Evaluator {
    root: Context<'static, 'static>,
    holds_private: bool,
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl<'a> Judged<'a> {
    /// The facts of a document, when it is held.
    pub(super) const fn document(&self, document: DocumentName) -> Option<&'a Facts> {
        match document {
            DocumentName::Facts => Some(self.facts),
            DocumentName::Private => self.private,
        }
    }
}

impl Evaluator {
    /// Makes the variables of a record.
    pub(super) fn of(kind: &Kind, judged: &Judged<'_>) -> Self {
        let mut root = Context::with_env(Arc::clone(&ENV));
        let offset = judged.utc_offset_minutes;
        root.add_variable_from_value("facts", facts_value(kind, judged));
        root.add_variable_from_value("record", record_value(kind, &judged.record));
        root.add_variable_from_value("user", user_value(&judged.user));
        root.add_variable_from_value("now", judged.now.0);
        root.add_variable_from_value("today", Day::of(judged.now.0, offset).to_string());
        // The names are ours alone, so that declaring them cannot fail; a call to an undeclared one would be a fault of the expression.
        let _ = root.add_function("date_of", move |millis: i64| Day::of(millis, offset).to_string());
        let _ = root.add_function("days_between", |from: Arc<String>, to: Arc<String>| {
            match (Day::parse(&from), Day::parse(&to)) {
                (Some(from), Some(to)) => Ok(from.days_to(to)),
                _ => Err(cel::ExecutionError::function_error("days_between", "not two days")),
            }
        });
        Self {
            root,
            holds_private: judged.private.is_some(),
        }
    }

    /// Evaluates an expression, with further variables (`this`, `item`, `act`).
    pub(super) fn answer(&self, expression: Option<&Expression>, more: &[(&str, &CelValue)]) -> Answer {
        let Some(expression) = expression else {
            return Answer::Fault("it was never compiled");
        };
        if expression.reaches_private() && !self.holds_private {
            return Answer::Unknown;
        }
        let mut scope = self.root.new_inner_scope();
        for (name, value) in more {
            scope.add_variable_from_value(*name, (*value).clone());
        }
        // Expressions are checked and loops bounded; should the interpreter panic all the same, one rule fails and not the phone.
        match catch_unwind(AssertUnwindSafe(|| CelValue::resolve(&expression.ast, &scope))) {
            Ok(Ok(CelValue::Bool(yes))) => Answer::Is(yes),
            Ok(Ok(_)) => Answer::Fault("it gives no yes or no"),
            Ok(Err(error)) => Answer::Fault(fault_of(&error)),
            Err(_) => Answer::Fault("it broke the interpreter"),
        }
    }
}

/// The interpreter's own texts print maps in random order and show values: two ends would differ, and logs would hold names.
fn fault_of(error: &cel::ExecutionError) -> &'static str {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchOverload(_) | E::UnexpectedType { .. } | E::ValuesNotComparable(..) | E::UnsupportedBinaryOperator(..) => {
            "it compares or computes with values of different types, or with null"
        }
        E::DivisionByZero(_) | E::RemainderByZero(_) => "it divides by zero",
        E::Overflow(..) => "a number is too large",
        E::FunctionError { .. } => "a function was given what it cannot take",
        _ => "it cannot be evaluated",
    }
}

fn map(entries: impl Iterator<Item = (String, CelValue)>) -> CelValue {
    CelValue::Map(Map {
        map: Arc::new(entries.map(|(key, value)| (Key::from(key), value)).collect()),
    })
}

fn text(text: impl Into<String>) -> CelValue {
    CelValue::String(Arc::new(text.into()))
}

fn list(values: impl Iterator<Item = CelValue>) -> CelValue {
    CelValue::List(Arc::new(values.collect()))
}

fn record_value(kind: &Kind, record: &RecordContext<'_>) -> CelValue {
    let parts = [
        ("id", text(record.id.to_string())),
        ("kind", text(&kind.code)),
        ("version", CelValue::Int(i64::from(kind.version))),
        ("state", text(record.state)),
        ("unit", text(record.unit.to_string())),
        ("opened_at", CelValue::Int(record.opened_at.0)),
        ("opened_by", text(record.opened_by.to_string())),
    ];
    map(parts.into_iter().map(|(key, value)| (key.to_owned(), value)))
}

fn user_value(user: &UserContext<'_>) -> CelValue {
    let roles = list(user.roles.iter().map(|who| text(who.code())));
    map([("id".to_owned(), text(user.id.to_string())), ("roles".to_owned(), roles)].into_iter())
}

fn facts_value(kind: &Kind, judged: &Judged<'_>) -> CelValue {
    static NOTHING: LazyLock<Facts> = LazyLock::new(Facts::default);
    map(kind.fields.iter().map(|field| {
        let facts = match field.document {
            DocumentName::Facts => judged.facts,
            DocumentName::Private => judged.private.unwrap_or(&NOTHING),
        };
        (field.code.clone(), field_value(field, facts))
    }))
}

pub(super) fn field_value(field: &Field, facts: &Facts) -> CelValue {
    match field.field_type {
        FieldType::List => {
            let items = facts.lists.get(&field.code).into_iter().flatten();
            let there = items.map(|(_, item)| item).filter(|item| !item.removed).take(LIST_ITEMS_MAX);
            list(there.map(|item| values_map(&field.fields, |code| item.fields.get(code))))
        }
        FieldType::Note => match facts.notes.get(&field.code) {
            Some(note) if !note.trim().is_empty() => text(note),
            _ => CelValue::Null,
        },
        FieldType::Files => {
            let files = facts
                .files
                .iter()
                .filter(|(_, file)| !file.removed && file.field == field.code);
            list(files.take(FILES_MAX).map(|(hash, _)| text(hash.to_string())))
        }
        FieldType::Track => CelValue::Int(i64::try_from(facts.track.len()).unwrap_or(i64::MAX)),
        FieldType::Text
        | FieldType::Integer
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Choice
        | FieldType::Choices
        | FieldType::Place
        | FieldType::Reference
        | FieldType::User => scalar_value(field.field_type, facts.fields.get(&field.code)),
    }
}

/// Scalar fields by code, every one there: null where nothing is said.
pub(super) fn values_map<'v>(fields: &[Field], value: impl Fn(&str) -> Option<&'v Value>) -> CelValue {
    map(fields
        .iter()
        .map(|field| (field.code.clone(), scalar_value(field.field_type, value(&field.code)))))
}

/// Whether a value says nothing: absent, cleared, or only spaces.
pub(super) fn says_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_blank() || value.as_text().is_some_and(|text| text.trim().is_empty()))
}

/// A value as expressions see it. What is not of the field's type is null here, and a finding of `validate`.
pub(super) fn scalar_value(field_type: FieldType, value: Option<&Value>) -> CelValue {
    match (field_type, value) {
        (FieldType::Choices, value) => {
            let codes = value.and_then(Value::as_text).unwrap_or_default();
            list(codes.split_whitespace().take(LIST_ITEMS_MAX).map(text))
        }
        (FieldType::Place, Some(Value::Text(uri))) => Place::parse(uri).map_or(CelValue::Null, |place| place_value(&place)),
        (FieldType::Decimal, Some(Value::Decimal(number))) => CelValue::Float(*number),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a whole number in a decimal field; rules compare magnitudes"
        )]
        (FieldType::Decimal, Some(Value::Int(number))) => CelValue::Float(*number as f64),
        (FieldType::Integer | FieldType::Time, Some(Value::Int(number))) => CelValue::Int(*number),
        (FieldType::Boolean, Some(Value::Bool(yes))) => CelValue::Bool(*yes),
        (
            FieldType::Text | FieldType::Date | FieldType::Choice | FieldType::Reference | FieldType::User | FieldType::Note,
            Some(Value::Text(said)),
        ) if !said.trim().is_empty() => text(said),
        _ => CelValue::Null,
    }
}

fn place_value(place: &Place) -> CelValue {
    let values = [
        CelValue::Float(place.lat),
        CelValue::Float(place.lon),
        place.accuracy_m.map_or(CelValue::Null, CelValue::Float),
        place.fixed_at.map_or(CelValue::Null, |at| CelValue::Int(at.0)),
        CelValue::Bool(place.is_mock),
    ];
    map(PLACE_PARTS.into_iter().map(str::to_owned).zip(values))
}
