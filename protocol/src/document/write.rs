//! Plans an edit against what stands: what is to be written where. Nothing is written when anything of the edit does not fit.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{ObjId, ScalarValue};

use super::DocumentError;
use super::body::{Document, calmly};
use super::commit;
use super::edit::{Change, Edit, EditError, ItemEdit};
use super::path::{FieldPath, REMOVED};
use super::read::{Content, Held, Reader, distinct, maps};
use super::shape::{FieldRule, Misfit, Shape, check_file_property, is_segment_key};
use super::view::Said;
use crate::facts::{FileRef, Value};
use crate::id::{Hash, ItemId};
use crate::limits::{DOCUMENT_CHANGES_MAX, FILES_MAX, LIST_ITEMS_MAX, SEGMENT_BYTES_MAX};
use crate::time::UnixMillis;

/// Writes an edit.
pub(super) fn write(document: &mut Document, edit: &Edit, at: UnixMillis) -> Result<Change, EditError> {
    if document.change_count() >= DOCUMENT_CHANGES_MAX {
        return Err(EditError::DocumentFull);
    }
    let (written, change) = calmly(|| {
        let plan = Plan::of(document, edit)?;
        if !plan.conflicted.is_empty() && !edit.settles {
            return Err(EditError::Conflicted {
                paths: plan.conflicted.into_iter().collect(),
            });
        }
        if plan.puts.is_empty() && plan.made.is_empty() && plan.texts.is_empty() {
            return Err(EditError::Nothing);
        }
        commit::commit(document, &plan, at)
    })?;
    *document = written;
    Ok(change)
}

