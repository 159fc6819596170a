//! Turns an edit into one automerge change: plans against what stands, then writes on a copy. Nothing is written when anything of the
//! edit does not fit.

use std::collections::{BTreeMap, BTreeSet};

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ObjId, ObjType, ScalarValue};

use super::body::{Document, calmly};
use super::edit::{Change, Edit, EditError, ItemEdit};
use super::log::Line;
use super::path::{FieldPath, REMOVED};
use super::read::{Content, Held, Reader, distinct, maps};
use super::shape::{FieldRule, Misfit, Shape, check_file_property, is_segment_key};
use super::view::Said;
use super::DocumentError;
use crate::facts::{FileRef, Value};
use crate::id::{Hash, ItemId};
use crate::limits::{
    CHANGE_BYTES_MAX, CHANGE_OPS_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_CHANGES_MAX, DOCUMENT_OPS_MAX, FILES_MAX, LIST_ITEMS_MAX,
    SEGMENT_BYTES_MAX,
};
use crate::time::UnixMillis;

/// Cells of a comparison of two texts beyond which the part that differs is replaced whole: comparing takes time in proportion.
const COMPARE_CELLS_MAX: usize = 4_000_000;

/// Writes an edit.
pub(super) fn write(document: &mut Document, edit: &Edit, at: UnixMillis) -> Result<Change, EditError> {
    if document.change_count() >= DOCUMENT_CHANGES_MAX {
        return Err(EditError::DocumentFull);
    }
    let (written, change) = calmly(|| {
        let plan = Plan::of(document, edit)?;
        if !plan.conflicted.is_empty() && !edit.settles {
            return Err(EditError::Conflicted { paths: plan.conflicted.into_iter().collect() });
        }
        if plan.puts.is_empty() && plan.made.is_empty() && plan.texts.is_empty() {
            return Err(EditError::Nothing);
        }
        commit(document, &plan, at)
    })?;
    *document = written;
    Ok(change)
}

/// What is to be written where.
struct Plan<'a> {
    shape: &'a Shape,
    reader: Reader<'a>,
    puts: Vec<(ObjId, String, ScalarValue)>,
    made: Vec<(ObjId, String, BTreeMap<String, ScalarValue>)>,
    texts: Vec<(ObjId, String, String)>,
    conflicted: BTreeSet<FieldPath>,
}

impl<'a> Plan<'a> {
    fn of(document: &'a Document, edit: &Edit) -> Result<Self, EditError> {
        let mut plan = Self {
            shape: document.shape(),
            reader: Reader::now(document),
            puts: Vec::new(),
            made: Vec::new(),
            texts: Vec::new(),
            conflicted: BTreeSet::new(),
        };
        plan.fields(&edit.fields)?;
        plan.items(&edit.items)?;
        plan.notes(&edit.notes)?;
        plan.segments(&edit.segments)?;
        plan.files(&edit.files)?;
        Ok(plan)
    }

    fn fields(&mut self, fields: &BTreeMap<String, Value>) -> Result<(), EditError> {
        if fields.is_empty() {
            return Ok(());
        }
        let map = self.reader.container("fields")?;
        let slots = self.reader.slots(std::slice::from_ref(&map))?;
        for (code, value) in fields {
            let path = FieldPath::Field(code.clone());
            let rule = self.shape.field(code).ok_or_else(|| self.unknown(code, &path))?;
            rule.check(value).map_err(|misfit| misfit_at(misfit, &path))?;
            self.put(std::slice::from_ref(&map), path, code, slots.get(code), value);
        }
        Ok(())
    }

    fn items(&mut self, items: &[ItemEdit]) -> Result<(), EditError> {
        // One place is written once in a change: later edits of one item win over earlier ones.
        let mut merged: BTreeMap<&str, BTreeMap<ItemId, BTreeMap<String, Value>>> = BTreeMap::new();
        for edit in items {
            let path = FieldPath::Item { list: edit.list.clone(), item: edit.item, field: String::from("*") };
            let rules = self.shape.list(&edit.list).ok_or_else(|| self.unknown(&edit.list, &path))?;
            let item = merged.entry(&edit.list).or_default().entry(edit.item).or_default();
            for (code, value) in &edit.fields {
                let path = FieldPath::Item { list: edit.list.clone(), item: edit.item, field: code.clone() };
                let rule: &FieldRule = rules.get(code).ok_or_else(|| self.unknown(code, &path))?;
                rule.check(value).map_err(|misfit| misfit_at(misfit, &path))?;
                item.insert(code.clone(), value.clone());
            }
            if let Some(removed) = edit.removed {
                item.insert(REMOVED.to_owned(), Value::Bool(removed));
            }
        }
        if merged.is_empty() {
            return Ok(());
        }
        let lists = self.reader.container_slots("lists")?;
        for (list, items) in merged {
            let found = maps(lists.get(list).map_or(&[], Vec::as_slice));
            let Some(map) = found.last().cloned() else {
                return Err(EditError::Document(DocumentError::Damaged { why: format!("the list {list} is missing") }));
            };
            let known = self.reader.slots(&found)?;
            let new = items.keys().filter(|item| !known.contains_key(&item.to_string())).count();
            if known.len() + new > LIST_ITEMS_MAX {
                return Err(EditError::OverLimit { path: format!("lists/{list}"), max: LIST_ITEMS_MAX });
            }
            for (item, fields) in items {
                let path = |field: &str| FieldPath::Item { list: list.to_owned(), item, field: field.to_owned() };
                self.map(&map, &item.to_string(), known.get(&item.to_string()), fields, path)?;
            }
        }
        Ok(())
    }

