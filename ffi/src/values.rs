//! Records as plain values in every language: what is written in one, what is read from one. Rules are the core's.

use std::collections::HashMap;

use beatbook_client_core::protocol::document::{Edit, FieldPath, ItemEdit as CoreItemEdit, Said};
use beatbook_client_core::protocol::facts::{Facts as CoreFacts, Value};
use beatbook_client_core::protocol::id::{ItemId, RecordId};
use beatbook_client_core::protocol::kind::{Finding as CoreFinding, FindingSeverity, Label as CoreLabel};
use beatbook_client_core::query::{
    ActView as CoreAct, Author as CoreAuthor, ConflictView as CoreConflict, RecordRow as CoreRow, RecordView as CoreView,
};

use crate::error::BeatbookError;

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Label {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// One value of a field. Times are `Number` (milliseconds since 1970), dates `Text` (`2026-11-23`), several choices `Text` (codes with one
/// space between), a place `Text` (an RFC 5870 `geo:` URI), a reference or a member of staff `Text` (a UUID).
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum FieldValue {
    /// Cleared: somebody says that there is no value.
    Empty,
    /// Yes or no.
    YesNo {
        /// Which.
        value: bool,
    },
    /// A whole number.
    Number {
        /// The number.
        value: i64,
    },
    /// A decimal number.
    Decimal {
        /// The number.
        value: f64,
    },
    /// Text.
    Text {
        /// The text.
        value: String,
    },
}

/// What somebody wants to write. What equals the record is not written, so a form may hand over all that it shows.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct RecordEdit {
    /// Fields by code.
    pub fields: HashMap<String, FieldValue>,
    /// Items of lists, new or known.
    pub items: Vec<ItemEdit>,
    /// Notes by code, each as its full new text.
    pub notes: HashMap<String, String>,
}

/// An edit of one item of a list.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ItemEdit {
    /// Code of the list.
    pub field: String,
    /// The item; none makes a new one.
    pub item: Option<String>,
    /// Its fields by code.
    pub fields: HashMap<String, FieldValue>,
    /// Takes it out (`true`) or puts it back (`false`).
    pub removed: Option<bool>,
}

/// All that one document of a record says.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct Facts {
    /// Fields by code.
    pub fields: HashMap<String, FieldValue>,
    /// Items of lists.
    pub items: Vec<Item>,
    /// Long texts by code.
    pub notes: HashMap<String, String>,
}

/// One item of a list.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Item {
    /// Code of the list.
    pub field: String,
    /// Its name.
    pub item: String,
    /// Whether somebody took it out.
    pub removed: bool,
    /// Its fields by code.
    pub fields: HashMap<String, FieldValue>,
}

/// A record in a list.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct RecordRow {
    /// The record.
    pub record: String,
    /// Code of its kind.
    pub kind: String,
    /// Version of its kind.
    pub kind_version: u32,
    /// Code of its state.
    pub state: String,
    /// What it is called.
    pub title: Label,
    /// The record that it is about (the household of a visit).
    pub about: Option<String>,
    /// When it was opened, milliseconds since 1970.
    pub opened_at: i64,
    /// Time of its newest change or act.
    pub updated_at: i64,
    /// Its fields, those of the private document left out.
    pub fields: HashMap<String, FieldValue>,
    /// Opaque: what an act takes.
    pub version: String,
    /// Entries that the station has not answered.
    pub waiting: u32,
    /// Entries that it refused and nobody has dealt with.
    pub refused: u32,
    /// Places with conflicting values.
    pub conflicts: u32,
    /// Whether it came back to this user.
    pub came_back: bool,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct RecordPage {
    /// The rows, the latest first.
    pub rows: Vec<RecordRow>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}

/// Who wrote something.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Author {
    /// The person, if the station has named him.
    pub user: Option<String>,
    /// His name.
    pub name: String,
}

