//! Judges what a change writes: every operation's place and value against the kind, and against what its author had seen. Changes
//! nothing and trusts nothing but the replay of what was admitted before.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ExpandedChange, ScalarValue};

use super::Unknown;
use super::fault::GuardFault;
use crate::document::log::{Clock, OpName, has_seen};
use crate::document::path::REMOVED;
use crate::document::read::said;
use crate::document::replay::{Place, Replay, is_map, object_name, op_name};
use crate::document::shape::{Misfit, Shape, check_file_property, check_unknown, is_canonical_uuid, is_code, is_segment_key};
use crate::document::view::Said;
use crate::facts::Value;
use crate::id::Hash;
use crate::limits::{FILES_MAX, LIST_ITEMS_MAX, NOTE_CHARS_MAX, SEGMENT_BYTES_MAX};

/// What a change is judged by.
pub(super) struct Judge<'a> {
    pub(super) shape: &'a Shape,
    pub(super) replay: &'a Replay,
    /// What the change's author had seen.
    pub(super) clock: &'a Clock,
    pub(super) settles: bool,
    pub(super) unknown: Unknown,
}

/// What the change itself has made so far.
#[derive(Default)]
struct Own {
    objects: BTreeMap<OpName, Place>,
    written: BTreeSet<(OpName, String)>,
    letters: BTreeMap<OpName, BTreeSet<OpName>>,
    taken: BTreeSet<OpName>,
}

