//! The kinds in force with the shapes of their documents made once, and the opening of documents from their rows.

use std::collections::BTreeMap;

use beatbook_protocol::codec;
use beatbook_protocol::document::{Document, DocumentError, Shape};
use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{ActorId, Hash};
use beatbook_protocol::kind::{Catalogue, CheckedKind, DocumentName};
use beatbook_protocol::wire::KindFile;

use crate::error::StationError;
use crate::projection::record::RecordState;
use crate::store::ReadTx;

/// The kinds, ready for use.
#[derive(Debug)]
pub(crate) struct Kinds {
    catalogue: Catalogue,
    shapes: BTreeMap<(String, u32, DocumentName), Shape>,
}

/// The author mark under which documents are opened that nobody will write in.
const READER: ActorId = ActorId::from_bytes([0; 16]);

impl Kinds {
    /// Makes the shapes of a catalogue.
    pub(crate) fn of(catalogue: Catalogue) -> Result<Self, StationError> {
        let mut shapes = BTreeMap::new();
        for kind in catalogue.iter() {
            for name in [DocumentName::Facts, DocumentName::Private] {
                let shape =
                    Shape::shared(kind, name).map_err(|fault| StationError::Kind(format!("kind {}: {fault}", kind.code)))?;
                shapes.insert((kind.code.clone(), kind.version, name), shape);
            }
        }
        Ok(Self { catalogue, shapes })
    }

    /// The kind, if it is in force.
    pub(crate) fn find(&self, code: &str, version: u32) -> Option<&CheckedKind> {
        self.catalogue.get(code, version)
    }

    /// The kind of a record that was taken in under it.
    pub(crate) fn get(&self, code: &str, version: u32) -> Result<&CheckedKind, StationError> {
        self.find(code, version)
            .ok_or_else(|| StationError::Kind(format!("records are of kind {code} version {version}, whose file is missing")))
    }

    /// The kind of a record.
    pub(crate) fn kind_of(&self, state: &RecordState) -> Result<&CheckedKind, StationError> {
        self.get(&state.opening.opens.kind, state.opening.opens.version)
    }

    /// One hash over all kinds.
    pub(crate) fn digest(&self) -> Hash {
        self.catalogue.digest()
    }

    /// The files, by code and version.
    pub(crate) fn files(&self) -> Vec<KindFile> {
        let file = |kind: &CheckedKind| KindFile {
            kind: kind.code.clone(),
            version: kind.version,
            source: kind.source().to_owned(),
        };
        self.catalogue.iter().map(file).collect()
    }

    /// Whether a record waits for review.
    pub(crate) fn in_review(&self, kind: &CheckedKind, state: &RecordState) -> bool {
        kind.state(&state.state).is_some_and(|found| found.review) || state.offered.is_some()
    }

    /// A document of a record to read in, as the database has it.
    pub(crate) fn document(&self, tx: &ReadTx<'_>, state: &RecordState, name: DocumentName) -> Result<Document, StationError> {
        self.document_as(tx, state, name, READER)
    }

    /// A document of a record to write in under an author mark of its own.
    pub(crate) fn document_as(
        &self,
        tx: &ReadTx<'_>,
        state: &RecordState,
        name: DocumentName,
        actor: ActorId,
    ) -> Result<Document, StationError> {
        let shape = self.shape(state, name)?;
        let snapshot = tx.snapshot(state.id, name)?;
        let after = snapshot.as_ref().map(|(leaf, _)| *leaf);
        let changes = tx
            .change_entries(state.id, name, after)?
            .iter()
            .map(|bytes| match codec::from_bytes("entry", bytes) {
                Ok(Entry::Change(change)) => Ok(change.change),
                Ok(_) | Err(_) => Err(StationError::Damaged(format!(
                    "record {}: a change entry holds no change",
                    state.id
                ))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Document::open_as(shape, actor, snapshot.as_ref().map(|(_, bytes)| bytes.as_slice()), &changes)
            .map_err(|fault| damaged(state, &fault))
    }

    /// A document of a record that nobody has written in yet.
    pub(crate) fn begin(&self, state: &RecordState, name: DocumentName) -> Result<Document, StationError> {
        Ok(Document::begin(self.shape(state, name)?, READER))
    }

    fn shape(&self, state: &RecordState, name: DocumentName) -> Result<&Shape, StationError> {
        let opens = &state.opening.opens;
        self.shapes.get(&(opens.kind.clone(), opens.version, name)).ok_or_else(|| {
            StationError::Kind(format!(
                "the file of kind {} version {} is missing",
                opens.kind, opens.version
            ))
        })
    }
}

/// A document that went through the guard and does not open any more.
pub(crate) fn damaged(state: &RecordState, fault: &DocumentError) -> StationError {
    StationError::Damaged(format!("record {}: {fault}", state.id))
}
