//! Why the guard refuses a change. Each fault has a code that travels and never changes.

use crate::document::DocumentError;
use crate::id::Hash;

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardFault {
    /// Longer than any change may be.
    #[error("the change is {bytes} bytes long")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A deflated chunk: small bytes that may become many.
    #[error("the change is compressed; changes travel uncompressed")]
    Compressed,
    /// Not a change chunk, or a broken one.
    #[error("the bytes are not a change: {why}")]
    Malformed {
        /// What is wrong.
        why: &'static str,
    },
    /// The checksum does not fit the bytes.
    #[error("the checksum does not fit the bytes")]
    ChecksumWrong,
    /// The change could be written in another way that means the same, or carries what no edit of ours makes.
    #[error("the change is not in its one form: {why}")]
    NotCanonical {
        /// What is wrong.
        why: &'static str,
    },
    /// More operations than a change or a document may have.
    #[error("the change has too many operations")]
    TooManyOperations,
    /// Made under an author mark that its book may not use.
    #[error("the change bears an author mark that is not its author's")]
    ForeignActor,
    /// The author mark has used this number for another change.
    #[error("the author mark has another change of the number {seq}")]
    SequenceReused {
        /// The number.
        seq: u64,
    },
    /// The change leaves out a number of its author mark, or does not know its author's change before it.
    #[error("the change does not build on the one before it by the same author mark")]
    SequenceGap,
    /// It names an operation that its author cannot have seen, or that does not exist.
    #[error("{path}: names what its author had not seen")]
    Unseen {
        /// The place.
        path: String,
    },
    /// It writes a field that this document of the kind does not have.
    #[error("{path}: this document of the kind has no such place")]
    UnknownField {
        /// The place.
        path: String,
    },
    /// It writes a value of another type.
    #[error("{path}: the value is of another type")]
    WrongType {
        /// The place.
        path: String,
    },
    /// It writes a value that is too long, or one too many.
    #[error("{path}: over the limit of {max}")]
    OverLimit {
        /// The place.
        path: String,
        /// The limit.
        max: usize,
    },
    /// It deletes outside a note.
    #[error("{path}: nothing is deleted outside notes")]
    Deletes {
        /// The place.
        path: String,
    },
    /// It makes a map, list or text where a value belongs.
    #[error("{path}: makes a container where a value belongs")]
    Nests {
        /// The place.
        path: String,
    },
    /// It puts something over a container.
    #[error("{path}: overwrites a container")]
    OverwritesContainer {
        /// The place.
        path: String,
    },
    /// It writes over conflicting values and is not marked to settle.
    #[error("{path}: overwrites conflicting values without being marked to settle")]
    SettlesUnmarked {
        /// The place.
        path: String,
    },
    /// It depends on a change that was refused.
    #[error("depends on the refused change {of}")]
    Descendant {
        /// The refused change.
        of: Hash,
    },
    /// The document has as many changes or bytes as it may.
    #[error("the document is full")]
    DocumentFull,
    /// automerge panicked on it or gave an error.
    #[error("the document's library failed on it: {why}")]
    Crashed {
        /// What it said.
        why: String,
    },
    /// The document with it in could not be saved and loaded to the same.
    #[error("the document would not load again with it")]
    DoesNotReload,
}

impl GuardFault {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Compressed => "compressed",
            Self::Malformed { .. } => "malformed",
            Self::ChecksumWrong => "checksum_wrong",
            Self::NotCanonical { .. } => "not_canonical",
            Self::TooManyOperations => "too_many_operations",
            Self::ForeignActor => "foreign_actor",
            Self::SequenceReused { .. } => "sequence_reused",
            Self::SequenceGap => "sequence_gap",
            Self::Unseen { .. } => "unseen",
            Self::UnknownField { .. } => "unknown_field",
            Self::WrongType { .. } => "wrong_type",
            Self::OverLimit { .. } => "over_limit",
            Self::Deletes { .. } => "deletes",
            Self::Nests { .. } => "nests",
            Self::OverwritesContainer { .. } => "overwrites_container",
            Self::SettlesUnmarked { .. } => "settles_unmarked",
            Self::Descendant { .. } => "descendant",
            Self::DocumentFull => "document_full",
            Self::Crashed { .. } => "crashed",
            Self::DoesNotReload => "does_not_reload",
        }
    }
}

impl From<DocumentError> for GuardFault {
    fn from(error: DocumentError) -> Self {
        Self::Crashed { why: error.to_string() }
    }
}
