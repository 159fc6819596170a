//! One document in memory: opened from bytes that we hold already, saved, asked what it contains. Bytes from elsewhere come in
//! through `guard` alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, LoadOptions, OnPartialLoad, SaveOptions, VerificationMode};

use super::edit::{Change, Edit, EditError};
use super::genesis::TEXT_ENCODING;
use super::history::{self, Write};
use super::log::{Line, Log, actor_into};
use super::read::Reader;
use super::shape::Shape;
use super::view::{self, View};
use super::write;
use crate::id::{ActorId, Hash};
use crate::kind::{DocumentName, Kind};
use crate::time::UnixMillis;

/// Stored bytes that are not a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The bytes are broken: set them aside and fetch the record again.
    #[error("the document is damaged: {why}")]
    Damaged {
        /// What automerge or we found.
        why: String,
    },
    /// Changes are missing: hand over the named ones too.
    #[error("the document lacks {} change(s) that others depend on, first {:?}", .0.len(), .0.first())]
    Missing(Vec<Hash>),
    /// The snapshot was made under another kind or for the record's other document.
    #[error("the snapshot does not begin with the genesis of this kind and document")]
    OtherGenesis,
    /// automerge panicked: set the bytes aside and report them.
    #[error("the document's library failed: {0}")]
    Crashed(String),
}

impl From<automerge::AutomergeError> for DocumentError {
    fn from(error: automerge::AutomergeError) -> Self {
        Self::Damaged { why: error.to_string() }
    }
}

/// One document of a record.
#[derive(Debug, Clone)]
pub struct Document {
    shape: Shape,
    actor: ActorId,
    automerge: Automerge,
    log: Log,
}

impl Document {
    /// Opens a document from a snapshot and changes that went through the guard before. `actor` must never have written in a copy
    /// of the document whose changes are not all here: one number used twice parts two copies for ever.
    ///
    /// # Errors
    /// When the bytes are damaged, belong to another kind, or lack changes.
    pub fn open(
        kind: &Kind,
        name: DocumentName,
        actor: ActorId,
        snapshot: Option<&[u8]>,
        changes: &[impl AsRef<[u8]>],
    ) -> Result<Self, DocumentError> {
        Self::open_as(&Shape::of(kind, name)?, actor, snapshot, changes)
    }

    /// The same with a shape that was made before, which saves making the genesis again.
    ///
    /// # Errors
    /// As [`Document::open`].
    pub fn open_as(
        shape: &Shape,
        actor: ActorId,
        snapshot: Option<&[u8]>,
        changes: &[impl AsRef<[u8]>],
    ) -> Result<Self, DocumentError> {
        calmly(|| {
            let mut document = match snapshot {
                Some(bytes) => Self::load(shape, actor, bytes)?,
                None => Self::begin(shape, actor),
            };
            let parsed = changes
                .iter()
                .map(|bytes| automerge::Change::try_from(bytes.as_ref()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| DocumentError::Damaged { why: error.to_string() })?;
            document.take_in(parsed)?;
            Ok(document)
        })
    }

    /// A document that holds its genesis alone.
    #[must_use]
    pub fn begin(shape: &Shape, actor: ActorId) -> Self {
        let mut automerge = shape.seed().clone();
        automerge.set_actor(actor_into(&actor));
        Self {
            shape: shape.clone(),
            actor,
            automerge,
            log: shape.genesis().clone(),
        }
    }

    /// The whole document as one snapshot for [`Document::open`], genesis included, not deflated (zstd follows where it is kept).
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.automerge.save_with_options(SaveOptions {
            deflate: false,
            retain_orphans: false,
        })
    }

    /// The changes that no other depends on, sorted.
    #[must_use]
    pub fn heads(&self) -> Vec<Hash> {
        self.log.heads()
    }

    /// How many changes people made; the genesis does not count.
    #[must_use]
    pub fn change_count(&self) -> usize {
        self.log.len() - self.shape.genesis().len()
    }

    /// Whether a change is here; the genesis always is.
    #[must_use]
    pub fn contains(&self, change: &Hash) -> bool {
        self.log.contains(change)
    }

    /// Who makes this copy's edits.
    #[must_use]
    pub fn actor(&self) -> ActorId {
        self.actor
    }