    fn notes(&mut self, notes: &BTreeMap<String, String>) -> Result<(), EditError> {
        if notes.is_empty() {
            return Ok(());
        }
        let slots = self.reader.container_slots("notes")?;
        for (code, text) in notes {
            let path = FieldPath::Note(code.clone());
            let max = self.shape.note_chars_max(code).ok_or_else(|| self.unknown(code, &path))?;
            if text.chars().count() > max {
                return Err(misfit_at(Misfit::OverLimit { max }, &path));
            }
            let Some(Content::Text(note)) = slots.get(code).and_then(|slot| slot.last()).map(|held| &held.content) else {
                return Err(EditError::Document(DocumentError::Damaged { why: format!("the note {code} is missing") }));
            };
            let old = self.reader.text(note)?;
            if old != *text {
                self.texts.push((note.clone(), old, text.clone()));
            }
        }
        Ok(())
    }

    fn segments(&mut self, segments: &BTreeMap<String, Vec<u8>>) -> Result<(), EditError> {
        if segments.is_empty() {
            return Ok(());
        }
        let map = self.reader.container("track")?;
        let slots = self.reader.slots(std::slice::from_ref(&map))?;
        for (key, bytes) in segments {
            let path = FieldPath::Segment(key.clone());
            if !self.shape.has_track() {
                return Err(self.unknown("track", &path));
            }
            if !is_segment_key(key) {
                return Err(EditError::WrongType { path: path.to_string(), expected: "a key of 1 to 64 printable ASCII characters" });
            }
            if bytes.len() > SEGMENT_BYTES_MAX {
                return Err(misfit_at(Misfit::OverLimit { max: SEGMENT_BYTES_MAX }, &path));
            }
            let slot = slots.get(key).map_or(&[][..], Vec::as_slice);
            self.put_said(std::slice::from_ref(&map), path, key, slot, &Said::Bytes(bytes.clone()), ScalarValue::Bytes(bytes.clone()));
        }
        Ok(())
    }

    fn files(&mut self, files: &BTreeMap<Hash, FileRef>) -> Result<(), EditError> {
        if files.is_empty() {
            return Ok(());
        }
        let map = self.reader.container("files")?;
        let known = self.reader.slots(std::slice::from_ref(&map))?;
        let new = files.keys().filter(|hash| !known.contains_key(&hash.to_string())).count();
        if known.len() + new > FILES_MAX {
            return Err(EditError::OverLimit { path: "files".into(), max: FILES_MAX });
        }
        for (&hash, file) in files {
            let path = |property: &str| FieldPath::File { file: hash, property: property.to_owned() };
            if !self.shape.has_files_field(&file.field) {
                return Err(self.unknown(&file.field, &path("field")));
            }
            let bytes = i64::try_from(file.bytes).map_err(|_| misfit_at(Misfit::OverLimit { max: usize::MAX }, &path("bytes")))?;
            let properties = BTreeMap::from([
                ("field".to_owned(), Value::Text(file.field.clone())),
                ("media_type".to_owned(), Value::Text(file.media_type.clone())),
                ("bytes".to_owned(), Value::Int(bytes)),
                (REMOVED.to_owned(), Value::Bool(file.removed)),
            ]);
            for (property, value) in &properties {
                check_file_property(self.shape, property, value, false)
                    .unwrap_or(Ok(()))
                    .map_err(|misfit| misfit_at(misfit, &path(property)))?;
            }
            self.map(&map, &hash.to_string(), known.get(&hash.to_string()), properties, path)?;
        }
        Ok(())
    }

