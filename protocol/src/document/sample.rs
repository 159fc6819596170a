//! A kind for tests of documents, with a field of every sort. Stands for no real kind.

use crate::id::{ActorId, Hash, ItemId};
use crate::kind::{DocumentName, Field, FieldType, Kind, Label, Retention, Workflow};

fn label(text: &str) -> Label {
    Label {
        zh: text.into(),
        en: text.into(),
    }
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
        why_not_private: None,
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
        retention: Retention {
            days: 1,
            private_days: None,
            why: "tests".into(),
        },
        title: vec!["purpose".into()],
        duplicate_key: Vec::new(),
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
        workflow: Workflow {
            initial: "draft".into(),
            states: vec![],
            acts: vec![],
            clocks: vec![],
        },
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

/// The shape of the sample kind's facts.
pub(crate) fn shape() -> super::Shape {
    super::Shape::of(&kind(), DocumentName::Facts).unwrap()
}

/// An empty document of the sample kind's facts.
pub(crate) fn document(number: u8) -> super::Document {
    super::Document::begin(&shape(), actor(number))
}

/// A copy of a document as it is on another phone.
pub(crate) fn copy(document: &super::Document, number: u8) -> super::Document {
    super::Document::open_as(document.shape(), actor(number), Some(&document.save()), &[] as &[&[u8]]).unwrap()
}

/// Writes an edit at a time that says nothing.
pub(crate) fn edit(document: &mut super::Document, edit: super::Edit) -> super::Change {
    document.edit(&edit, crate::time::UnixMillis(1_700_000_000_000)).unwrap()
}

/// Hands changes to a document through the guard, with any author mark, marked as they are.
pub(crate) fn receive(document: &mut super::Document, changes: &[&super::Change]) {
    use super::guard;
    let incoming: Vec<_> = changes
        .iter()
        .map(|change| guard::Incoming {
            bytes: &change.bytes,
            settles: change.settles,
            actors: None,
        })
        .collect();
    let report = guard::check(document, &incoming, guard::Unknown::Refuse);
    for (change, outcome) in changes.iter().zip(report.outcomes) {
        assert_eq!(outcome, guard::Outcome::Admitted { hash: change.hash });
    }
    *document = report.document;
}
