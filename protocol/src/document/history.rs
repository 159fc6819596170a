//! Every write that was ever made in a document, with its author and time. Judges none.

use automerge::ExpandedChange;

use super::DocumentError;
use super::log::Line;
use super::path::FieldPath;
use super::replay::Replay;
use super::view::Said;
use crate::id::{ActorId, Hash};
use crate::time::UnixMillis;

/// One write to one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The place.
    pub path: FieldPath,
    /// What was written.
    pub value: Said,
    /// Who wrote it.
    pub actor: ActorId,
    /// When, by his phone's clock, to the second.
    pub at: UnixMillis,
    /// In which change.
    pub change: Hash,
    /// Whether it overwrote values that differed, and so settled a conflict.
    pub settles: bool,
}

/// Reads the history out of all changes of a document.
pub(super) fn read(changes: &[automerge::Change]) -> Result<Vec<Write>, DocumentError> {
    let mut lines = changes
        .iter()
        .map(|change| Ok((Line::of(change)?, change)))
        .collect::<Result<Vec<_>, DocumentError>>()?;
    // A change begins after all that its author had seen has ended, so this is an order of causes, and the same on every copy.
    lines.sort_by_key(|(line, _)| (line.start_op, line.actor, line.hash));
    let mut replay = Replay::default();
    let mut writes = Vec::new();
    for (line, change) in lines {
        replay.absorb(&ExpandedChange::from(change), |path, value, settles| {
            writes.push(Write {
                path,
                value,
                actor: line.actor,
                at: line.at,
                change: line.hash,
                settles,
            });
        })?;
    }
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use crate::document::sample::{actor, document, edit, item};
    use crate::document::{Edit, FieldPath, Said};
    use crate::facts::Value;

    #[test]
    fn every_write_is_told_with_its_author_even_what_was_overwritten() {
        let mut document = document(1);
        edit(&mut document, Edit::new().field("purpose", "a").note("summary", "好人"));
        edit(&mut document, Edit::new().field("purpose", "b").note("summary", "好警"));
        edit(
            &mut document,
            Edit::new()
                .clear("purpose")
                .item("people_met", item(1), [("name", Value::from("c"))]),
        );
        let told: Vec<_> = document
            .history()
            .unwrap()
            .into_iter()
            .map(|write| (write.path.to_string(), write.value))
            .collect();
        let person = FieldPath::Item {
            list: "people_met".into(),
            item: item(1),
            field: "name".into(),
        }
        .to_string();
        assert_eq!(
            told,
            [
                ("fields/purpose".to_owned(), Said::Value("a".into())),
                (
                    "notes/summary".to_owned(),
                    Said::Text {
                        inserted: "好人".into(),
                        deleted: 0
                    }
                ),
                ("fields/purpose".to_owned(), Said::Value("b".into())),
                (
                    "notes/summary".to_owned(),
                    Said::Text {
                        inserted: "警".into(),
                        deleted: 1
                    }
                ),
                ("fields/purpose".to_owned(), Said::Value(Value::Null)),
                (person, Said::Value("c".into())),
            ]
        );
        assert!(
            document
                .history()
                .unwrap()
                .iter()
                .all(|write| write.actor == actor(1) && !write.settles)
        );
    }
}
