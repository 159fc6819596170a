//! Follows operations, change by change, to the places they write. The guard asks it what an author had before him; the history
//! is what it saw. Believes the operations it is given: the guard judges them first.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{Key, ObjectId, OpId, OpType};
use automerge::{ExpandedChange, ObjType};

use super::DocumentError;
use super::log::{Clock, OpName, has_seen};
use super::path::FieldPath;
use super::read::said;
use super::view::Said;

/// Which map or text of a document's shape an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Root,
    Fields,
    Lists,
    List(String),
    Item(String, String),
    Notes,
    Note(String),
    Track,
    Files,
    File(String),
    /// Nothing that a document of ours has.
    Nowhere,
}

impl Place {
    /// The object that is made under a key of this one.
    pub(super) fn under(&self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "fields") => Self::Fields,
            (Self::Root, "lists") => Self::Lists,
            (Self::Root, "notes") => Self::Notes,
            (Self::Root, "track") => Self::Track,
            (Self::Root, "files") => Self::Files,
            (Self::Lists, list) => Self::List(list.to_owned()),
            (Self::List(list), item) => Self::Item(list.clone(), item.to_owned()),
            (Self::Notes, code) => Self::Note(code.to_owned()),
            (Self::Files, file) => Self::File(file.to_owned()),
            _ => Self::Nowhere,
        }
    }

    /// The place that a value under a key of this object is written at.
    pub(super) fn path(&self, key: &str) -> Option<FieldPath> {
        match self {
            Self::Fields => Some(FieldPath::Field(key.to_owned())),
            Self::Item(list, item) => Some(FieldPath::Item {
                list: list.clone(),
                item: item.parse().ok()?,
                field: key.to_owned(),
            }),
            Self::Note(code) => Some(FieldPath::Note(code.clone())),
            Self::Track => Some(FieldPath::Segment(key.to_owned())),
            Self::File(file) => Some(FieldPath::File {
                file: file.parse().ok()?,
                property: key.to_owned(),
            }),
            Self::Root | Self::Lists | Self::List(_) | Self::Notes | Self::Files | Self::Nowhere => None,
        }
    }
}

/// One value or object that was ever put under a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Put {
    pub(super) id: OpName,
    /// The object whose key it is; one place may have several when a map was made twice at once.
    pub(super) object: OpName,
    /// The value; none for an object.
    pub(super) said: Option<Said>,
    pub(super) preds: Vec<OpName>,
}

/// All that was ever written in a document, by place.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    objects: BTreeMap<OpName, Place>,
    slots: BTreeMap<Place, BTreeMap<String, Vec<Put>>>,
    texts: BTreeMap<OpName, Text>,
}

/// All that was ever written in one text.
#[derive(Debug, Clone, Default)]
struct Text {
    /// Each character with the operations that took it out.
    letters: BTreeMap<OpName, Vec<OpName>>,
    /// How many characters nobody has taken out.
    chars: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            objects: BTreeMap::from([(OpName::ROOT, Place::Root)]),
            slots: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }
}

impl Replay {
    /// Which place an object is.
    pub(super) fn place(&self, object: &OpName) -> Option<&Place> {
        self.objects.get(object)
    }

    /// What somebody with this clock saw under a key of a place, in all maps that share it, oldest first.
    pub(super) fn seen(&self, place: &Place, key: &str, clock: &Clock) -> Vec<&Put> {
        let Some(puts) = self.slots.get(place).and_then(|slots| slots.get(key)) else {
            return Vec::new();
        };
        let known: Vec<&Put> = puts.iter().filter(|put| has_seen(clock, &put.id)).collect();
        let overwritten: BTreeSet<&OpName> = known.iter().flat_map(|put| &put.preds).collect();
        known.into_iter().filter(|put| !overwritten.contains(&put.id)).collect()
    }

    /// How many keys of a place somebody with this clock saw.
    pub(super) fn keys_seen(&self, place: &Place, clock: &Clock) -> usize {
        let Some(slots) = self.slots.get(place) else { return 0 };
        slots
            .values()
            .filter(|puts| puts.iter().any(|put| has_seen(clock, &put.id)))
            .count()
    }

    /// Whether a text holds a character, taken out or not.
    pub(super) fn has_letter(&self, text: &OpName, letter: &OpName) -> bool {
        self.texts.get(text).is_some_and(|text| text.letters.contains_key(letter))
    }

