//! What can go wrong for an app that uses the core, by what it can do about it.

use std::path::PathBuf;

use beatbook_protocol::document::EditError;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::Finding;

use crate::store::StoreError;

/// A call that did not do what was asked. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// What was given cannot be written: show the message at the field.
    #[error("{field}: {why}")]
    InvalidInput {
        /// The field, as a path (`fields/outcome`), or the argument's name.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// The record has moved since it was shown: show it again, then decide.
    #[error("the record has changed since it was opened; look at it again (its version is now {version})")]
    Moved {
        /// The record's version now.
        version: String,
        /// The places that others have written meanwhile, where that is known.
        paths: Vec<String>,
    },
    /// The act needs more than is there: show what.
    #[error("{} thing(s) are missing or wrong", .findings.len())]
    Hindered {
        /// What is missing or wrong, warnings included.
        findings: Vec<Finding>,
    },
    /// Others wrote different values at the same time: show them, and let somebody who may settle.
    #[error("conflicting values at {}; settle them first", .paths.join(", "))]
    Conflicted {
        /// The places.
        paths: Vec<String>,
    },
    /// This user may not do this to this record in its state.
    #[error("{what} is not open to you while the record is {state}")]
    Forbidden {
        /// The act, or `write`.
        what: String,
        /// The record's state.
        state: String,
    },
    /// The station refused the opening of this record, and would refuse all that is built on it: take its values up again with
    /// `offer_again`, which opens it anew.
    #[error("the station refused to open record {0}; save its values again with `offer_again`")]
    OpeningRefused(RecordId),
    /// The record is no longer in this user's scope and stays only until his own work on it is dealt with: nothing new can be written in
    /// it. Show what waits, what was refused and the drafts on it.
    #[error("record {0} is no longer in your charge: nothing new can be written in it")]
    LeftScope(RecordId),
    /// No such record on this phone.
    #[error("record {0} is not on this phone")]
    UnknownRecord(RecordId),
    /// There is no such thing on this phone (a draft, an entry, a kind): its list shows what there is.
    #[error("there is no {what} here")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// The phone belongs to no station yet: enrol it first.
    #[error("enrol this phone first")]
    NotEnrolled,
    /// The writing of this phone's book has ended: nothing is shown any more. Hand in what waits by [`crate::drive::part`], which destroys
    /// keys and records.
    #[error(
        "this phone has been put out of use by its station; what waits is handed in, and then keys and records are destroyed"
    )]
    Ended,
    /// The file needs another key.
    #[error("the key does not open this file")]
    WrongKey,
    /// A key was given, and this build was made without SQLCipher: take one that was made with it. Nothing was written.
    #[error(
        "this build has no SQLCipher and keeps no encrypted files: take one that was built with the feature `sqlcipher` (the default), or open a file \
         that is to stay plain without a key"
    )]
    NoCipher,
    /// A newer app wrote this file: update the app.
    #[error("the file was written by a newer version of the app; update it")]
    UpgradeRequired,
    /// The disk or the quota is full: free some space. What was saved before is safe.
    #[error("storage is full; what was saved before is safe")]
    StorageFull,
    /// The file broke while it was open: close and open the core again, which sets the file aside.
    #[error("the file {path} is damaged: {why}")]
    StorageDamaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A fault of ours: report it with this text.
    #[error("internal fault: {0}")]
    Internal(String),
}

/// Why a transaction was given up: by the store, which knows no words for people, or by a rule.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The store.
    Store(StoreError),
    /// A rule.
    Told(CoreError),
}

impl<E: Into<StoreError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl From<CoreError> for Fault {
    fn from(error: CoreError) -> Self {
        Self::Told(error)
    }
}

impl From<EditError> for Fault {
    fn from(error: EditError) -> Self {
        let why = error.to_string();
        Self::Told(match error {
            EditError::Nothing => CoreError::InvalidInput {
                field: "edit".into(),
                why,
            },
            EditError::UnknownField { path }
            | EditError::WrongDocument { path }
            | EditError::WrongType { path, .. }
            | EditError::OverLimit { path, .. } => CoreError::InvalidInput { field: path, why },
            EditError::Conflicted { paths } => CoreError::Conflicted {
                paths: paths.iter().map(ToString::to_string).collect(),
            },
            EditError::TooLarge { .. } | EditError::DocumentFull => CoreError::InvalidInput {
                field: "record".into(),
                why,
            },
            EditError::Document(error) => return Self::Store(error.into()),
        })
    }
}
