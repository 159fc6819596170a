//! What a record says, as plain values: the form that rules, lists and screens work on. Knows neither automerge nor CBOR.

use std::collections::BTreeMap;

use crate::id::{Hash, ItemId};

/// One value of a field.
///
/// Times are `Int` (milliseconds since 1970), dates are `Text` (`2026-11-23`), several choices are `Text` (codes in order, one space
/// between), a place is `Text` (an RFC 5870 `geo:` URI, see [`crate::place`]), a reference is `Text` (the record's UUID).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Cleared: somebody says that there is no value.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A decimal number; never NaN or infinite.
    Decimal(f64),
    /// Text of any field type that is written as text.
    Text(String),
}

impl Value {
    /// The text, when it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Decimal(_) => None,
        }
    }

    /// Whether nothing is said: cleared, or an empty text.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Null) || self.as_text().is_some_and(str::is_empty)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

/// One item of a list. A removed item keeps its fields, so that nothing said is lost.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// Set by whoever took the item out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// The item's fields by code.
    pub fields: BTreeMap<String, Value>,
}

/// One photo or recording that a record names; its bytes are a blob apart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileRef {
    /// The field it belongs to.
    pub field: String,
    /// Media type, as `image/jpeg`.
    pub media_type: String,
    /// Length in bytes.
    pub bytes: u64,
    /// A small picture of it, by the SHA-256 of its bytes: a blob of its own, which travels first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Hash>,
    /// Set by whoever took it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// All that one document of a record says.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// Fields by code; absent means never said, `Null` means cleared.
    pub fields: BTreeMap<String, Value>,
    /// Lists by field code, items by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, BTreeMap<ItemId, Item>>,
    /// Long texts by field code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
    /// Track segments (see [`crate::track`]) by their key; keys sort in time order.
    #[serde(skip)]
    pub track: BTreeMap<String, Vec<u8>>,
    /// Files by the SHA-256 of their bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<Hash, FileRef>,
}