/// One thing that a record does not hold to.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Finding {
    /// Where: `fields/outcome`, `lists/people_met/ITEM/name`, `notes/summary`, `files/photos`, `rules/CODE`, `comment`.
    pub path: String,
    /// What: `required`, `constraint`, `too_long`, `rule:CODE` and others.
    pub code: String,
    /// Whether it hinders acts that need the record complete.
    pub hinders: bool,
    /// What to say to people.
    pub text: Label,
}

/// One act on a record.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ActDone {
    /// Its code.
    pub code: String,
    /// What was said.
    pub comment: Option<String>,
    /// Values that go with it.
    pub values: HashMap<String, FieldValue>,
    /// Who.
    pub by: Author,
    /// When, by his clock.
    pub at: i64,
    /// Whether the station has not answered yet.
    pub is_waiting: bool,
}

/// A place with several values.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Conflict {
    /// The record.
    pub record: String,
    /// The place, as `fields/outcome`: what settling takes.
    pub path: String,
    /// The values, in one order on every phone.
    pub claims: Vec<Claim>,
}

/// One of several values.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Claim {
    /// The value.
    pub value: FieldValue,
    /// Who says so.
    pub by: Author,
    /// When, by his phone's clock.
    pub at: i64,
}

/// One record, whole.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct RecordView {
    /// What lists show of it.
    pub row: RecordRow,
    /// Who opened it.
    pub opener: Author,
    /// What it says: the station's, and what waits here.
    pub facts: Facts,
    /// Its sensitive fields, where this user may hold them.
    pub private_facts: Option<Facts>,
    /// The official view, where it differs from `facts`.
    pub official: Option<Facts>,
    /// Places with conflicting values.
    pub conflicts: Vec<Conflict>,
    /// Acts, the oldest first, own waiting ones last.
    pub acts: Vec<ActDone>,
    /// Codes of the acts that this user may do now.
    pub acts_open: Vec<String>,
    /// Whether this user may write now.
    pub may_write: bool,
    /// What is missing or wrong.
    pub findings: Vec<Finding>,
}

impl From<CoreLabel> for Label {
    fn from(label: CoreLabel) -> Self {
        Self {
            zh: label.zh,
            en: label.en,
        }
    }
}

impl From<Value> for FieldValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Empty,
            Value::Bool(value) => Self::YesNo { value },
            Value::Int(value) => Self::Number { value },
            Value::Decimal(value) => Self::Decimal { value },
            Value::Text(value) => Self::Text { value },
        }
    }
}

impl From<FieldValue> for Value {
    fn from(value: FieldValue) -> Self {
        match value {
            FieldValue::Empty => Self::Null,
            FieldValue::YesNo { value } => Self::Bool(value),
            FieldValue::Number { value } => Self::Int(value),
            FieldValue::Decimal { value } => Self::Decimal(value),
            FieldValue::Text { value } => Self::Text(value),
        }
    }
}

/// Values by code, as every language has them.
pub(crate) fn values(fields: impl IntoIterator<Item = (String, Value)>) -> HashMap<String, FieldValue> {
    fields.into_iter().map(|(code, value)| (code, value.into())).collect()
}

impl RecordEdit {
    /// The core's words for it; `new_item` names items that have no name yet.
    pub(crate) fn into_core(self, mut new_item: impl FnMut() -> ItemId) -> Result<Edit, BeatbookError> {
        let mut items = Vec::with_capacity(self.items.len());
        for item in self.items {
            items.push(CoreItemEdit {
                item: match &item.item {
                    Some(name) => parsed("items", name)?,
                    None => new_item(),
                },
                list: item.field,
                fields: item.fields.into_iter().map(|(code, value)| (code, value.into())).collect(),
                removed: item.removed,
            });
        }
        Ok(Edit {
            fields: self.fields.into_iter().map(|(code, value)| (code, value.into())).collect(),
            items,
            notes: self.notes.into_iter().collect(),
            ..Edit::new()
        })
    }
}