    /// Whether somebody with this clock saw a character taken out.
    pub(super) fn is_taken(&self, text: &OpName, letter: &OpName, clock: &Clock) -> bool {
        let taken = self.texts.get(text).and_then(|text| text.letters.get(letter));
        taken.is_some_and(|taken| taken.iter().any(|op| has_seen(clock, op)))
    }

    /// How long a text is with all that was written in it.
    pub(super) fn text_chars(&self, text: &OpName) -> usize {
        self.texts.get(text).map_or(0, |text| text.chars)
    }

    /// How long a text was for somebody with this clock. Looks at every character there ever was.
    pub(super) fn text_chars_seen(&self, text: &OpName, clock: &Clock) -> usize {
        let Some(text) = self.texts.get(text) else { return 0 };
        text.letters
            .iter()
            .filter(|(id, taken)| has_seen(clock, id) && !taken.iter().any(|op| has_seen(clock, op)))
            .count()
    }

    /// Takes in a change whose dependencies are in; `tell` hears of each write, of a note's once per change.
    pub(super) fn absorb(
        &mut self,
        change: &ExpandedChange,
        mut tell: impl FnMut(FieldPath, Said, bool),
    ) -> Result<(), DocumentError> {
        let mut notes: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (counter, op) in (change.start_op.get()..).zip(&change.operations) {
            let id = OpName::from_parts(counter, &change.actor_id)?;
            let object = object_name(&op.obj)?;
            let place = self.place(&object).cloned().unwrap_or(Place::Nowhere);
            match &op.key {
                Key::Map(key) => {
                    let preds = op.pred.iter().map(op_name).collect::<Result<Vec<_>, _>>()?;
                    if let OpType::Make(_) = op.action {
                        self.objects.insert(id, place.under(key));
                    }
                    let value = match &op.action {
                        OpType::Put(value) => said(value),
                        _ => None,
                    };
                    if let (Some(value), Some(path)) = (value.clone(), place.path(key)) {
                        tell(path, value, self.is_settled_by(&place, key, &preds));
                    }
                    let put = Put {
                        id,
                        object,
                        said: value,
                        preds,
                    };
                    self.slots
                        .entry(place)
                        .or_default()
                        .entry(key.to_string())
                        .or_default()
                        .push(put);
                }
                Key::Seq(element) => {
                    let text = self.texts.entry(object).or_default();
                    let told = match &place {
                        Place::Note(code) => notes.entry(code.clone()).or_default(),
                        _ => continue,
                    };
                    match (&op.action, element.as_opid()) {
                        (OpType::Put(value), _) if op.insert => {
                            text.letters.insert(id, Vec::new());
                            text.chars += 1;
                            told.0.push_str(value.as_str().unwrap_or_default());
                        }
                        (OpType::Delete, Some(letter)) => {
                            let taken = text.letters.entry(op_name(letter)?).or_default();
                            text.chars = text.chars.saturating_sub(usize::from(taken.is_empty()));
                            taken.push(id);
                            told.1 += 1;
                        }
                        _ => {}
                    }
                }
            }
        }
        for (code, (inserted, deleted)) in notes {
            tell(FieldPath::Note(code), Said::Text { inserted, deleted }, false);
        }
        Ok(())
    }

    /// Whether a write over these values settles a conflict.
    fn is_settled_by(&self, place: &Place, key: &str, preds: &[OpName]) -> bool {
        let Some(puts) = self.slots.get(place).and_then(|slots| slots.get(key)) else {
            return false;
        };
        let over = puts.iter().filter(|put| preds.contains(&put.id)).collect::<Vec<_>>();
        over.iter().any(|put| put.said != over[0].said)
    }
}

/// Our name of an operation.
pub(super) fn op_name(op: &OpId) -> Result<OpName, DocumentError> {
    OpName::from_parts(op.counter(), op.actor())
}

/// Our name of the operation that made an object.
pub(super) fn object_name(object: &ObjectId) -> Result<OpName, DocumentError> {
    match object {
        ObjectId::Root => Ok(OpName::ROOT),
        ObjectId::Id(op) => op_name(op),
    }
}

/// Whether an object type is a map as our documents have them.
pub(super) fn is_map(made: &ObjType) -> bool {
    matches!(made, ObjType::Map)
}
