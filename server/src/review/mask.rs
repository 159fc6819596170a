//! Masks: takes from what is to be shown the values that a reader's sight does not reach, and keeps account of the sensitive ones that it
//! leaves. A masked place stays where it is and says so; its value is taken out here, and is in nothing that leaves this room.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::document::{FieldPath, REMOVED};
use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::kind::{ActRule, CheckedKind, DocumentName, FieldType};
use serde_json::{Value as Json, json};

use crate::policy::{Sight, level_of, levels_of};
use crate::projection::reading::json as json_of;

/// What stands in a masked place.
pub(crate) fn masked() -> Json {
    json!({ "masked": true })
}

/// A sight held against a kind, with an account of what was shown and what was not.
#[derive(Debug)]
pub(crate) struct Mask<'a> {
    sight: &'a Sight,
    kind: &'a CheckedKind,
    levels: BTreeMap<String, u8>,
    shown: BTreeSet<String>,
    masked: BTreeSet<String>,
}

impl<'a> Mask<'a> {
    /// A sight held against a kind.
    pub(crate) fn new(kind: &'a CheckedKind, sight: &'a Sight) -> Self {
        Self {
            sight,
            kind,
            levels: levels_of(&kind.fields),
            shown: BTreeSet::new(),
            masked: BTreeSet::new(),
        }
    }

    /// The fields with sensitive values that were shown plainly, by code. Names, never values.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.shown.iter().cloned().collect()
    }

    /// The places that were masked.
    pub(crate) fn masked(self) -> Vec<String> {
        self.masked.into_iter().collect()
    }

    /// A document with only the values that may be seen; the others' places are noted under the document's name.
    pub(crate) fn facts(&mut self, document: DocumentName, name: &str, mut facts: Facts) -> Facts {
        facts
            .fields
            .retain(|code, _| self.keeps(document, code, || format!("{name}/fields/{code}")));
        for (list, items) in &mut facts.lists {
            for (id, item) in items {
                item.fields.retain(|code, _| {
                    self.keeps(document, &format!("{list}/{code}"), || {
                        format!("{name}/lists/{list}/{id}/{code}")
                    })
                });
            }
        }
        facts
            .notes
            .retain(|code, _| self.keeps(document, code, || format!("{name}/notes/{code}")));
        if !facts.track.is_empty() && !self.lets_track(document) {
            facts.track.clear();
            self.masked.insert(format!("{name}/track"));
        }
        facts
    }

    /// A value that was written at a place, or what stands there instead.
    pub(crate) fn value(&mut self, document: DocumentName, path: &FieldPath, value: Json) -> Json {
        let is_shown = match path {
            FieldPath::Field(code) | FieldPath::Note(code) => self.lets(document, code),
            FieldPath::Item { field, .. } if field == REMOVED => true,
            FieldPath::Item { list, field, .. } => self.lets(document, &format!("{list}/{field}")),
            FieldPath::Segment(_) => self.lets_track(document),
            // What is said of a file is no content of it; who asks for its bytes is asked why.
            FieldPath::File { .. } => true,
        };
        if is_shown { value } else { masked() }
    }

    /// The values of an act, by the fields of its rule.
    pub(crate) fn act(&mut self, code: &str, values: Vec<(String, Value)>) -> BTreeMap<String, Json> {
        let levels = self
            .kind
            .act(code)
            .map(|rule: &ActRule| levels_of(&rule.fields))
            .unwrap_or_default();
        values
            .into_iter()
            .map(|(name, value)| {
                let is_shown = self.weigh(&format!("{code}/{name}"), level_of(&levels, &name));
                let value = if is_shown { json_of(&value) } else { masked() };
                (name, value)
            })
            .collect()
    }

    /// Whether the track is shown.
    pub(crate) fn lets_track(&mut self, document: DocumentName) -> bool {
        let fields = &self.kind.fields;
        let track = fields.iter().find(|field| field.field_type == FieldType::Track);
        let code = track.map_or_else(|| "track".to_owned(), |field| field.code.clone());
        self.lets(document, &code)
    }

    /// Whether a value stays; where not, its place is noted.
    fn keeps(&mut self, document: DocumentName, field: &str, place: impl FnOnce() -> String) -> bool {
        let is_shown = self.lets(document, field);
        if !is_shown {
            self.masked.insert(place());
        }
        is_shown
    }

    fn lets(&mut self, document: DocumentName, place: &str) -> bool {
        let level = level_of(&self.levels, place);
        match document {
            DocumentName::Facts => self.weigh(place, level),
            // Whatever a field's level: what is kept apart is shown for a reason alone.
            DocumentName::Private => {
                let is_shown = self.sight.sees_all();
                if is_shown {
                    self.shown.insert(place.to_owned());
                }
                is_shown
            }
        }
    }

    fn weigh(&mut self, place: &str, level: u8) -> bool {
        let is_shown = self.sight.sees(level);
        if is_shown && Sight::is_noted(level) {
            self.shown.insert(place.to_owned());
        }
        is_shown
    }
}

/// Puts the sign of a mask into a document's JSON at the places that were masked.
pub(crate) fn sign(document: &mut Json, name: &str, places: &[String]) {
    for place in places {
        let Some(place) = place.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        let mut way: Vec<&str> = place.split('/').collect();
        if let ["lists", _, _, _] = way[..] {
            way.insert(3, "fields");
        }
        put(document, &way);
    }
}

fn put(at: &mut Json, way: &[&str]) {
    let Some(object) = at.as_object_mut() else { return };
    match way {
        [] => {}
        [last] => {
            object.insert((*last).to_owned(), masked());
        }
        [first, rest @ ..] => put(object.entry(*first).or_insert_with(|| json!({})), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::facts::Item;
    use beatbook_protocol::id::ItemId;
    use beatbook_protocol::kind::{Catalogue, Who};

    #[test]
    fn a_mask_keeps_the_shape_and_takes_the_values() {
        let kinds = Catalogue::builtin().unwrap();
        let kind = kinds.newest("visit").unwrap();
        let supervisor = Sight::of(kind, &[Who::Supervisor], false).unwrap();
        let item = ItemId::from_bytes([7; 16]);
        let met = Item {
            removed: false,
            fields: [
                ("name".to_owned(), Value::from("张三")),
                ("relation".to_owned(), Value::from("tenant")),
            ]
            .into(),
        };
        let mut facts = Facts::default();
        facts.fields.insert("outcome".into(), Value::from("done"));
        facts.fields.insert("of_a_later_version".into(), Value::from("张三"));
        facts.lists.insert("people_met".into(), [(item, met)].into());
        let mut mask = Mask::new(kind, &supervisor);
        let seen = mask.facts(DocumentName::Facts, "official", facts);
        let mut text = serde_json::to_value(&seen).unwrap();
        assert!(mask.shown().is_empty());
        sign(&mut text, "official", &mask.masked());
        assert!(!text.to_string().contains("张三"));
        assert_eq!(text["fields"]["outcome"], "done");
        for place in [
            &text["fields"]["of_a_later_version"],
            &text["lists"]["people_met"][item.to_string()]["fields"]["name"],
            &text["lists"]["people_met"][item.to_string()]["fields"]["relation"],
        ] {
            assert_eq!(*place, masked());
        }
    }
}
