//! One edit, two documents: a form shows a record as one, and each of its fields lives in `facts` or in `private`.

use std::collections::BTreeMap;

use beatbook_protocol::document::{Edit, FieldPath, ItemEdit, REMOVED};
use beatbook_protocol::facts::{Facts, FileRef, Value};
use beatbook_protocol::kind::{DocumentName, Kind};

/// The edit's part for each document. Unknown fields go to `facts`, whose shape refuses them by name.
pub(crate) fn parts(kind: &Kind, edit: &Edit) -> [(DocumentName, Edit); 2] {
    let mut facts = Edit {
        settles: edit.settles,
        ..Edit::default()
    };
    let mut private = facts.clone();
    let is_private = |code: &str| kind.field(code).is_some_and(|field| field.document == DocumentName::Private);
    for (code, value) in &edit.fields {
        let part = if is_private(code) { &mut private } else { &mut facts };
        part.fields.insert(code.clone(), value.clone());
    }
    for item in &edit.items {
        let part = if is_private(&item.list) { &mut private } else { &mut facts };
        part.items.push(item.clone());
    }
    for (code, text) in &edit.notes {
        let part = if is_private(code) { &mut private } else { &mut facts };
        part.notes.insert(code.clone(), text.clone());
    }
    for (hash, file) in &edit.files {
        let part = if is_private(&file.field) { &mut private } else { &mut facts };
        part.files.insert(*hash, file.clone());
    }
    facts.segments.clone_from(&edit.segments);
    [(DocumentName::Facts, facts), (DocumentName::Private, private)]
}

/// Whether an edit says nothing at all.
pub(crate) fn is_empty(edit: &Edit) -> bool {
    *edit
        == Edit {
            settles: edit.settles,
            ..Edit::default()
        }
}

/// The edit that writes again what these facts say at these places.
pub(crate) fn pick<'p>(facts: &Facts, paths: impl IntoIterator<Item = &'p FieldPath>) -> Edit {
    let mut edit = Edit::new();
    for path in paths {
        match path {
            FieldPath::Field(code) => {
                edit.fields
                    .insert(code.clone(), facts.fields.get(code).cloned().unwrap_or(Value::Null));
            }
            FieldPath::Item { list, item, field } => {
                let Some(said) = facts.lists.get(list).and_then(|items| items.get(item)) else {
                    continue;
                };
                let known = edit.items.iter().position(|one| one.list == *list && one.item == *item);
                let at = known.unwrap_or_else(|| {
                    edit.items.push(ItemEdit {
                        list: list.clone(),
                        item: *item,
                        fields: BTreeMap::new(),
                        removed: None,
                    });
                    edit.items.len() - 1
                });
                if field == REMOVED {
                    edit.items[at].removed = Some(said.removed);
                } else if let Some(value) = said.fields.get(field) {
                    edit.items[at].fields.insert(field.clone(), value.clone());
                }
            }
            FieldPath::Note(code) => {
                edit.notes
                    .insert(code.clone(), facts.notes.get(code).cloned().unwrap_or_default());
            }
            FieldPath::Segment(key) => {
                edit.segments
                    .extend(facts.track.get(key).map(|bytes| (key.clone(), bytes.clone())));
            }
            FieldPath::File { file, .. } => {
                let said: Option<&FileRef> = facts.files.get(file);
                edit.files.extend(said.map(|said| (*file, said.clone())));
            }
        }
    }
    edit
}

/// The places that an edit writes to.
pub(crate) fn paths(edit: &Edit) -> Vec<FieldPath> {
    let mut paths: Vec<FieldPath> = edit.fields.keys().cloned().map(FieldPath::Field).collect();
    for item in &edit.items {
        let place = |field: &str| FieldPath::Item {
            list: item.list.clone(),
            item: item.item,
            field: field.to_owned(),
        };
        paths.extend(item.fields.keys().map(|field| place(field)));
        paths.extend(item.removed.map(|_| place(REMOVED)));
    }
    paths.extend(edit.notes.keys().cloned().map(FieldPath::Note));
    paths
}