impl Judge<'_> {
    /// Judges all operations of a change.
    pub(super) fn check(&self, change: &ExpandedChange) -> Result<(), GuardFault> {
        let mut own = Own::default();
        for (counter, op) in (change.start_op.get()..).zip(&change.operations) {
            let id = OpName::from_parts(counter, &change.actor_id)?;
            let object = object_name(&op.obj)?;
            let place = match self.replay.place(&object).filter(|_| has_seen(self.clock, &object)) {
                Some(place) => place.clone(),
                None => own
                    .objects
                    .get(&object)
                    .cloned()
                    .ok_or_else(|| GuardFault::Unseen { path: describe(&op.obj) })?,
            };
            match &op.key {
                Key::Map(key) => self.check_put(&mut own, id, object, &place, key, op)?,
                Key::Seq(_) => self.check_letter(&mut own, id, object, &place, op)?,
            }
        }
        for text in own.letters.keys() {
            self.check_text_length(&own, text)?;
        }
        Ok(())
    }

    /// Judges an operation on a map's key.
    fn check_put(&self, own: &mut Own, id: OpName, object: OpName, place: &Place, key: &str, op: &Op) -> Result<(), GuardFault> {
        let path = path_text(place, key);
        if op.insert {
            return Err(GuardFault::Malformed {
                why: "it inserts into a map",
            });
        }
        if !own.written.insert((object, key.to_owned())) {
            return Err(GuardFault::NotCanonical {
                why: "it writes one place twice",
            });
        }
        let seen = self.replay.seen(place, key, self.clock);
        let mut expected: Vec<OpName> = seen.iter().filter(|put| put.object == object).map(|put| put.id).collect();
        expected.sort_unstable();
        let mut preds = op.pred.iter().map(op_name).collect::<Result<Vec<_>, _>>()?;
        preds.sort_unstable();
        if preds != expected {
            return Err(GuardFault::Unseen { path });
        }
        match &op.action {
            OpType::Put(value) => {
                let value = said(value).ok_or_else(|| GuardFault::WrongType { path: path.clone() })?;
                if seen.iter().any(|put| put.said.is_none()) {
                    return Err(GuardFault::OverwritesContainer { path });
                }
                self.check_value(place, key, &path, &value)?;
                if !self.settles && seen.iter().any(|put| put.said != seen[0].said) {
                    return Err(GuardFault::SettlesUnmarked { path });
                }
                Ok(())
            }
            OpType::Make(made) => {
                if !preds.is_empty() {
                    return Err(GuardFault::OverwritesContainer { path });
                }
                if !is_map(made) {
                    return Err(GuardFault::Nests { path });
                }
                self.check_made(own, place, key, path)?;
                own.objects.insert(id, place.under(key));
                Ok(())
            }
            OpType::Delete => Err(GuardFault::Deletes { path }),
            OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => Err(GuardFault::WrongType { path }),
        }
    }

    /// Whether a value may stand under a key.
    fn check_value(&self, place: &Place, key: &str, path: &str, said: &Said) -> Result<(), GuardFault> {
        let fits = |result: Result<(), Misfit>| {
            result.map_err(|misfit| match misfit {
                Misfit::WrongType { .. } => GuardFault::WrongType { path: path.to_owned() },
                Misfit::OverLimit { max } => GuardFault::OverLimit {
                    path: path.to_owned(),
                    max,
                },
            })
        };
        let unknown = || GuardFault::UnknownField { path: path.to_owned() };
        let value = match (place, said) {
            (Place::Track, Said::Bytes(bytes)) => {
                return match bytes.len() {
                    _ if !self.shape.has_track() || !is_segment_key(key) => Err(unknown()),
                    SEGMENT_BYTES_MAX.. if bytes.len() > SEGMENT_BYTES_MAX => {
                        fits(Err(Misfit::OverLimit { max: SEGMENT_BYTES_MAX }))
                    }
                    _ => Ok(()),
                };
            }
            (_, Said::Value(value)) => value,
            (_, Said::Bytes(_) | Said::Text { .. }) => return fits(Err(Misfit::WrongType { expected: "a value" })),
        };
        let known = match place {
            Place::Fields => self.shape.field(key).map(|rule| rule.check(value)),
            Place::Item(..) if key == REMOVED => Some(check_removed(value)),
            Place::Item(list, _) => self
                .shape
                .list(list)
                .and_then(|rules| rules.get(key))
                .map(|rule| rule.check(value)),
            Place::File(_) => check_file_property(self.shape, key, value, self.unknown == Unknown::Keep),
            Place::Lists | Place::Notes | Place::List(_) | Place::Files | Place::Track => {
                return Err(GuardFault::WrongType { path: path.to_owned() });
            }
            Place::Root | Place::Note(_) | Place::Nowhere => return Err(unknown()),
        };
        match known {
            Some(result) => fits(result),
            None if self.unknown == Unknown::Keep && is_code(key) => fits(check_unknown(value)),
            None => Err(unknown()),
        }
    }

    /// Whether a map may be made under a key: items of lists and files alone.
    fn check_made(&self, own: &Own, place: &Place, key: &str, path: String) -> Result<(), GuardFault> {
        let max = match place {
            Place::List(list) if self.shape.list(list).is_none() && self.unknown == Unknown::Refuse => {
                return Err(GuardFault::UnknownField { path });
            }
            Place::List(_) if is_canonical_uuid(key) => LIST_ITEMS_MAX,
            Place::Files if !self.shape.has_files() && self.unknown == Unknown::Refuse => {
                return Err(GuardFault::UnknownField { path });
            }
            Place::Files if key.parse::<Hash>().is_ok_and(|hash| hash.to_string() == key) => FILES_MAX,
            Place::List(_) | Place::Files => return Err(GuardFault::WrongType { path }),
            Place::Root | Place::Lists | Place::Notes => return Err(GuardFault::UnknownField { path }),
            Place::Fields | Place::Item(..) | Place::Note(_) | Place::Track | Place::File(_) | Place::Nowhere => {
                return Err(GuardFault::Nests { path });
            }
        };
        let here = own.objects.values().filter(|made| is_sibling(place, made)).count();
        // What others add at the same time is not the author's fault: only what he could see counts.
        if self.replay.keys_seen(place, self.clock) + here >= max {
            Err(GuardFault::OverLimit { path, max })
        } else {
            Ok(())
        }
    }

    /// Judges an operation on a character of a note.
    fn check_letter(&self, own: &mut Own, id: OpName, text: OpName, place: &Place, op: &Op) -> Result<(), GuardFault> {
        let Place::Note(code) = place else {
            return Err(GuardFault::Malformed {
                why: "it treats a map as a text",
            });
        };
        let path = path_text(place, "");
        if self.unknown == Unknown::Refuse && self.shape.note_chars_max(code).is_none() {
            return Err(GuardFault::UnknownField { path });
        }
        let at = op.key.to_opid().map(|element| op_name(&element)).transpose()?;
        let has_letter = |letter: &OpName| has_seen(self.clock, letter) && self.replay.has_letter(&text, letter);
        match &op.action {
            OpType::Put(ScalarValue::Str(letter)) if op.insert => {
                if letter.chars().count() != 1 || !op.pred.is_empty() {
                    return Err(GuardFault::WrongType { path });
                }
                let letters = own.letters.entry(text).or_default();
                if at.is_some_and(|at| !has_letter(&at) && !letters.contains(&at)) {
                    return Err(GuardFault::Unseen { path });
                }
                letters.insert(id);
                Ok(())
            }
            OpType::Delete if !op.insert => {
                let preds = op.pred.iter().map(op_name).collect::<Result<Vec<_>, _>>()?;
                let Some(at) = at.filter(|at| preds[..] == [*at] && has_letter(at)) else {
                    return Err(GuardFault::Unseen { path });
                };
                if self.replay.is_taken(&text, &at, self.clock) || !own.taken.insert(at) {
                    return Err(GuardFault::Unseen { path });
                }
                own.letters.entry(text).or_default();
                Ok(())
            }
            OpType::Put(_) | OpType::Delete | OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => {
                Err(GuardFault::WrongType { path })
            }
            OpType::Make(_) => Err(GuardFault::Nests { path }),
        }
    }

    /// Whether a note is within its limit for the change's author.
    fn check_text_length(&self, own: &Own, text: &OpName) -> Result<(), GuardFault> {
        let Some(Place::Note(code)) = self.replay.place(text) else {
            return Ok(());
        };
        let max = self.shape.note_chars_max(code).unwrap_or(NOTE_CHARS_MAX);
        let added = own.letters.get(text).map_or(0, BTreeSet::len);
        let taken = own.taken.iter().filter(|letter| self.replay.has_letter(text, letter)).count();
        if added == 0 || self.replay.text_chars(text) + added <= max + taken {
            return Ok(());
        }
        // What others put in at the same time is not the author's fault: only what he could see counts.
        if self.replay.text_chars_seen(text, self.clock) + added > max + taken {
            return Err(GuardFault::OverLimit {
                path: format!("notes/{code}"),
                max,
            });
        }
        Ok(())
    }
}

