//! The changes that make a document's containers: the same bytes on every phone and station, so that two people who begin the same
//! list share it. They never travel. Knows no values.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{Automerge, ObjType, ROOT, TextEncoding};

use super::log::actor_into;
use super::{DocumentError, calmly};
use crate::codec::domain;
use crate::id::{ActorId, Hash};
use crate::kind::{DocumentName, FieldType, Kind};

/// How positions in notes are counted, on every platform: one per Unicode scalar value.
pub(super) const TEXT_ENCODING: TextEncoding = TextEncoding::UnicodeCodePoint;

/// The maps at the root, in the order they are made.
pub(super) const CONTAINERS: [&str; 5] = ["fields", "files", "lists", "notes", "track"];

/// What one version of a kind adds to a document: the codes of lists and notes, sorted, so that a form's order does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    version: u32,
    lists: Vec<String>,
    notes: Vec<String>,
}

/// The bytes of a document's genesis changes: first the containers of a kind's first version, then what later versions added,
/// each depending on the first alone.
///
/// # Errors
/// Only when automerge fails, which is a defect.
pub fn genesis(kind: &Kind, name: DocumentName) -> Result<Vec<Vec<u8>>, DocumentError> {
    Ok(genesis_changes(kind, name)?
        .iter()
        .map(|change| change.raw_bytes().to_vec())
        .collect())
}

/// The same as parsed changes.
pub(super) fn genesis_changes(kind: &Kind, name: DocumentName) -> Result<Vec<automerge::Change>, DocumentError> {
    calmly(|| {
        let mut first = Automerge::new_with_encoding(TEXT_ENCODING);
        let mut changes = Vec::new();
        for step in steps(kind, name) {
            let mut document = first.clone();
            changes.push(take_step(&mut document, &kind.code, name, &step)?);
            if changes.len() == 1 {
                first = document;
            }
        }
        Ok(changes)
    })
}

/// The author mark of a step: derived from what it makes containers for, so that equal names give equal bytes.
fn step_actor(kind: &str, name: DocumentName, version: u32) -> ActorId {
    let name = match name {
        DocumentName::Facts => "facts",
        DocumentName::Private => "private",
    };
    let hash = Hash::of(&[
        domain::GENESIS,
        kind.as_bytes(),
        &[0],
        &version.to_be_bytes(),
        name.as_bytes(),
    ]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    ActorId::from_bytes(bytes)
}

/// One step with all containers of the kind's version. Another version with other lists or notes has another first change: records stay under the
/// version that they were opened in, so that no document meets both. Should a record ever be raised to a later version, what that adds
/// has to be a step of its own, since the first change's bytes are what all others depend on.
fn steps(kind: &Kind, name: DocumentName) -> Vec<Step> {
    let codes = |field_type| {
        let mut codes: Vec<String> = kind
            .fields
            .iter()
            .filter(|field| field.document == name && field.field_type == field_type)
            .map(|field| field.code.clone())
            .collect();
        codes.sort();
        codes.dedup();
        codes
    };
    vec![Step {
        version: 1,
        lists: codes(FieldType::List),
        notes: codes(FieldType::Note),
    }]
}

fn take_step(document: &mut Automerge, kind: &str, name: DocumentName, step: &Step) -> Result<automerge::Change, DocumentError> {
    let is_first = document.is_empty();
    document.set_actor(actor_into(&step_actor(kind, name, step.version)));
    let mut tx = document.transaction();
    if is_first {
        for container in CONTAINERS {
            tx.put_object(ROOT, container, ObjType::Map)?;
        }
    }
    for (container, codes, made) in [("lists", &step.lists, ObjType::Map), ("notes", &step.notes, ObjType::Text)] {
        if let Some((_, map)) = automerge::ReadDoc::get(&tx, ROOT, container)? {
            for code in codes {
                tx.put_object(&map, code.as_str(), made)?;
            }
        }
    }
    tx.commit_with(CommitOptions::default().with_time(0));
    document.get_last_local_change().ok_or_else(|| DocumentError::Damaged {
        why: "a genesis change is empty".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::sample;

    #[test]
    fn the_genesis_of_the_sample_kind_is_frozen() {
        let hashes: Vec<String> = [DocumentName::Facts, DocumentName::Private]
            .into_iter()
            .map(|name| genesis_changes(&sample::kind(), name).unwrap()[0].hash().to_string())
            .collect();
        // A change here cuts every record ever made off from its containers.
        assert_eq!(
            hashes,
            [
                "22449b85617a74b242567376bb8693d6e33c0bae1c0cefdf6ab5d840f4d238f8",
                "47c4a9acc1dda11c4b1d43431553ec4e92a8563f1e583f170c05359bfc72bbb5"
            ]
        );
    }

    #[test]
    fn the_order_of_fields_in_a_form_does_not_matter() {
        let mut kind = sample::kind();
        let before = genesis(&kind, DocumentName::Facts).unwrap();
        kind.fields.reverse();
        assert_eq!(genesis(&kind, DocumentName::Facts).unwrap(), before);
    }

    #[test]
    fn kinds_and_documents_have_containers_of_their_own() {
        let mut kind = sample::kind();
        let facts = genesis(&kind, DocumentName::Facts).unwrap();
        assert_ne!(genesis(&kind, DocumentName::Private).unwrap(), facts);
        kind.code = "other".into();
        assert_ne!(genesis(&kind, DocumentName::Facts).unwrap(), facts);
    }
}
