//! Kinds as data: an app draws the form of any kind from this, and knows none.

use std::collections::HashMap;

use beatbook_client_core::protocol::kind::{
    ActRule, CheckedKind, Clock, Comment, DocumentName, Field, FieldNow as CoreFieldNow, FieldType, State,
};
use beatbook_client_core::query::{ActForm as CoreActForm, DraftForm as CoreForm};

use crate::values::{Facts, Label};
use crate::views::Finding;

/// A sort of record, with its form.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct KindForm {
    /// Its code.
    pub code: String,
    /// Its version.
    pub version: u32,
    /// Name for people.
    pub label: Label,
    /// Why these records are kept.
    pub purpose: String,
    /// The fields in the order a form shows them.
    pub fields: Vec<FieldForm>,
    /// The states.
    pub states: Vec<StateForm>,
    /// The acts.
    pub acts: Vec<ActForm>,
    /// What must be done until when.
    pub clocks: Vec<ClockForm>,
}

/// What is written in a field, and by which control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum FieldSort {
    /// A short text.
    Text,
    /// A long text that several people may write in at once.
    Note,
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// Yes or no.
    YesNo,
    /// A day, as `2026-11-23`.
    Date,
    /// A point in time, milliseconds since 1970.
    Time,
    /// One of the choices.
    Choice,
    /// Several of the choices, codes with one space between.
    Choices,
    /// A position, as `geo:39.971743,116.441827;u=12`.
    Place,
    /// Another record.
    Reference,
    /// A member of staff.
    User,
    /// Items with fields of their own.
    Items,
    /// Photos and recordings: see `photos`.
    Files,
    /// The patrol's track: see `patrols`.
    Track,
}

/// One field.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct FieldForm {
    /// Its code.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// Help under the field.
    pub hint: Option<Label>,
    /// What is written in it.
    pub sort: FieldSort,
    /// What there is to choose from.
    pub choices: Vec<ChoiceForm>,
    /// Greatest length of a text in characters.
    pub chars_max: Option<u32>,
    /// Of a reference: the kind referred to.
    pub refers_to: Option<String>,
    /// Whether it may be irrelevant, required or out of bounds by what else is typed: ask `validate` while typing.
    pub depends: bool,
    /// Whether only few may read it.
    pub is_private: bool,
    /// 0 open, 1 internal, 2 personal, 3 sensitive (PIPL art. 28).
    pub sensitivity: u8,
    /// Why it is collected: show it where the law wants the person told.
    pub purpose: String,
    /// Of items: the fields of one.
    pub item_fields: Vec<ItemFieldForm>,
}

/// One field of an item, or of an act.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ItemFieldForm {
    /// Its code.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// Help under the field.
    pub hint: Option<Label>,
    /// What is written in it.
    pub sort: FieldSort,
    /// What there is to choose from.
    pub choices: Vec<ChoiceForm>,
    /// Greatest length of a text in characters.
    pub chars_max: Option<u32>,
    /// Of a reference: the kind referred to.
    pub refers_to: Option<String>,
    /// Whether it must always be filled.
    pub is_required: bool,
    /// Whether it may be irrelevant, required or out of bounds by what else is typed: ask while typing, `validate` about items,
    /// `validate_act` about acts.
    pub depends: bool,
}

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ChoiceForm {
    /// What is written.
    pub code: String,
    /// What people see.
    pub label: Label,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct StateForm {
    /// Its code.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// Whether its author must do something about it.
    pub came_back: bool,
    /// Whether only the chief leads out of it.
    pub settled: bool,
}

/// One act.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ActForm {
    /// Its code.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// Whether a comment must go with it.
    pub needs_comment: bool,
    /// Whether the record must be complete for it.
    pub needs_complete: bool,
    /// Values that go with it.
    pub fields: Vec<ItemFieldForm>,
}

/// Something that must be done until a time.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ClockForm {
    /// Its code.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// The states it runs in.
    pub runs_in: Vec<String>,
    /// Minutes until it runs out.
    pub minutes: u32,
}

/// How a draft stands: what its form shows now.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct DraftForm {
    /// Fields by code.
    pub fields: HashMap<String, FieldNow>,
    /// Fields of the items that are there, by their places as findings have them: `lists/CODE/ITEM/FIELD`.
    pub items: HashMap<String, FieldNow>,
    /// What would be missing or wrong, were it written as it is.
    pub findings: Vec<Finding>,
    /// What the record would say.
    pub facts: Facts,
    /// What its private document would say.
    pub private_facts: Facts,
}

/// How an act stands before it is done: what its form shows now.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ActNow {
    /// Its fields by code.
    pub fields: HashMap<String, FieldNow>,
    /// What would hinder it (`hinders`), and what is worth telling.
    pub findings: Vec<Finding>,
}

