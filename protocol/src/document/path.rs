//! Names of the places in a document that somebody can write. Knows no values and no kinds.

use std::fmt;
use std::str::FromStr;

use crate::id::{Hash, ItemId};

/// The code under which an item or a file says that somebody took it out.
pub const REMOVED: &str = "removed";

/// One place in a document: what conflicts, histories and settlements speak about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldPath {
    /// `fields/CODE`
    Field(String),
    /// `lists/LIST/ITEM/CODE`; the code [`REMOVED`] is the item's own mark.
    Item {
        /// Code of the list.
        list: String,
        /// The item.
        item: ItemId,
        /// Code of the item's field.
        field: String,
    },
    /// `notes/CODE`
    Note(String),
    /// `track/KEY`
    Segment(String),
    /// `files/SHA-256/PROPERTY`: `field`, `media_type`, `bytes`, `thumbnail` or [`REMOVED`].
    File {
        /// SHA-256 of the file's bytes.
        file: Hash,
        /// What is said about it.
        property: String,
    },
}

/// A text that names no place in a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no place: write fields/CODE, lists/LIST/ITEM/CODE, notes/CODE, track/KEY or files/SHA256/PROPERTY")]
pub struct ParsePathError(String);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(code) => write!(f, "fields/{code}"),
            Self::Item { list, item, field } => write!(f, "lists/{list}/{item}/{field}"),
            Self::Note(code) => write!(f, "notes/{code}"),
            Self::Segment(key) => write!(f, "track/{key}"),
            Self::File { file, property } => write!(f, "files/{file}/{property}"),
        }
    }
}

impl FromStr for FieldPath {
    type Err = ParsePathError;

    fn from_str(text: &str) -> Result<Self, ParsePathError> {
        let wrong = || ParsePathError(text.chars().take(160).collect());
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(wrong());
        }
        match parts[..] {
            ["fields", code] => Ok(Self::Field(code.to_owned())),
            ["lists", list, item, field] => Ok(Self::Item {
                list: list.to_owned(),
                item: item.parse().map_err(|_| wrong())?,
                field: field.to_owned(),
            }),
            ["notes", code] => Ok(Self::Note(code.to_owned())),
            ["track", key] => Ok(Self::Segment(key.to_owned())),
            ["files", file, property] => Ok(Self::File {
                file: file.parse().map_err(|_| wrong())?,
                property: property.to_owned(),
            }),
            _ => Err(wrong()),
        }
    }
}

impl serde::Serialize for FieldPath {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for FieldPath {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_its_text() {
        let item = ItemId::from_bytes([7; 16]);
        let file = Hash::from_bytes([9; 32]);
        for path in [
            FieldPath::Field("purpose".into()),
            FieldPath::Item {
                list: "people_met".into(),
                item,
                field: REMOVED.into(),
            },
            FieldPath::Note("summary".into()),
            FieldPath::Segment("0001".into()),
            FieldPath::File {
                file,
                property: "media_type".into(),
            },
        ] {
            assert_eq!(path.to_string().parse::<FieldPath>(), Ok(path));
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "fields",
            "fields/",
            "fields/a/b",
            "lists/a/not-an-id/b",
            "files/00/field",
            "meta/x",
            "/fields/a",
        ] {
            assert!(text.parse::<FieldPath>().is_err(), "{text}");
        }
    }
}