/// What is to be written where.
pub(super) struct Plan<'a> {
    shape: &'a Shape,
    reader: Reader<'a>,
    /// Values under keys of maps.
    pub(super) puts: Vec<(ObjId, String, ScalarValue)>,
    /// Maps under keys of maps, with their values.
    pub(super) made: Vec<(ObjId, String, BTreeMap<String, ScalarValue>)>,
    /// Notes, with their old and new text.
    pub(super) texts: Vec<(ObjId, String, String)>,
    /// The places among these that are in conflict.
    pub(super) conflicted: BTreeSet<FieldPath>,
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
            let path = FieldPath::Item {
                list: edit.list.clone(),
                item: edit.item,
                field: String::from("*"),
            };
            let rules = self.shape.list(&edit.list).ok_or_else(|| self.unknown(&edit.list, &path))?;
            let item = merged.entry(&edit.list).or_default().entry(edit.item).or_default();
            for (code, value) in &edit.fields {
                let path = FieldPath::Item {
                    list: edit.list.clone(),
                    item: edit.item,
                    field: code.clone(),
                };
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
                return Err(EditError::Document(DocumentError::Damaged {
                    why: format!("the list {list} is missing"),
                }));
            };
            let known = self.reader.slots(&found)?;
            let new = items.keys().filter(|item| !known.contains_key(&item.to_string())).count();
            if known.len() + new > LIST_ITEMS_MAX {
                return Err(EditError::OverLimit {
                    path: format!("lists/{list}"),
                    max: LIST_ITEMS_MAX,
                });
            }
            for (item, fields) in items {
                let path = |field: &str| FieldPath::Item {
                    list: list.to_owned(),
                    item,
                    field: field.to_owned(),
                };
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
                return Err(EditError::Document(DocumentError::Damaged {
                    why: format!("the note {code} is missing"),
                }));
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
                return Err(EditError::WrongType {
                    path: path.to_string(),
                    expected: "a key of 1 to 64 printable ASCII characters",
                });
            }
            if bytes.len() > SEGMENT_BYTES_MAX {
                return Err(misfit_at(Misfit::OverLimit { max: SEGMENT_BYTES_MAX }, &path));
            }
            let slot = slots.get(key).map_or(&[][..], Vec::as_slice);
            self.put_said(
                std::slice::from_ref(&map),
                path,
                key,
                slot,
                &Said::Bytes(bytes.clone()),
                ScalarValue::Bytes(bytes.clone()),
            );
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
            return Err(EditError::OverLimit {
                path: "files".into(),
                max: FILES_MAX,
            });
        }
        for (&hash, file) in files {
            let path = |property: &str| FieldPath::File {
                file: hash,
                property: property.to_owned(),
            };
            if !self.shape.has_files_field(&file.field) {
                return Err(self.unknown(&file.field, &path("field")));
            }
            let bytes =
                i64::try_from(file.bytes).map_err(|_| misfit_at(Misfit::OverLimit { max: usize::MAX }, &path("bytes")))?;
            let properties = BTreeMap::from([
                ("field".to_owned(), Value::Text(file.field.clone())),
                ("media_type".to_owned(), Value::Text(file.media_type.clone())),
                ("bytes".to_owned(), Value::Int(bytes)),
                (
                    "thumbnail".to_owned(),
                    file.thumbnail.map_or(Value::Null, |hash| Value::Text(hash.to_string())),
                ),
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
            self.made.push((
                parent.clone(),
                key.to_owned(),
                new.map(|(code, value)| (code.clone(), scalar(value))).collect(),
            ));
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
        if self.shape.is_elsewhere(code) {
            EditError::WrongDocument { path }
        } else {
            EditError::UnknownField { path }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::sample::{copy, document, edit, file, item, receive};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn an_edit_that_says_what_stands_changes_nothing() {
        let photo = FileRef {
            field: "photos".into(),
            media_type: "image/jpeg".into(),
            bytes: 9,
            thumbnail: None,
            removed: false,
        };
        let all = Edit::new()
            .field("purpose", "a")
            .clear("day")
            .item("people_met", item(1), [("name", Value::from("b")), ("age", Value::Int(3))])
            .note("summary", "c")
            .segment("0001", [1])
            .file(file(1), photo);
        let mut document = document(1);
        edit(&mut document, all.clone());
        let before = document.heads();
        assert_eq!(document.edit(&all, NOW), Err(EditError::Nothing));
        assert_eq!(document.heads(), before);
        let change = edit(&mut document, all.field("purpose", "z"));
        assert_eq!(
            document
                .history()
                .unwrap()
                .iter()
                .filter(|write| write.change == change.hash)
                .count(),
            1
        );
    }

    #[test]
    fn a_photo_is_shown_with_its_small_picture_and_keeps_it_when_it_is_removed() {
        let photo = FileRef {
            field: "photos".into(),
            media_type: "image/jpeg".into(),
            bytes: 9,
            thumbnail: Some(file(2)),
            removed: false,
        };
        let mut document = document(1);
        edit(&mut document, Edit::new().file(file(1), photo.clone()));
        assert_eq!(document.view().unwrap().facts.files[&file(1)], photo);
        let removed = FileRef { removed: true, ..photo };
        edit(&mut document, Edit::new().file(file(1), removed.clone()));
        assert_eq!(document.view().unwrap().facts.files[&file(1)], removed);
    }

    #[test]
    fn what_does_not_fit_is_named_and_nothing_is_written() {
        let mut document = document(1);
        let wrong = |path: &str, expected| EditError::WrongType {
            path: path.into(),
            expected,
        };
        let person = format!("lists/people_met/{}/age", item(1));
        for (bad, error) in [
            (
                Edit::new().field("nothing", "x"),
                EditError::UnknownField {
                    path: "fields/nothing".into(),
                },
            ),
            (
                Edit::new().field("id_number", "x"),
                EditError::WrongDocument {
                    path: "fields/id_number".into(),
                },
            ),
            (
                Edit::new().note("session", "x"),
                EditError::WrongDocument {
                    path: "notes/session".into(),
                },
            ),
            (Edit::new().field("visits", "x"), wrong("fields/visits", "a whole number")),
            (
                Edit::new().item("people_met", item(1), [("age", Value::from("x"))]),
                wrong(&person, "a whole number"),
            ),
            (
                Edit::new().field("purpose", "x".repeat(4_001)),
                EditError::OverLimit {
                    path: "fields/purpose".into(),
                    max: 4_000,
                },
            ),
            (
                Edit::new().note("summary", "x".repeat(20_001)),
                EditError::OverLimit {
                    path: "notes/summary".into(),
                    max: 20_000,
                },
            ),
            (
                Edit::new().segment("1", vec![0; 40_000]),
                EditError::OverLimit {
                    path: "track/1".into(),
                    max: SEGMENT_BYTES_MAX,
                },
            ),
        ] {
            assert_eq!(document.edit(&bad.field("share", 0), NOW), Err(error));
        }
        assert_eq!(document.change_count(), 0);
    }

    #[test]
    fn only_a_settlement_writes_over_a_conflict() {
        // Either value, so also the one that is shown already: whoever settles says it himself.
        for value in ["mine", "theirs"] {
            let mut one = document(1);
            edit(&mut one, Edit::new().field("visits", 1));
            let mut other = copy(&one, 2);
            let theirs = edit(&mut other, Edit::new().field("purpose", "theirs"));
            edit(&mut one, Edit::new().field("purpose", "mine"));
            receive(&mut one, &[&theirs]);
            let again = Edit::new().field("purpose", value).field("visits", 7);
            let conflicted = EditError::Conflicted {
                paths: vec![FieldPath::Field("purpose".into())],
            };
            assert_eq!(one.edit(&again, NOW), Err(conflicted));
            assert!(!edit(&mut one, Edit::new().field("visits", 3)).settles);
            let before = copy(&one, 3);
            let settled = edit(&mut one, again.settling());
            assert!(settled.settles);
            let view = one.view().unwrap();
            assert_eq!(
                (view.conflicts.len(), &view.facts.fields["purpose"]),
                (0, &Value::from(value))
            );
            assert_eq!(view.written[&FieldPath::Field("purpose".into())].change, settled.hash);
            let history = one.history().unwrap();
            let places: Vec<_> = history
                .iter()
                .filter(|write| write.settles)
                .map(|write| write.path.to_string())
                .collect();
            assert_eq!(places, ["fields/purpose"]);
            let mut elsewhere = before;
            receive(&mut elsewhere, &[&settled]);
            assert_eq!(elsewhere.view().unwrap(), view);
            edit(&mut one, Edit::new().field("purpose", "on"));
        }
    }

    #[test]
    fn a_photo_named_twice_at_once_can_be_settled() {
        let photo = |media_type: &str| {
            let photo = FileRef {
                field: "photos".into(),
                media_type: media_type.into(),
                bytes: 9,
                thumbnail: None,
                removed: false,
            };
            Edit::new().file(file(1), photo)
        };
        let (mut one, mut other) = (document(1), document(2));
        let mine = edit(&mut one, photo("image/jpeg"));
        let theirs = edit(&mut other, photo("image/png"));
        receive(&mut one, &[&theirs]);
        receive(&mut other, &[&mine]);
        let settled = edit(&mut one, photo("image/jpeg").settling());
        receive(&mut other, &[&settled]);
        assert_eq!(other.view().unwrap().conflicts, []);
        assert_eq!(one.view(), other.view());
    }

    #[test]
    fn a_large_rewrite_of_a_note_gives_the_new_text() {
        let mut document = document(1);
        let (old, new) = ("abc人".repeat(2_000), "xyz民警".repeat(2_000));
        edit(&mut document, Edit::new().note("summary", old));
        edit(&mut document, Edit::new().note("summary", new.clone()));
        assert_eq!(document.view().unwrap().facts.notes["summary"], new);
    }

    #[test]
    fn a_full_document_takes_no_more() {
        let mut document = document(1);
        for number in 0..8 {
            let edit = Edit::new().segment(&number.to_string(), vec![7; SEGMENT_BYTES_MAX]);
            let done = document.edit(&edit, NOW);
            assert_eq!(done.is_ok(), number < 7, "{number}");
            assert!(number < 7 || done == Err(EditError::DocumentFull));
        }
    }
}