/// One field as its form shows it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct FieldNow {
    /// Whether to show it.
    pub is_relevant: bool,
    /// Whether it must be filled before the record is handed in.
    pub is_required: bool,
}

impl From<&CheckedKind> for KindForm {
    fn from(kind: &CheckedKind) -> Self {
        Self {
            code: kind.code.clone(),
            version: kind.version,
            label: kind.label.clone().into(),
            purpose: kind.purpose.clone(),
            fields: kind.fields.iter().map(field).collect(),
            states: kind.workflow.states.iter().map(state).collect(),
            acts: kind.workflow.acts.iter().map(act).collect(),
            clocks: kind.workflow.clocks.iter().map(clock).collect(),
        }
    }
}

impl From<CoreForm> for DraftForm {
    fn from(form: CoreForm) -> Self {
        Self {
            fields: by_place(form.fields),
            items: by_place(form.items),
            findings: form.findings.into_iter().map(Finding::from).collect(),
            facts: form.facts.into(),
            private_facts: form.private.into(),
        }
    }
}

impl From<CoreActForm> for ActNow {
    fn from(form: CoreActForm) -> Self {
        Self {
            fields: by_place(form.fields),
            findings: form.findings.into_iter().map(Finding::from).collect(),
        }
    }
}

fn by_place(fields: Vec<CoreFieldNow>) -> HashMap<String, FieldNow> {
    let now = |field: CoreFieldNow| {
        let now = FieldNow {
            is_relevant: field.is_relevant,
            is_required: field.is_required,
        };
        (field.code, now)
    };
    fields.into_iter().map(now).collect()
}

fn field(field: &Field) -> FieldForm {
    let one = item_field(field);
    FieldForm {
        code: one.code,
        label: one.label,
        hint: one.hint,
        sort: one.sort,
        choices: one.choices,
        chars_max: one.chars_max,
        refers_to: one.refers_to,
        depends: one.depends || one.is_required,
        is_private: field.document == DocumentName::Private,
        sensitivity: field.sensitivity,
        purpose: field.purpose.clone(),
        item_fields: field.fields.iter().map(item_field).collect(),
    }
}

fn item_field(field: &Field) -> ItemFieldForm {
    let choice = |choice: &beatbook_client_core::protocol::kind::Choice| ChoiceForm {
        code: choice.code.clone(),
        label: choice.label.clone().into(),
    };
    let is_required = is_always_required(field);
    ItemFieldForm {
        code: field.code.clone(),
        label: field.label.clone().into(),
        hint: field.hint.clone().map(Label::from),
        sort: sort(field.field_type),
        choices: field.choices.iter().map(choice).collect(),
        chars_max: field.chars_max,
        refers_to: field.kind.clone(),
        is_required: is_required && field.relevant.is_none(),
        depends: field.relevant.is_some() || (field.required.is_some() && !is_required) || field.constraint.is_some(),
    }
}

/// Whether a field must be filled whatever else is typed, where it matters at all.
pub(crate) fn is_always_required(field: &Field) -> bool {
    field.required.as_deref().map(str::trim) == Some("true")
}

const fn sort(field_type: FieldType) -> FieldSort {
    match field_type {
        FieldType::Text => FieldSort::Text,
        FieldType::Note => FieldSort::Note,
        FieldType::Integer => FieldSort::Integer,
        FieldType::Decimal => FieldSort::Decimal,
        FieldType::Boolean => FieldSort::YesNo,
        FieldType::Date => FieldSort::Date,
        FieldType::Time => FieldSort::Time,
        FieldType::Choice => FieldSort::Choice,
        FieldType::Choices => FieldSort::Choices,
        FieldType::Place => FieldSort::Place,
        FieldType::Reference => FieldSort::Reference,
        FieldType::User => FieldSort::User,
        FieldType::List => FieldSort::Items,
        FieldType::Files => FieldSort::Files,
        FieldType::Track => FieldSort::Track,
    }
}

fn state(state: &State) -> StateForm {
    StateForm {
        code: state.code.clone(),
        label: state.label.clone().into(),
        came_back: state.came_back,
        settled: state.settled,
    }
}

fn act(act: &ActRule) -> ActForm {
    ActForm {
        code: act.code.clone(),
        label: act.label.clone().into(),
        needs_comment: act.comment == Comment::Required,
        needs_complete: act.pins,
        fields: act.fields.iter().map(item_field).collect(),
    }
}

fn clock(clock: &Clock) -> ClockForm {
    ClockForm {
        code: clock.code.clone(),
        label: clock.label.clone().into(),
        runs_in: clock.runs_in.clone(),
        minutes: clock.minutes,
    }
}
