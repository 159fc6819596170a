//! A kind file becomes a kind, or a fault with file and line. What comes out is checked whole: every name known, every state reachable,
//! every expression compiled. Knows no records.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::check;
use super::expression::Expression;
use super::lines::{Lines, Step};
use super::model::{ActRule, DocumentName, Field, Kind, State};
use crate::id::Hash;
use crate::limits::KIND_BYTES_MAX;

/// Domain of a kind file's digest and of a catalogue's.
pub(super) const DOMAIN: &[u8] = b"beatbook/kind/1\0";

/// A kind file that cannot be used, and where to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {fault}")]
pub struct KindError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: KindFault,
}

/// What can be wrong with a kind file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindFault {
    /// Longer than a kind file may be.
    #[error("the file has {bytes} bytes; a kind has at most {KIND_BYTES_MAX}, so split it or shorten its texts")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not TOML, or a key or value that no kind has.
    #[error("{0}")]
    Malformed(String),
    /// A code with characters that codes do not have, or a word that CEL reserves.
    #[error(
        "{0:?} cannot be a code: use lower-case letters, digits and _, begin with a letter, at most 40, and no word of CEL for a field"
    )]
    BadCode(String),
    /// Two of a sort with one code.
    #[error("there is already a {what} {code:?}")]
    Duplicate {
        /// What it names.
        what: &'static str,
        /// The code.
        code: String,
    },
    /// A code that names nothing.
    #[error("there is no {what} {code:?}")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The code.
        code: String,
    },
    /// Something that has to be said is not.
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    /// Something that does not go with a field of this type, or here.
    #[error("{what} does not go with {place}")]
    Misplaced {
        /// What it is.
        what: &'static str,
        /// Where it stands.
        place: String,
    },
    /// A number beyond its limit.
    #[error("{what} must be from {min} to {max}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A personal or sensitive field that everybody in scope could read.
    #[error(
        "{0:?} has sensitivity 2 or more: put it into document = \"private\", or say in why_not_private why it is needed outside"
    )]
    Unprotected(String),
    /// A state that no act leads to.
    #[error("state {0:?} cannot be reached from the initial state: let an act lead to it, or take it out")]
    Unreachable(String),
    /// An act by others than the chief out of a settled state.
    #[error("act {act:?} leads out of {state:?}, which is settled: only the chief may do it")]
    Unsettled {
        /// The act.
        act: String,
        /// The state.
        state: String,
    },
    /// An act into a pinned state that pins nothing, or one that pins in a state that is not pinned.
    #[error("act {act:?} and state {state:?} disagree: entering a pinned state pins the facts, and only there are they pinned")]
    PinsDisagree {
        /// The act.
        act: String,
        /// The state.
        state: String,
    },
    /// An expression that cannot be used.
    #[error("in the expression {field}: {message}")]
    Expression {
        /// The key it stands under.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Another file of this code and version is in the catalogue.
    #[error("{code:?} version {version} is in the catalogue already and says something else: raise the version")]
    VersionTaken {
        /// The kind's code.
        code: String,
        /// Its version.
        version: u32,
    },
    /// A field that changed its type or document between two versions, so that old records could not be read.
    #[error("field {field:?} has another type or document than in version {version}: give it a new code")]
    FieldChanged {
        /// The field.
        field: String,
        /// The version it differs from.
        version: u32,
    },
}

/// A kind that was checked whole, with its compiled expressions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CheckedKind(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    kind: Kind,
    file: String,
    source: String,
    digest: Hash,
    expressions: BTreeMap<String, Expression>,
}

impl Kind {
    /// Reads and checks a kind file.
    ///
    /// # Errors
    /// The first fault, with the line to mend.
    pub fn parse(text: &str, file: &str) -> Result<CheckedKind, KindError> {
        let at = |line, fault| KindError {
            file: file.to_owned(),
            line,
            fault,
        };
        if text.len() > KIND_BYTES_MAX {
            return Err(at(1, KindFault::TooLong { bytes: text.len() }));
        }
        let lines = Lines::of(text);
        let kind: Self = toml::from_str(text).map_err(|error| {
            let line = lines.line_of_byte(error.span().map_or(0, |span| span.start));
            at(line, KindFault::Malformed(error.message().to_owned()))
        })?;
        let expressions = check::check(&kind, &lines).map_err(|(line, fault)| at(line, fault))?;
        let digest = Hash::of(&[DOMAIN, text.as_bytes()]);
        Ok(CheckedKind(Arc::new(Checked {
            kind,
            file: file.to_owned(),
            source: text.to_owned(),
            digest,
            expressions,
        })))
    }

    /// The field of this code.
    #[must_use]
    pub fn field(&self, code: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.code == code)
    }

    /// The state of this code.
    #[must_use]
    pub fn state(&self, code: &str) -> Option<&State> {
        self.workflow.states.iter().find(|state| state.code == code)
    }

    /// The act of this code.
    #[must_use]
    pub fn act(&self, code: &str) -> Option<&ActRule> {
        self.workflow.acts.iter().find(|act| act.code == code)
    }

    /// The fields of one document, in the kind's order.
    pub fn fields_of(&self, document: DocumentName) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.document == document)
    }
}

impl CheckedKind {
    /// The hash of the file's bytes, under a domain of its own.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.0.digest
    }

    /// The file's text: as this a kind travels to phones.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The compiled form of one of the kind's expressions, by its text.
    #[must_use]
    pub fn expression(&self, source: &str) -> Option<&Expression> {
        self.0.expressions.get(source)
    }

    /// An error at a place of the file that only the catalogue can see.
    pub(super) fn error_at(&self, way: &[Step<'_>], fault: KindFault) -> KindError {
        KindError {
            file: self.0.file.clone(),
            line: Lines::of(&self.0.source).line(way),
            fault,
        }
    }
}

impl Deref for CheckedKind {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        &self.0.kind
    }
}

impl PartialEq for CheckedKind {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for CheckedKind {}