    /// What may be written where.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Writes what differs from the view and returns the change that does it. On an error the document is as it was.
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn edit(&mut self, edit: &Edit, at: UnixMillis) -> Result<Change, EditError> {
        write::write(self, edit, at)
    }

    /// What the document says now.
    ///
    /// # Errors
    /// Only when it is damaged in a way that the guard did not see.
    pub fn view(&self) -> Result<View, DocumentError> {
        calmly(|| view::read(&Reader::now(self), self.heads()))
    }

    /// What the document said to somebody who knew these changes; none when one of them is not here.
    ///
    /// # Errors
    /// As [`Document::view`].
    pub fn view_at(&self, heads: &[Hash]) -> Result<Option<View>, DocumentError> {
        if !heads.iter().all(|head| self.contains(head)) {
            return Ok(None);
        }
        let mut sorted = heads.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        calmly(|| view::read(&Reader::at(self, &sorted), sorted.clone()).map(Some))
    }

    /// Every write to every place, each after those its author had seen, in one order on every copy.
    ///
    /// # Errors
    /// As [`Document::view`].
    pub fn history(&self) -> Result<Vec<Write>, DocumentError> {
        calmly(|| history::read(&self.automerge.get_changes(&[])))
    }

    pub(super) fn automerge(&self) -> &Automerge {
        &self.automerge
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Another state of the same document, by a caller that has checked both against each other.
    pub(super) fn with(&self, automerge: Automerge, log: Log) -> Self {
        Self {
            shape: self.shape.clone(),
            actor: self.actor,
            automerge,
            log,
        }
    }

    /// Applies parsed changes, all of which must find what they depend on.
    pub(super) fn take_in(&mut self, changes: Vec<automerge::Change>) -> Result<(), DocumentError> {
        self.automerge.apply_changes(changes.iter().cloned())?;
        // automerge queues what lacks its dependencies and says Ok.
        let missing = automerge::ReadDoc::get_missing_deps(&self.automerge, &[]);
        if !missing.is_empty() {
            let mut missing: Vec<Hash> = missing.iter().map(|hash| Hash::from_bytes(hash.0)).collect();
            missing.sort_unstable();
            return Err(DocumentError::Missing(missing));
        }
        let mut lines = changes.iter().map(Line::of).collect::<Result<Vec<_>, _>>()?;
        // Dependencies always end before their dependents begin, so this order puts them first.
        lines.sort_by_key(|line| (line.start_op, line.max_op, line.seq, line.hash));
        for line in lines {
            self.log.append(line);
        }
        let heads: Vec<Hash> = self
            .automerge
            .get_heads()
            .iter()
            .map(|hash| Hash::from_bytes(hash.0))
            .collect();
        if heads != self.log.heads() {
            return Err(DocumentError::Damaged {
                why: "the changes do not lead to the document's heads".into(),
            });
        }
        Ok(())
    }

    fn load(shape: &Shape, actor: ActorId, bytes: &[u8]) -> Result<Self, DocumentError> {
        let mut automerge = load_snapshot(bytes)?;
        automerge.set_actor(actor_into(&actor));
        let mut log = Log::default();
        for change in automerge.get_changes(&[]) {
            log.append(Line::of(&change)?);
        }
        if !shape.genesis_hashes().iter().all(|hash| log.contains(hash)) {
            return Err(DocumentError::OtherGenesis);
        }
        Ok(Self {
            shape: shape.clone(),
            actor,
            automerge,
            log,
        })
    }
}

/// Loads a snapshot of ours: one document chunk and nothing behind it.
pub(super) fn load_snapshot(bytes: &[u8]) -> Result<Automerge, DocumentError> {
    // Nothing but the error modes makes a torn file an error; the lenient ones give a shorter document and say Ok.
    let options = LoadOptions::new()
        .on_partial_load(OnPartialLoad::Error)
        .verification_mode(VerificationMode::Check)
        .text_encoding(TEXT_ENCODING);
    if bytes.is_empty() {
        return Err(DocumentError::Damaged {
            why: "the snapshot is empty".into(),
        });
    }
    let automerge = Automerge::load_with_options(bytes, options)?;
    if !automerge::ReadDoc::get_missing_deps(&automerge, &[]).is_empty() {
        return Err(DocumentError::Damaged {
            why: "the snapshot carries changes without what they depend on".into(),
        });
    }
    Ok(automerge)
}

/// Runs work in automerge and turns a panic into an error. What the work changed is lost with it, so it works on copies.
pub(crate) fn calmly<T, E: From<DocumentError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(DocumentError::Crashed(text.chars().take(200).collect()).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::sample::{actor, copy, document, edit, item, kind, shape};
    use crate::facts::Value;

    const NONE: &[&[u8]] = &[];

    #[test]
    fn a_document_survives_its_snapshot_and_its_changes_alike() {
        let mut written = document(1);
        let first = edit(
            &mut written,
            Edit::new()
                .field("purpose", "巡逻")
                .note("summary", "一切正常")
                .segment("0001", [1, 2, 3]),
        );
        let second = edit(
            &mut written,
            Edit::new()
                .item("people_met", item(1), [("name", Value::from("王"))])
                .field("visits", 2),
        );
        let from_changes = Document::open(&kind(), DocumentName::Facts, actor(2), None, &[&second.bytes, &first.bytes]).unwrap();
        let from_snapshot = Document::open(&kind(), DocumentName::Facts, actor(3), Some(&written.save()), NONE).unwrap();
        let from_both = Document::open_as(&shape(), actor(4), Some(&written.save()), &[&first.bytes]).unwrap();
        for opened in [&from_changes, &from_snapshot, &from_both] {
            assert_eq!(opened.view(), written.view());
            assert_eq!(opened.history(), written.history());
            assert_eq!((opened.heads(), opened.change_count()), (vec![second.hash], 2));
            assert!(opened.contains(&first.hash));
        }
    }

    #[test]
    fn changes_without_what_they_depend_on_are_named() {
        let mut written = document(1);
        let first = edit(&mut written, Edit::new().field("purpose", "a"));
        let second = edit(&mut written, Edit::new().field("purpose", "b"));
        let opened = Document::open_as(&shape(), actor(2), None, &[&second.bytes]);
        assert_eq!(opened.unwrap_err(), DocumentError::Missing(vec![first.hash]));
    }

    #[test]
    fn torn_swapped_and_foreign_snapshots_are_errors() {
        let mut written = document(1);
        edit(&mut written, Edit::new().field("purpose", "a"));
        let saved = written.save();
        for end in [0, 1, 8, saved.len() / 2, saved.len() - 1] {
            assert!(
                Document::open_as(&shape(), actor(2), Some(&saved[..end]), NONE).is_err(),
                "{end}"
            );
        }
        let private = Document::open(&kind(), DocumentName::Private, actor(2), Some(&saved), NONE);
        assert_eq!(private.unwrap_err(), DocumentError::OtherGenesis);
        assert!(matches!(
            Document::open_as(&shape(), actor(2), None, &[b"x"]),
            Err(DocumentError::Damaged { .. })
        ));
    }

    #[test]
    fn an_old_state_can_be_read_and_an_unknown_one_cannot() {
        let mut written = document(1);
        let first = edit(&mut written, Edit::new().field("purpose", "a").note("summary", "one"));
        let then = written.view().unwrap();
        edit(
            &mut written,
            Edit::new()
                .field("purpose", "b")
                .note("summary", "two")
                .item("people_met", item(1), []),
        );
        assert_eq!(written.view_at(&[first.hash]).unwrap(), Some(then));
        assert_eq!(written.view_at(&[Hash::from_bytes([1; 32])]).unwrap(), None);
        assert_eq!(written.view_at(&[]).unwrap(), Some(View::default()));
    }

    #[test]
    fn equal_edits_of_two_records_have_one_hash() {
        let (mut one, mut other) = (document(1), document(1));
        let edits = Edit::new().field("purpose", "a");
        assert_eq!(edit(&mut one, edits.clone()), edit(&mut other, edits));
    }

    #[test]
    fn two_phones_that_begin_a_list_share_it() {
        let (mut one, mut other) = (document(1), document(2));
        let mine = edit(
            &mut one,
            Edit::new().item("people_met", item(1), [("name", Value::from("a"))]),
        );
        let theirs = edit(
            &mut other,
            Edit::new().item("people_met", item(2), [("name", Value::from("b"))]),
        );
        crate::document::sample::receive(&mut one, &[&theirs]);
        crate::document::sample::receive(&mut other, &[&mine]);
        assert_eq!(one.view().unwrap().facts.lists["people_met"].len(), 2);
        assert_eq!(one.view(), copy(&other, 3).view());
    }
}