impl From<Edit> for RecordEdit {
    fn from(edit: Edit) -> Self {
        let item = |item: CoreItemEdit| ItemEdit {
            field: item.list,
            item: Some(item.item.to_string()),
            fields: values(item.fields),
            removed: item.removed,
        };
        Self {
            fields: values(edit.fields),
            items: edit.items.into_iter().map(item).collect(),
            notes: edit.notes.into_iter().collect(),
        }
    }
}

impl From<CoreFacts> for Facts {
    fn from(facts: CoreFacts) -> Self {
        let items = facts.lists.into_iter().flat_map(|(field, items)| {
            items.into_iter().map(move |(name, item)| Item {
                field: field.clone(),
                item: name.to_string(),
                removed: item.removed,
                fields: values(item.fields),
            })
        });
        Self {
            fields: values(facts.fields),
            items: items.collect(),
            notes: facts.notes.into_iter().collect(),
        }
    }
}

impl From<CoreRow> for RecordRow {
    fn from(row: CoreRow) -> Self {
        Self {
            record: row.record.to_string(),
            kind: row.kind,
            kind_version: row.kind_version,
            state: row.state,
            title: row.title.into(),
            about: row.about.map(|about| about.to_string()),
            opened_at: row.opened_at.0,
            updated_at: row.updated_at.0,
            fields: values(row.fields),
            version: row.version,
            waiting: row.waiting,
            refused: row.refused,
            conflicts: row.conflicts,
            came_back: row.came_back,
        }
    }
}

impl From<CoreAuthor> for Author {
    fn from(author: CoreAuthor) -> Self {
        Self {
            user: author.user.map(|user| user.to_string()),
            name: author.name,
        }
    }
}

impl From<CoreFinding> for Finding {
    fn from(finding: CoreFinding) -> Self {
        Self {
            path: finding.path,
            code: finding.code,
            hinders: finding.severity == FindingSeverity::Error,
            text: finding.message.into(),
        }
    }
}

impl From<CoreConflict> for Conflict {
    fn from(conflict: CoreConflict) -> Self {
        let claims = conflict.claims.into_iter().map(|claim| Claim {
            value: match claim.value {
                Said::Value(value) => value.into(),
                Said::Text { inserted, .. } => FieldValue::Text { value: inserted },
                Said::Bytes(_) => FieldValue::Empty,
            },
            by: claim.by.into(),
            at: claim.at.0,
        });
        Self {
            record: conflict.record.to_string(),
            claims: claims.collect(),
            path: conflict.path.to_string(),
        }
    }
}

impl From<CoreAct> for ActDone {
    fn from(act: CoreAct) -> Self {
        Self {
            code: act.code,
            comment: act.comment,
            values: values(act.values),
            by: act.by.into(),
            at: act.at.0,
            is_waiting: act.is_waiting,
        }
    }
}

impl From<CoreView> for RecordView {
    fn from(view: CoreView) -> Self {
        Self {
            row: view.row.into(),
            opener: view.opener.into(),
            facts: view.facts.into(),
            private_facts: view.private.map(Facts::from),
            official: view.official.map(Facts::from),
            conflicts: view.conflicts.into_iter().map(Conflict::from).collect(),
            acts: view.acts.into_iter().map(ActDone::from).collect(),
            acts_open: view.acts_open,
            may_write: view.may_write,
            findings: view.findings.into_iter().map(Finding::from).collect(),
        }
    }
}

/// A name that an app hands over.
pub(crate) fn parsed<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, BeatbookError> {
    text.parse().map_err(|_| BeatbookError::InvalidInput { field: field.into() })
}

/// A record's name.
pub(crate) fn record(text: &str) -> Result<RecordId, BeatbookError> {
    parsed("record", text)
}

/// A place in a record.
pub(crate) fn path(text: &str) -> Result<FieldPath, BeatbookError> {
    parsed("path", text)
}
