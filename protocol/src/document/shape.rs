//! What may be written where in one document of a kind, and whether a value fits. Types, lengths and limits alone: whether a value
//! makes sense in its record is for `kind::validate`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use automerge::{Automerge, ExpandedChange};

use super::DocumentError;
use super::genesis::{TEXT_ENCODING, genesis_changes};
use super::log::{Line, Log};
use super::path::REMOVED;
use super::replay::Replay;
use crate::facts::Value;
use crate::id::{ActorId, Hash};
use crate::kind::{CheckedKind, DocumentName, Field, FieldType, Kind};
use crate::limits::{MEDIA_TYPE_CHARS_MAX, NOTE_CHARS_MAX, TEXT_CHARS_MAX};
use crate::place::Place;

/// Characters of a code, an identifier, a date or a media type.
const CODE_CHARS_MAX: usize = 64;

/// The shape of one document of a kind, with its genesis. Cheap to clone: keep one per kind and document.
#[derive(Debug, Clone)]
pub struct Shape(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: DocumentName,
    fields: BTreeMap<String, FieldRule>,
    lists: BTreeMap<String, BTreeMap<String, FieldRule>>,
    notes: BTreeMap<String, usize>,
    files: BTreeSet<String>,
    has_track: bool,
    elsewhere: BTreeSet<String>,
    seed: Automerge,
    log: Log,
    replay: Replay,
}

/// What may be written in one scalar field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldRule {
    field_type: FieldType,
    chars_max: usize,
}

/// Why a value does not fit its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is of another type.
    WrongType {
        /// What would fit.
        expected: &'static str,
    },
    /// It is too long or there are too many.
    OverLimit {
        /// The limit.
        max: usize,
    },
}

/// Shapes that somebody in this process holds, by the hash of the kind's file and the document.
static HELD: Mutex<BTreeMap<(Hash, DocumentName), Weak<Inner>>> = Mutex::new(BTreeMap::new());