fn check_removed(value: &Value) -> Result<(), Misfit> {
    match value {
        Value::Bool(_) => Ok(()),
        Value::Null | Value::Int(_) | Value::Decimal(_) | Value::Text(_) => Err(Misfit::WrongType { expected: "yes or no" }),
    }
}

fn is_sibling(parent: &Place, made: &Place) -> bool {
    match (parent, made) {
        (Place::List(list), Place::Item(of, _)) => list == of,
        (Place::Files, Place::File(_)) => true,
        _ => false,
    }
}

/// How a place is named in a fault; keys are bounded by the columns' check.
fn path_text(place: &Place, key: &str) -> String {
    match place {
        Place::Root => key.to_owned(),
        Place::Fields => format!("fields/{key}"),
        Place::Lists => format!("lists/{key}"),
        Place::List(list) => format!("lists/{list}/{key}"),
        Place::Item(list, item) => format!("lists/{list}/{item}/{key}"),
        Place::Notes => format!("notes/{key}"),
        Place::Note(code) => format!("notes/{code}"),
        Place::Track => format!("track/{key}"),
        Place::Files => format!("files/{key}"),
        Place::File(file) => format!("files/{file}/{key}"),
        Place::Nowhere => format!("?/{key}"),
    }
}

fn describe(object: &ObjectId) -> String {
    match object {
        ObjectId::Root => String::new(),
        ObjectId::Id(op) => format!("object {}@{}", op.counter(), op.actor()),
    }
}
