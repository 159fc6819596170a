//! What somebody wants to write in a document, as plain values, and what comes of it. Knows nothing of automerge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DocumentError;
use super::path::{FieldPath, REMOVED};
use crate::facts::{FileRef, Value};
use crate::id::{Hash, ItemId};

/// One person's edit of one document. What equals the view is not written, so a form may hand over all that it shows; what it
/// does not name stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Edit {
    /// Whether places with a conflict may be written: the values given here settle them.
    pub settles: bool,
    /// Fields by code. `Null` clears; clearing what was never said writes nothing.
    pub fields: BTreeMap<String, Value>,
    /// Items of lists, new or known.
    pub items: Vec<ItemEdit>,
    /// Notes by code, each as its full new text; only the difference is written.
    pub notes: BTreeMap<String, String>,
    /// Track segments by key.
    pub segments: BTreeMap<String, Vec<u8>>,
    /// Files by the SHA-256 of their bytes.
    pub files: BTreeMap<Hash, FileRef>,
}

/// An edit of one item of a list; an item that is not there yet comes into being.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemEdit {
    /// Code of the list.
    pub list: String,
    /// The item.
    pub item: ItemId,
    /// The item's fields by code.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
    /// Takes the item out (`true`) or puts it back (`false`).
    #[serde(default)]
    pub removed: Option<bool>,
}

impl Edit {
    /// An edit that writes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a field.
    #[must_use]
    pub fn field(mut self, code: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(code.to_owned(), value.into());
        self
    }

    /// Clears a field.
    #[must_use]
    pub fn clear(mut self, code: &str) -> Self {
        self.fields.insert(code.to_owned(), Value::Null);
        self
    }

    /// Writes fields of an item.
    #[must_use]
    pub fn item(mut self, list: &str, item: ItemId, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let fields = fields.into_iter().map(|(code, value)| (code.to_owned(), value)).collect();
        self.items.push(ItemEdit {
            list: list.to_owned(),
            item,
            fields,
            removed: None,
        });
        self
    }

    /// Takes an item out.
    #[must_use]
    pub fn remove(mut self, list: &str, item: ItemId) -> Self {
        self.items.push(ItemEdit {
            list: list.to_owned(),
            item,
            fields: BTreeMap::new(),
            removed: Some(true),
        });
        self
    }

    /// Writes a note.
    #[must_use]
    pub fn note(mut self, code: &str, text: impl Into<String>) -> Self {
        self.notes.insert(code.to_owned(), text.into());
        self
    }

    /// Writes a track segment.
    #[must_use]
    pub fn segment(mut self, key: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.segments.insert(key.to_owned(), bytes.into());
        self
    }

    /// Names a file.
    #[must_use]
    pub fn file(mut self, hash: Hash, file: FileRef) -> Self {
        self.files.insert(hash, file);
        self
    }

    /// The edit that writes one value at a place; none where a place takes no plain value: segments and files are named by what they hold, and
    /// whether an item was taken out is yes or no.
    #[must_use]
    pub fn at(place: &FieldPath, value: &Value) -> Option<Self> {
        let item = |list: &str, item: ItemId, fields, removed| {
            let list = list.to_owned();
            let items = vec![ItemEdit {
                list,
                item,
                fields,
                removed,
            }];
            Self { items, ..Self::new() }
        };
        match place {
            FieldPath::Field(code) => Some(Self::new().field(code, value.clone())),
            FieldPath::Item { list, item: name, field } if field == REMOVED => match value {
                Value::Bool(removed) => Some(item(list, *name, BTreeMap::new(), Some(*removed))),
                Value::Null | Value::Int(_) | Value::Decimal(_) | Value::Text(_) => None,
            },
            FieldPath::Item { list, item: name, field } => {
                Some(item(list, *name, BTreeMap::from([(field.clone(), value.clone())]), None))
            }
            FieldPath::Note(code) => Some(Self::new().note(code, value.as_text()?)),
            FieldPath::Segment(_) | FieldPath::File { .. } => None,
        }
    }

    /// Lets this edit settle conflicts.
    #[must_use]
    pub fn settling(mut self) -> Self {
        self.settles = true;
        self
    }
}

/// A change that an edit made: what an entry carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The automerge change, uncompressed.
    pub bytes: Vec<u8>,
    /// automerge's hash of it. Two records may hold equal changes: this names a change within its document alone.
    pub hash: Hash,
    /// Whether it settled a conflict, and so needs somebody who may.
    pub settles: bool,
}

/// An edit that was not written. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The edit says only what the document says already.
    #[error("the edit changes nothing")]
    Nothing,
    /// The kind has no such field: name one of the kind's fields.
    #[error("{path}: the kind has no such field")]
    UnknownField {
        /// The place.
        path: String,
    },
    /// The field lives in the record's other document: edit that one.
    #[error("{path}: this field is kept in the record's other document")]
    WrongDocument {
        /// The place.
        path: String,
    },
    /// The value is of another type.
    #[error("{path}: expected {expected}")]
    WrongType {
        /// The place.
        path: String,
        /// What would fit.
        expected: &'static str,
    },
    /// The value is too long, or there are too many.
    #[error("{path}: at most {max} are allowed")]
    OverLimit {
        /// The place.
        path: String,
        /// The limit.
        max: usize,
    },
    /// Others wrote different values at the same time: show them, and let somebody who may settle.
    #[error("{} place(s) have conflicting values, first {}", .paths.len(), .paths.first().map(ToString::to_string).unwrap_or_default())]
    Conflicted {
        /// The places, sorted.
        paths: Vec<FieldPath>,
    },
    /// The edit makes a change larger than any: save more often.
    #[error("the change is {bytes} bytes and {operations} operations long, more than a change may be")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// Its operations.
        operations: usize,
    },
    /// The document has as much history as it may: open a new record that continues this one.
    #[error("the document is full")]
    DocumentFull,
    /// The document itself failed.
    #[error(transparent)]
    Document(#[from] DocumentError),
}
