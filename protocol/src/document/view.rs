//! What a document says, with conflicts and with who said what when. Judges nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DocumentError;
use super::path::{FieldPath, REMOVED};
use super::read::{Content, Held, Reader, Slots, distinct, maps};
use crate::facts::{Facts, FileRef, Item, Value};
use crate::id::{ActorId, Hash, ItemId};
use crate::time::UnixMillis;

/// What a document says at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// The values. Where several conflict, the one that every copy shows alike; fields that the kind does not know are here too.
    pub facts: Facts,
    /// The places that hold different values written by people who did not know of each other, sorted by place.
    pub conflicts: Vec<Conflict>,
    /// Who wrote the value that is shown, by place. Notes are woven by many: ask the history about them.
    pub written: BTreeMap<FieldPath, Written>,
    /// The changes that this is the view of, sorted.
    pub heads: Vec<Hash>,
}

/// A place with several values.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The place.
    pub path: FieldPath,
    /// The values, in one order on every copy; the last is the one that the facts show.
    pub claims: Vec<Claim>,
}

/// One of the values of a conflict.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The value.
    pub value: Said,
    /// Who wrote it.
    pub actor: ActorId,
    /// When, by his phone's clock, to the second.
    pub at: UnixMillis,
    /// In which change.
    pub change: Hash,
}

/// Who wrote a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Who wrote it.
    pub actor: ActorId,
    /// When, by his phone's clock, to the second.
    pub at: UnixMillis,
    /// In which change.
    pub change: Hash,
}

/// What was written at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// A value of a field.
    Value(Value),
    /// A track segment.
    Bytes(Vec<u8>),
    /// A note was changed.
    Text {
        /// The characters put in, in the order of their writing.
        inserted: String,
        /// How many characters were taken out.
        deleted: usize,
    },
}

/// Reads the view.
pub(super) fn read(reader: &Reader<'_>, heads: Vec<Hash>) -> Result<View, DocumentError> {
    let mut assembly = Assembly {
        reader,
        view: View {
            heads,
            ..View::default()
        },
    };
    assembly.fields()?;
    assembly.lists()?;
    assembly.notes()?;
    assembly.track()?;
    assembly.files()?;
    let mut view = assembly.view;
    view.conflicts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(view)
}

struct Assembly<'a> {
    reader: &'a Reader<'a>,
    view: View,
}

