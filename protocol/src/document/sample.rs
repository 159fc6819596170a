//! A kind for tests of documents, with a field of every sort. Stands for no real kind.

use crate::id::{ActorId, Hash, ItemId};
use crate::kind::{DocumentName, Field, FieldType, Kind, Label, Retention, Workflow};

fn label(text: &str) -> Label {
    Label { zh: text.into(), en: text.into() }
}

fn field(code: &str, field_type: FieldType) -> Field {
    Field {
        code: code.into(),
        label: label(code),
        hint: None,
        field_type,
        document: DocumentName::Facts,
        relevant: None,
        required: None,
        constraint: None,
        constraint_message: None,
        choices: vec![],
        chars_max: None,
        kind: None,
        fields: vec![],
        sensitivity: 0,
        purpose: "tests".into(),
        carries_over: false,
        searchable: false,
    }
}

/// A kind with a field of every sort.
pub(crate) fn kind() -> Kind {
    let mut people = field("people_met", FieldType::List);
    people.fields = vec![field("name", FieldType::Text), field("age", FieldType::Integer)];
    let mut id_number = field("id_number", FieldType::Text);
    id_number.document = DocumentName::Private;
    let mut session = field("session", FieldType::Note);
    session.document = DocumentName::Private;
    Kind {
        code: "sample".into(),
        version: 1,
        label: label("sample"),
        purpose: "tests".into(),
        legal_basis: "none".into(),
        retention: Retention { days: 1, why: "tests".into() },
        title: vec!["purpose".into()],
        fields: vec![
            field("purpose", FieldType::Text),
            field("visits", FieldType::Integer),
            field("share", FieldType::Decimal),
            field("urgent", FieldType::Boolean),
            field("day", FieldType::Date),
            field("where", FieldType::Place),
            field("summary", FieldType::Note),
            people,
            field("photos", FieldType::Files),
            field("track", FieldType::Track),
            id_number,
            session,
        ],
        rules: vec![],
        workflow: Workflow { initial: "draft".into(), states: vec![], acts: vec![], clocks: vec![] },
    }
}

/// An author mark for tests.
pub(crate) fn actor(number: u8) -> ActorId {
    ActorId::from_bytes([number; 16])
}

/// An item id for tests.
pub(crate) fn item(number: u8) -> ItemId {
    ItemId::from_bytes([number; 16])
}

/// A file's hash for tests.
pub(crate) fn file(number: u8) -> Hash {
    Hash::from_bytes([number; 32])
}
