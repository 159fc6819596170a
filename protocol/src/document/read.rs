//! Reads an automerge document as maps of places, now or as somebody once knew it. Hides no writer: where a map was made twice at
//! once, all its makers' values are read.

use std::collections::BTreeMap;

use automerge::{Automerge, ChangeHash, ObjId, ObjType, ReadDoc, ScalarValue};

use super::body::Document;
use super::log::{Log, OpName, hashes_into};
use super::view::Said;
use super::{DocumentError, genesis};
use crate::facts::Value;
use crate::id::Hash;

/// A document at one moment.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    automerge: &'a Automerge,
    log: &'a Log,
    heads: Option<Vec<ChangeHash>>,
}

/// One value that stands in a place, with the operation that wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) content: Content,
    pub(super) by: OpName,
}

/// What can stand under a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// A value.
    Said(Said),
    /// A map.
    Map(ObjId),
    /// A note.
    Text(ObjId),
    /// Something that no document of ours holds.
    Strange,
}

/// What stands under each key of a map, oldest first; the last is what everybody sees.
pub(super) type Slots = BTreeMap<String, Vec<Held>>;

impl<'a> Reader<'a> {
    /// The document as it is.
    pub(super) fn now(document: &'a Document) -> Self {
        Self {
            automerge: document.automerge(),
            log: document.log(),
            heads: None,
        }
    }

    /// The document as known to somebody who knew these changes, all of which are here.
    pub(super) fn at(document: &'a Document, heads: &[Hash]) -> Self {
        Self {
            automerge: document.automerge(),
            log: document.log(),
            heads: Some(hashes_into(heads)),
        }
    }

    /// The same log over another copy of the document.
    pub(super) fn over(automerge: &'a Automerge, log: &'a Log) -> Self {
        Self {
            automerge,
            log,
            heads: None,
        }
    }

    pub(super) fn log(&self) -> &Log {
        self.log
    }

    /// One of the maps at the root.
    pub(super) fn container(&self, name: &str) -> Result<ObjId, DocumentError> {
        let found = match &self.heads {
            None => self.automerge.get(automerge::ROOT, name)?,
            Some(heads) => self.automerge.get_at(automerge::ROOT, name, heads)?,
        };
        match found {
            Some((automerge::Value::Object(ObjType::Map), id)) => Ok(id),
            // Somebody who knew no change at all knew no container either.
            None if self.heads.as_ref().is_some_and(Vec::is_empty) => Ok(automerge::ROOT),
            _ => Err(DocumentError::Damaged {
                why: format!("the container {name} is missing"),
            }),
        }
    }

    /// What stands in maps that share one place, together.
    pub(super) fn slots(&self, maps: &[ObjId]) -> Result<Slots, DocumentError> {
        let mut slots = Slots::new();
        for map in maps {
            let range = match &self.heads {
                None => self.automerge.map_range(map, ..),
                Some(heads) => self.automerge.map_range_at(map, .., heads),
            };
            for item in range {
                let slot = slots.entry(item.key.to_string()).or_default();
                if item.conflict {
                    slot.extend(self.all(map, &item.key)?);
                } else {
                    let id = item.id();
                    slot.push(held(&item.value.into_value(), id)?);
                }
            }
        }
        for slot in slots.values_mut() {
            slot.sort_by_key(|held| held.by);
        }
        Ok(slots)
    }

    /// The text of a note.
    pub(super) fn text(&self, note: &ObjId) -> Result<String, DocumentError> {
        Ok(match &self.heads {
            None => self.automerge.text(note)?,
            Some(heads) => self.automerge.text_at(note, heads)?,
        })
    }

    /// The slots of a root container; none for a reader who knew nothing.
    pub(super) fn container_slots(&self, name: &str) -> Result<Slots, DocumentError> {
        debug_assert!(genesis::CONTAINERS.contains(&name));
        match self.container(name)? {
            ObjId::Root => Ok(Slots::new()),
            id => self.slots(&[id]),
        }
    }

    fn all(&self, map: &ObjId, key: &str) -> Result<Vec<Held>, DocumentError> {
        let found = match &self.heads {
            None => self.automerge.get_all(map, key)?,
            Some(heads) => self.automerge.get_all_at(map, key, heads)?,
        };
        found.into_iter().map(|(value, id)| held(&value, id)).collect()
    }
}

/// The maps among what stands in one place.
pub(super) fn maps(slot: &[Held]) -> Vec<ObjId> {
    slot.iter()
        .filter_map(|held| match &held.content {
            Content::Map(id) => Some(id.clone()),
            Content::Said(_) | Content::Text(_) | Content::Strange => None,
        })
        .collect()
}

/// The distinct values among what stands in one place, oldest first.
pub(super) fn distinct(slot: &[Held]) -> Vec<&Said> {
    let mut values: Vec<&Said> = Vec::new();
    for held in slot {
        if let Content::Said(said) = &held.content
            && !values.contains(&said)
        {
            values.push(said);
        }
    }
    values
}

/// A scalar as a value of ours; none for what no document of ours holds.
pub(super) fn said(scalar: &ScalarValue) -> Option<Said> {
    Some(Said::Value(match scalar {
        ScalarValue::Null => Value::Null,
        ScalarValue::Boolean(yes) => Value::Bool(*yes),
        ScalarValue::Int(number) => Value::Int(*number),
        ScalarValue::F64(number) if number.is_finite() => Value::Decimal(*number),
        ScalarValue::Str(text) => Value::Text(text.to_string()),
        ScalarValue::Bytes(bytes) => return Some(Said::Bytes(bytes.clone())),
        _ => return None,
    }))
}

/// Our name of the operation that made an object.
pub(super) fn object_of(id: &ObjId) -> Result<OpName, DocumentError> {
    match id {
        ObjId::Root => Ok(OpName::ROOT),
        ObjId::Id(counter, actor, _) => OpName::from_parts(*counter, actor),
    }
}

fn held(value: &automerge::Value<'_>, id: ObjId) -> Result<Held, DocumentError> {
    let by = object_of(&id)?;
    let content = match value {
        automerge::Value::Object(ObjType::Map) => Content::Map(id),
        automerge::Value::Object(ObjType::Text) => Content::Text(id),
        automerge::Value::Object(_) => Content::Strange,
        automerge::Value::Scalar(scalar) => said(scalar).map_or(Content::Strange, Content::Said),
    };
    Ok(Held { content, by })
}
