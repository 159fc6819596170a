//! Records as plain values in every language: what is written in one, what is read from one. Rules are the core's.

use std::collections::HashMap;

use beatbook_client_core::protocol::document::{Edit, FieldPath, ItemEdit as CoreItemEdit};
use beatbook_client_core::protocol::facts::{Facts as CoreFacts, Value};
use beatbook_client_core::protocol::id::{ItemId, RecordId};
use beatbook_client_core::protocol::kind::Label as CoreLabel;

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

/// A name that an app hands over.
pub(crate) fn parsed<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, BeatbookError> {
    text.parse().map_err(|_| BeatbookError::InvalidInput { field: field.into() })
}

/// A record's name.
pub(crate) fn record(text: &str) -> Result<RecordId, BeatbookError> {
    parsed("record", text)
}

/// A place in a record, which calls take as `place`.
pub(crate) fn path(text: &str) -> Result<FieldPath, BeatbookError> {
    parsed("place", text)
}