    /// Writes into the maps that stand under a key, or makes one.
    fn map(
        &mut self,
        parent: &ObjId,
        key: &str,
        known: Option<&Vec<Held>>,
        values: BTreeMap<String, Value>,
        path: impl Fn(&str) -> FieldPath,
    ) -> Result<(), EditError> {
        let found = maps(known.map_or(&[], Vec::as_slice));
        if found.is_empty() {
            let says = |code: &str, value: &Value| *value != Value::Null && !(code == REMOVED && *value == Value::Bool(false));
            let new = values.iter().filter(|(code, value)| says(code, value));
            self.made.push((parent.clone(), key.to_owned(), new.map(|(code, value)| (code.clone(), scalar(value))).collect()));
            return Ok(());
        }
        let slots = self.reader.slots(&found)?;
        for (code, value) in &values {
            self.put(&found, path(code), code, slots.get(code), value);
        }
        Ok(())
    }

    fn put(&mut self, maps: &[ObjId], path: FieldPath, key: &str, slot: Option<&Vec<Held>>, value: &Value) {
        let slot = slot.map_or(&[][..], Vec::as_slice);
        let is_default = *value == Value::Null || (key == REMOVED && *value == Value::Bool(false));
        if slot.is_empty() && is_default {
            return;
        }
        self.put_said(maps, path, key, slot, &Said::Value(value.clone()), scalar(value));
    }

    fn put_said(&mut self, maps: &[ObjId], path: FieldPath, key: &str, slot: &[Held], said: &Said, scalar: ScalarValue) {
        match distinct(slot)[..] {
            [one] if one == said => return,
            [] | [_] => {}
            _ => {
                self.conflicted.insert(path);
            }
        }
        for map in maps {
            self.puts.push((map.clone(), key.to_owned(), scalar.clone()));
        }
    }

    fn unknown(&self, code: &str, path: &FieldPath) -> EditError {
        let path = path.to_string();
        if self.shape.is_elsewhere(code) { EditError::WrongDocument { path } } else { EditError::UnknownField { path } }
    }
}

/// Writes a plan on a copy of the document.
fn commit(document: &Document, plan: &Plan<'_>, at: UnixMillis) -> Result<(Document, Change), EditError> {
    let mut automerge = document.automerge().clone();
    let mut tx = automerge.transaction();
    for (map, key, value) in &plan.puts {
        tx.put(map, key.as_str(), value.clone()).map_err(DocumentError::from)?;
    }
    for (parent, key, values) in &plan.made {
        let map = tx.put_object(parent, key.as_str(), ObjType::Map).map_err(DocumentError::from)?;
        for (key, value) in values {
            tx.put(&map, key.as_str(), value.clone()).map_err(DocumentError::from)?;
        }
    }
    for (note, old, new) in &plan.texts {
        splice(&mut tx, note, old, new)?;
    }
    if tx.commit_with(CommitOptions::default().with_time(at.seconds())).0.is_none() {
        return Err(EditError::Nothing);
    }
    let change = automerge
        .get_last_local_change()
        .ok_or_else(|| DocumentError::Damaged { why: "a change that was just made is missing".into() })?;
    let line = Line::of(&change)?;
    let bytes = change.raw_bytes().to_vec();
    if bytes.len() > CHANGE_BYTES_MAX || change.len() > CHANGE_OPS_MAX {
        return Err(EditError::TooLarge { bytes: bytes.len(), operations: change.len() });
    }
    let hash = line.hash;
    let mut log = document.log().clone();
    log.append(line);
    if log.bytes() > DOCUMENT_BYTES_MAX || log.ops() > DOCUMENT_OPS_MAX {
        return Err(EditError::DocumentFull);
    }
    Ok((document.with(automerge, log), Change { bytes, hash, settles: !plan.conflicted.is_empty() }))
}

/// Turns one text into another, writing little: what both begin and end with stays.
fn splice(tx: &mut impl Transactable, note: &ObjId, old: &str, new: &str) -> Result<(), DocumentError> {
    let before: Vec<char> = old.chars().collect();
    let after: Vec<char> = new.chars().collect();
    let head = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(|(one, other)| one == other).count();
    let (cut, put) = (before.len() - head - tail, after.len() - head - tail);
    if cut.saturating_mul(put) <= COMPARE_CELLS_MAX {
        return Ok(tx.update_text(note, new)?);
    }
    let text: String = after[head..head + put].iter().collect();
    let cut = isize::try_from(cut).map_err(|_| DocumentError::Damaged { why: "a note is too long".into() })?;
    Ok(tx.splice_text(note, head, cut, &text)?)
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(yes) => ScalarValue::Boolean(*yes),
        Value::Int(number) => ScalarValue::Int(*number),
        Value::Decimal(number) => ScalarValue::F64(*number),
        Value::Text(text) => ScalarValue::Str(text.as_str().into()),
    }
}

fn misfit_at(misfit: Misfit, path: &FieldPath) -> EditError {
    let path = path.to_string();
    match misfit {
        Misfit::WrongType { expected } => EditError::WrongType { path, expected },
        Misfit::OverLimit { max } => EditError::OverLimit { path, max },
    }
}
