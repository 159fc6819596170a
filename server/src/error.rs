//! What can go wrong with a station as a whole, and why an act of a person was not done. What phones are told is `Refusal`, in protocol.

use std::path::PathBuf;

use beatbook_protocol::id::BookId;
use beatbook_protocol::kind::Label;

use crate::review::view::{ActLine, ChangedField, FindingView};

/// A fault of the station or of how it is set up. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StationError {
    /// `init` or `restore` met something that is there already.
    #[error("{0} is there already and not empty: name a new directory, or open the station that is in it")]
    Exists(PathBuf),
    /// There is no station in the directory.
    #[error("there is no station in {0}: run init or restore first")]
    NoStation(PathBuf),
    /// Keys inside the data or data inside the keys: a backup of one would take the other along.
    #[error("the keys directory {keys} and the data directory {data} must lie apart, neither inside the other")]
    Nested {
        /// Keys directory.
        keys: PathBuf,
        /// Data directory.
        data: PathBuf,
    },
    /// The keys directory cannot be used.
    #[error("keys directory: {0}")]
    Keys(String),
    /// The database has less than was signed: it is an old copy.
    #[error(
        "the database ends at {found} leaves, but {signed} were signed: it is an old copy. Run restore with the newest backup, which \
         opens a new epoch that phones accept"
    )]
    Behind {
        /// Leaves in the database.
        found: u64,
        /// Leaves signed by the keys directory's log.
        signed: u64,
    },
    /// The database has another history than was signed: it was rewritten, or belongs to other keys.
    #[error("the database has another history than these keys have signed: run doctor, then restore from a backup")]
    OtherHistory,
    /// The database is damaged.
    #[error("the database is damaged ({0}): keep the file, run doctor, then restore from the newest backup")]
    Damaged(String),
    /// A kind file is not in order; the text names file and line.
    #[error("{0}")]
    Kind(String),
    /// A book has ended: nothing is taken in as its author's.
    #[error("the writing of book {0} has ended")]
    Ended(BookId),
    /// Something is asked for that is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// The person may not do it.
    #[error("{0}")]
    Forbidden(String),
    /// A record that is to be destroyed is held.
    #[error("record {record} is held ({ground}): release it first, if that ground is gone")]
    Held {
        /// The record.
        record: beatbook_protocol::id::RecordId,
        /// On what ground.
        ground: String,
    },
    /// What was asked for does not make sense; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// The disk is full: nothing was taken in that was not answered.
    #[error("the disk is full: make room, nothing that was acknowledged is lost")]
    Full,
    /// The database did not do what was asked.
    #[error("the database failed: {0}")]
    Store(String),
    /// A file or directory did not do what was asked.
    #[error("{path}: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
}

/// Why an act by a person at the station was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The record has moved since the version that the person saw: look at what changed, then decide again.
    #[error("the record has changed since it was opened")]
    Moved {
        /// The fields written since, newest value each.
        changed: Vec<ChangedField>,
        /// The acts done since.
        acts: Vec<ActLine>,
        /// The version now.
        version: String,
        /// Names of sensitive fields whose values are among them: the log has a line that says so.
        shown: Vec<String>,
    },
    /// The act does not lead out of the state that the record is in.
    #[error("the act cannot be done in state {0}")]
    StateMet(String),
    /// The person may not do it.
    #[error("not allowed for this person")]
    Forbidden,
    /// The kind has no such act.
    #[error("the record's kind has no act {0:?}")]
    UnknownAct(String),
    /// The act needs a comment.
    #[error("the act needs a comment that says why")]
    CommentRequired,
    /// The facts, or the act's values, do not fulfil what the act requires.
    #[error("{} finding(s) hinder the act", .0.len())]
    Findings(Vec<FindingView>),
    /// There is no such record in the person's scope.
    #[error("there is no such record")]
    NotFound,
    /// The settlement cannot be written: no conflict there, or a value of another type.
    #[error("{path}: {}", .message.en)]
    Settlement {
        /// The place.
        path: String,
        /// Why.
        message: Label,
    },
    /// A fault of the station.
    #[error(transparent)]
    Station(#[from] StationError),
}