impl Assembly<'_> {
    fn fields(&mut self) -> Result<(), DocumentError> {
        for (code, slot) in self.reader.container_slots("fields")? {
            if let Some(Said::Value(value)) = self.show(FieldPath::Field(code.clone()), &slot)? {
                self.view.facts.fields.insert(code, value);
            }
        }
        Ok(())
    }

    fn lists(&mut self) -> Result<(), DocumentError> {
        for (list, slot) in self.reader.container_slots("lists")? {
            for (key, slot) in self.reader.slots(&maps(&slot))? {
                let Ok(item) = key.parse::<ItemId>() else { continue };
                let mut shown = Item::default();
                for (field, slot) in self.reader.slots(&maps(&slot))? {
                    let path = FieldPath::Item {
                        list: list.clone(),
                        item,
                        field: field.clone(),
                    };
                    match self.show(path, &slot)? {
                        Some(Said::Value(Value::Bool(removed))) if field == REMOVED => shown.removed = removed,
                        Some(Said::Value(value)) if field != REMOVED => {
                            shown.fields.insert(field, value);
                        }
                        Some(_) | None => {}
                    }
                }
                self.view.facts.lists.entry(list.clone()).or_default().insert(item, shown);
            }
        }
        Ok(())
    }

    fn notes(&mut self) -> Result<(), DocumentError> {
        for (code, slot) in self.reader.container_slots("notes")? {
            for held in &slot {
                if let Content::Text(note) = &held.content {
                    let text = self.reader.text(note)?;
                    if !text.is_empty() {
                        self.view.facts.notes.insert(code.clone(), text);
                    }
                }
            }
        }
        Ok(())
    }

    fn track(&mut self) -> Result<(), DocumentError> {
        for (key, slot) in self.reader.container_slots("track")? {
            if let Some(Said::Bytes(bytes)) = self.show(FieldPath::Segment(key.clone()), &slot)? {
                self.view.facts.track.insert(key, bytes);
            }
        }
        Ok(())
    }

    fn files(&mut self) -> Result<(), DocumentError> {
        for (key, slot) in self.reader.container_slots("files")? {
            let Ok(file) = key.parse::<Hash>() else { continue };
            let properties = self.reader.slots(&maps(&slot))?;
            let shown = self.file(file, properties)?;
            self.view.facts.files.insert(file, shown);
        }
        Ok(())
    }

    fn file(&mut self, file: Hash, properties: Slots) -> Result<FileRef, DocumentError> {
        let mut shown = FileRef {
            field: String::new(),
            media_type: String::new(),
            bytes: 0,
            thumbnail: None,
            removed: false,
        };
        for (property, slot) in properties {
            let said = self.show(
                FieldPath::File {
                    file,
                    property: property.clone(),
                },
                &slot,
            )?;
            match (property.as_str(), said) {
                ("field", Some(Said::Value(Value::Text(code)))) => shown.field = code,
                ("media_type", Some(Said::Value(Value::Text(media_type)))) => shown.media_type = media_type,
                ("bytes", Some(Said::Value(Value::Int(bytes)))) => shown.bytes = u64::try_from(bytes).unwrap_or(0),
                ("thumbnail", Some(Said::Value(Value::Text(hash)))) => shown.thumbnail = hash.parse().ok(),
                (REMOVED, Some(Said::Value(Value::Bool(removed)))) => shown.removed = removed,
                _ => {}
            }
        }
        Ok(shown)
    }

    /// Notes who wrote a place and whether it is in conflict; gives the value that is shown.
    fn show(&mut self, path: FieldPath, slot: &[Held]) -> Result<Option<Said>, DocumentError> {
        let said: Vec<(&Said, &Held)> = slot
            .iter()
            .filter_map(|held| match &held.content {
                Content::Said(said) => Some((said, held)),
                Content::Map(_) | Content::Text(_) | Content::Strange => None,
            })
            .collect();
        let Some(&(shown, held)) = said.last() else { return Ok(None) };
        self.view.written.insert(path.clone(), self.written(held)?);
        if distinct(slot).len() > 1 {
            let claims = said
                .iter()
                .map(|(said, held)| {
                    let Written { actor, at, change } = self.written(held)?;
                    Ok(Claim {
                        value: (*said).clone(),
                        actor,
                        at,
                        change,
                    })
                })
                .collect::<Result<Vec<_>, DocumentError>>()?;
            self.view.conflicts.push(Conflict { path, claims });
        }
        Ok(Some(shown.clone()))
    }

    fn written(&self, held: &Held) -> Result<Written, DocumentError> {
        let line = self.reader.log().change_of(&held.by).ok_or_else(|| DocumentError::Damaged {
            why: "a value belongs to no change".into(),
        })?;
        Ok(Written {
            actor: line.actor,
            at: line.at,
            change: line.hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Edit;
    use crate::document::sample::{copy, document, edit, file, item, receive};

    /// Two phones that have each other's edit of the same start.
    fn both(start: Edit, one: Edit, other: Edit) -> View {
        let mut first = document(1);
        edit(&mut first, start);
        let mut second = copy(&first, 2);
        let mine = edit(&mut first, one);
        let theirs = edit(&mut second, other);
        receive(&mut first, &[&theirs]);
        receive(&mut second, &[&mine]);
        let (first, second) = (first.view().unwrap(), second.view().unwrap());
        assert_eq!(first, second);
        first
    }

    #[test]
    fn different_concurrent_values_are_a_conflict_that_shows_both() {
        let view = both(
            Edit::new().field("visits", 1),
            Edit::new().field("purpose", "a"),
            Edit::new().field("purpose", "b"),
        );
        let [conflict] = &view.conflicts[..] else {
            panic!("{:?}", view.conflicts)
        };
        assert_eq!(conflict.path, FieldPath::Field("purpose".into()));
        let values: Vec<_> = conflict.claims.iter().map(|claim| claim.value.clone()).collect();
        assert_eq!(values, [Said::Value("a".into()), Said::Value("b".into())]);
        assert_eq!(Said::Value(view.facts.fields["purpose"].clone()), values[1]);
    }

    #[test]
    fn equal_concurrent_values_are_no_conflict() {
        let view = both(
            Edit::new().field("visits", 1),
            Edit::new().field("purpose", "a"),
            Edit::new().field("purpose", "a"),
        );
        assert_eq!(view.conflicts, []);
        assert_eq!(view.facts.fields["purpose"], Value::from("a"));
    }

    #[test]
    fn clearing_does_not_lose_against_setting() {
        let view = both(
            Edit::new().field("purpose", "a"),
            Edit::new().clear("purpose"),
            Edit::new().field("purpose", "b"),
        );
        assert_eq!(view.conflicts.len(), 1);
    }

    #[test]
    fn an_edit_inside_an_item_survives_its_removal() {
        let named = |name: &str| Edit::new().item("people_met", item(1), [("name", Value::from(name))]);
        let view = both(named("a"), Edit::new().remove("people_met", item(1)), named("b"));
        let shown = &view.facts.lists["people_met"][&item(1)];
        assert!(shown.removed);
        assert_eq!(shown.fields["name"], Value::from("b"));
        assert_eq!(view.conflicts, []);
    }

    #[test]
    fn a_photo_that_two_people_name_at_once_hides_neither() {
        let named = |media_type: &str| {
            let photo = FileRef {
                field: "photos".into(),
                media_type: media_type.into(),
                bytes: 9,
                thumbnail: None,
                removed: false,
            };
            Edit::new().file(file(1), photo)
        };
        assert_eq!(
            both(Edit::new().field("visits", 1), named("image/jpeg"), named("image/jpeg")).conflicts,
            []
        );
        let view = both(Edit::new().field("visits", 1), named("image/jpeg"), named("image/png"));
        let [conflict] = &view.conflicts[..] else {
            panic!("{:?}", view.conflicts)
        };
        assert_eq!(
            conflict.path,
            FieldPath::File {
                file: file(1),
                property: "media_type".into()
            }
        );
    }

    #[test]
    fn notes_of_two_people_are_woven() {
        let view = both(
            Edit::new().note("summary", "middle"),
            Edit::new().note("summary", "before middle"),
            Edit::new().note("summary", "middle after"),
        );
        assert_eq!(view.facts.notes["summary"], "before middle after");
    }

    #[test]
    fn each_value_names_its_author_and_time() {
        let mut document = document(1);
        let change = document.edit(&Edit::new().field("purpose", "a"), UnixMillis(5_999)).unwrap();
        let written = document.view().unwrap().written[&FieldPath::Field("purpose".into())];
        assert_eq!(
            written,
            Written {
                actor: document.actor(),
                at: UnixMillis(5_000),
                change: change.hash
            }
        );
    }
}