impl Shape {
    /// The shape of one of a checked kind's documents: the one that somebody holds already, or a new one. Its genesis is a document that is
    /// written and read again, and a kind that was checked never changes.
    ///
    /// # Errors
    /// As [`Shape::of`].
    pub fn shared(kind: &CheckedKind, name: DocumentName) -> Result<Self, DocumentError> {
        let held = || HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.digest(), name);
        if let Some(there) = held().get(&key).and_then(Weak::upgrade) {
            return Ok(Self(there));
        }
        let shape = Self::of(kind, name)?;
        let mut held = held();
        held.retain(|_, shape| shape.strong_count() > 0);
        held.insert(key, Arc::downgrade(&shape.0));
        Ok(shape)
    }

    /// The shape of one of a kind's documents.
    ///
    /// # Errors
    /// Only when automerge fails on the genesis, which is a defect.
    pub fn of(kind: &Kind, name: DocumentName) -> Result<Self, DocumentError> {
        let mut seed = Automerge::new_with_encoding(TEXT_ENCODING);
        let mut log = Log::default();
        let genesis = genesis_changes(kind, name)?;
        let mut replay = Replay::default();
        for change in &genesis {
            log.append(Line::of(change)?);
            replay.absorb(&ExpandedChange::from(change), |_, _, _| {})?;
        }
        seed.apply_changes(genesis)?;
        let mut inner = Inner {
            name,
            fields: BTreeMap::new(),
            lists: BTreeMap::new(),
            notes: BTreeMap::new(),
            files: BTreeSet::new(),
            has_track: false,
            elsewhere: BTreeSet::new(),
            seed,
            log,
            replay,
        };
        for field in &kind.fields {
            inner.take_in(field);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Which of a record's documents this is the shape of.
    #[must_use]
    pub fn name(&self) -> DocumentName {
        self.0.name
    }

    /// A new document that holds the genesis alone.
    pub(super) fn seed(&self) -> &Automerge {
        &self.0.seed
    }

    /// The genesis changes.
    pub(super) fn genesis(&self) -> &Log {
        &self.0.log
    }

    /// The genesis changes, replayed.
    pub(super) fn replay(&self) -> &Replay {
        &self.0.replay
    }

    pub(super) fn is_genesis_actor(&self, actor: &ActorId) -> bool {
        self.0.log.last_of(actor).is_some()
    }

    pub(super) fn genesis_hashes(&self) -> Vec<Hash> {
        self.0.log.heads()
    }

    pub(super) fn field(&self, code: &str) -> Option<&FieldRule> {
        self.0.fields.get(code)
    }

    pub(super) fn list(&self, code: &str) -> Option<&BTreeMap<String, FieldRule>> {
        self.0.lists.get(code)
    }

    /// The greatest length of a note in characters.
    pub(super) fn note_chars_max(&self, code: &str) -> Option<usize> {
        self.0.notes.get(code).copied()
    }

    pub(super) fn has_files_field(&self, code: &str) -> bool {
        self.0.files.contains(code)
    }

    pub(super) fn has_files(&self) -> bool {
        !self.0.files.is_empty()
    }

    pub(super) fn has_track(&self) -> bool {
        self.0.has_track
    }

    /// Whether the kind keeps a field in the record's other document.
    pub(super) fn is_elsewhere(&self, code: &str) -> bool {
        self.0.elsewhere.contains(code)
    }
}

impl Inner {
    fn take_in(&mut self, field: &Field) {
        let code = field.code.clone();
        if field.document != self.name {
            self.elsewhere.insert(code);
            return;
        }
        match field.field_type {
            FieldType::Note => {
                let max = field.chars_max.map_or(NOTE_CHARS_MAX, |max| max as usize).min(NOTE_CHARS_MAX);
                self.notes.insert(code, max);
            }
            FieldType::List => {
                let items = field.fields.iter().map(|field| (field.code.clone(), FieldRule::of(field)));
                self.lists.insert(code, items.filter(|(code, _)| code != REMOVED).collect());
            }
            FieldType::Files => {
                self.files.insert(code);
            }
            FieldType::Track => self.has_track = true,
            _ => {
                self.fields.insert(code, FieldRule::of(field));
            }
        }
    }
}

impl FieldRule {
    fn of(field: &Field) -> Self {
        Self {
            field_type: field.field_type,
            chars_max: field.chars_max.map_or(TEXT_CHARS_MAX, |max| max as usize).min(TEXT_CHARS_MAX),
        }
    }

    /// Whether a value may stand in the field. Clearing always may.
    pub(super) fn check(&self, value: &Value) -> Result<(), Misfit> {
        if *value == Value::Null {
            return Ok(());
        }
        let wrong = |expected| Err(Misfit::WrongType { expected });
        match self.field_type {
            FieldType::Text => check_text(value, self.chars_max),
            FieldType::Choices => check_text(value, TEXT_CHARS_MAX),
            FieldType::Choice => check_text(value, CODE_CHARS_MAX),
            FieldType::Integer if !matches!(value, Value::Int(_)) => wrong("a whole number"),
            FieldType::Time if !matches!(value, Value::Int(_)) => wrong("milliseconds since 1970"),
            FieldType::Boolean if !matches!(value, Value::Bool(_)) => wrong("yes or no"),
            FieldType::Integer | FieldType::Time | FieldType::Boolean => Ok(()),
            FieldType::Decimal => match value {
                Value::Int(_) => Ok(()),
                Value::Decimal(number) if number.is_finite() => Ok(()),
                Value::Null | Value::Bool(_) | Value::Decimal(_) | Value::Text(_) => wrong("a finite number"),
            },
            FieldType::Date => match value.as_text() {
                Some(text) if is_date(text) => Ok(()),
                _ => wrong("a day as 2026-11-23"),
            },
            FieldType::Place => match value.as_text() {
                Some(text) if text.len() <= TEXT_CHARS_MAX && Place::parse(text).is_ok() => Ok(()),
                _ => wrong("a place as geo:LATITUDE,LONGITUDE"),
            },
            FieldType::Reference | FieldType::User => match value.as_text() {
                Some(text) if is_canonical_uuid(text) => Ok(()),
                _ => wrong("an id as a lower-case UUID"),
            },
            FieldType::Note | FieldType::List | FieldType::Files | FieldType::Track => wrong("a value of its own container"),
        }
    }
}

/// Whether what is said about a file fits: `field`, `media_type`, `bytes`, `thumbnail`, `removed`. None when nothing of that name is said of files.
pub(super) fn check_file_property(shape: &Shape, property: &str, value: &Value, any_field: bool) -> Option<Result<(), Misfit>> {
    let wrong = |expected| Err(Misfit::WrongType { expected });
    Some(match (property, value) {
        ("field", Value::Text(code)) if shape.has_files_field(code) || (any_field && is_code(code)) => Ok(()),
        ("field", _) => wrong("the code of a files field"),
        ("media_type", value) => check_text(value, MEDIA_TYPE_CHARS_MAX),
        ("bytes", Value::Int(0..)) => Ok(()),
        ("bytes", _) => wrong("a length in bytes"),
        ("thumbnail", Value::Null) => Ok(()),
        ("thumbnail", Value::Text(text)) if text.parse::<Hash>().is_ok_and(|hash| hash.to_string() == *text) => Ok(()),
        ("thumbnail", _) => wrong("the SHA-256 of a small picture in lower-case hexadecimal"),
        (REMOVED, Value::Bool(_)) => Ok(()),
        (REMOVED, _) => wrong("yes or no"),
        _ => return None,
    })
}

/// Whether a value may stand in a field that this kind does not know: a scalar of a length that any field may have.
pub(super) fn check_unknown(value: &Value) -> Result<(), Misfit> {
    match value {
        Value::Text(_) => check_text(value, TEXT_CHARS_MAX),
        Value::Decimal(number) if !number.is_finite() => Err(Misfit::WrongType {
            expected: "a finite number",
        }),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Decimal(_) => Ok(()),
    }
}

/// Whether a text can be the code of a field: lower-case letters, digits and `_`.
pub(super) fn is_code(text: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text can be the key of a track segment: printable ASCII without `/`, so that keys sort by bytes everywhere.
pub(super) fn is_segment_key(text: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

/// Whether a text is a UUID in its one canonical form, so that one id is never two keys.
pub(super) fn is_canonical_uuid(text: &str) -> bool {
    text.parse::<crate::id::ItemId>().is_ok_and(|id| id.to_string() == text)
}

fn check_text(value: &Value, max: usize) -> Result<(), Misfit> {
    match value.as_text() {
        None => Err(Misfit::WrongType { expected: "text" }),
        Some(text) if text.len() > max && text.chars().count() > max => Err(Misfit::OverLimit { max }),
        Some(_) => Ok(()),
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_number = |part: &[u8], range: std::ops::RangeInclusive<u32>| {
        part.iter().all(u8::is_ascii_digit)
            && range.contains(&part.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    bytes.len() == 10
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && is_number(&bytes[..4], 0..=9999)
        && is_number(&bytes[5..7], 1..=12)
        && is_number(&bytes[8..], 1..=31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field_type: FieldType) -> FieldRule {
        FieldRule {
            field_type,
            chars_max: 5,
        }
    }

    #[test]
    fn values_of_another_type_do_not_fit() {
        for (field_type, good, bad) in [
            (FieldType::Text, Value::from("12345"), Value::Int(1)),
            (FieldType::Integer, Value::Int(1), Value::Decimal(1.0)),
            (FieldType::Decimal, Value::Decimal(0.5), Value::Decimal(f64::NAN)),
            (FieldType::Boolean, Value::Bool(true), Value::from("true")),
            (FieldType::Date, Value::from("2026-11-23"), Value::from("2026-13-01")),
            (FieldType::Time, Value::Int(0), Value::from("now")),
            (FieldType::Choice, Value::from("a"), Value::Bool(true)),
            (FieldType::Place, Value::from("geo:39.9,116.4"), Value::from("39.9,116.4")),
            (
                FieldType::User,
                Value::from("01234567-89ab-7def-8123-456789abcdef"),
                Value::from("0123456789ab7def8123456789abcdef"),
            ),
            (FieldType::Note, Value::Null, Value::from("text")),
        ] {
            assert_eq!(rule(field_type).check(&good), Ok(()), "{field_type:?}");
            assert!(
                matches!(rule(field_type).check(&bad), Err(Misfit::WrongType { .. })),
                "{field_type:?}"
            );
            assert_eq!(rule(field_type).check(&Value::Null), Ok(()), "{field_type:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_not_bytes() {
        assert_eq!(rule(FieldType::Text).check(&Value::from("社区民警好")), Ok(()));
        assert_eq!(
            rule(FieldType::Text).check(&Value::from("社区民警好人")),
            Err(Misfit::OverLimit { max: 5 })
        );
    }
}
