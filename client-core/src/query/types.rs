//! What screens are given: plain values, nothing of the store.

use std::collections::BTreeMap;

use beatbook_protocol::document::{FieldPath, Said};
use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::id::{Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::{DocumentName, Finding, Label, Who};
use beatbook_protocol::time::UnixMillis;

/// Which records a list shows. Unset conditions ask nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Opened by this phone's user.
    pub mine: bool,
    /// With work that the station has not answered.
    pub waiting: bool,
    /// That came back, or with work that was refused.
    pub came_back: bool,
    /// With conflicting values.
    pub conflicts: bool,
    /// About this record (visits of a household), or about one that was merged into it.
    pub about: Option<RecordId>,
    /// Merged into this record, at the end of all merges.
    pub merged_into: Option<RecordId>,
    /// With these words; the records that came last are first then.
    pub text: Option<String>,
    /// After this place of a list that was shown before.
    pub after: Option<Mark>,
    /// Rows at most; 50 when unset.
    pub limit: Option<u32>,
}

/// A place where this user works.
#[derive(Debug, Clone, PartialEq)]
pub struct PostingView {
    /// The unit; new records may be opened in it and in those below it.
    pub unit: UnitId,
    /// Its name.
    pub unit_name: String,
    /// What he is there.
    pub roles: Vec<Who>,
    /// The name of the one whom he stands in for.
    pub acting_for: Option<String>,
    /// Until when that is planned.
    pub until: Option<UnixMillis>,
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub(crate) key: i64,
    pub(crate) n: i64,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.key, self.n)
    }
}

/// A text that is no place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no place of a list: take it as a page gave it")]
pub struct ParseMarkError;

impl std::str::FromStr for Mark {
    type Err = ParseMarkError;

    fn from_str(text: &str) -> Result<Self, ParseMarkError> {
        let (key, n) = text.split_once('.').ok_or(ParseMarkError)?;
        let number = |text: &str| text.parse().map_err(|_| ParseMarkError);
        Ok(Self {
            key: number(key)?,
            n: number(n)?,
        })
    }
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordPage {
    /// The rows, the latest first.
    pub rows: Vec<RecordRow>,
    /// Where to go on; none at the end.
    pub next: Option<Mark>,
}

/// A record in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRow {
    /// The record.
    pub record: RecordId,
    /// Kind's code.
    pub kind: String,
    /// Kind's version.
    pub kind_version: u32,
    /// Unit.
    pub unit: UnitId,
    /// Who opened it.
    pub opener: Option<UserId>,
    /// State.
    pub state: String,
    /// What it is called.
    pub title: Label,
    /// The record that it is about; after a merge the one that stays.
    pub about: Option<RecordId>,
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// Time of the newest change or act.
    pub updated_at: UnixMillis,
    /// Fields of its `facts` document.
    pub fields: BTreeMap<String, Value>,
    /// Opaque version.
    pub version: String,
    /// Entries that the station has not answered.
    pub waiting: u32,
    /// Entries that were refused and not dealt with.
    pub refused: u32,
    /// Places with conflicting values.
    pub conflicts: u32,
    /// Whether it came back to this user.
    pub came_back: bool,
    /// Why it cannot be read in full.
    pub unreadable: Option<String>,
    /// The record that it was merged into, at the end of all merges: there it goes on.
    pub merged_into: Option<RecordId>,
}

/// Who wrote something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The person, if the station has named the book's owner.
    pub user: Option<UserId>,
    /// His name.
    pub name: String,
}

/// One record, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordView {
    /// What lists show of it.
    pub row: RecordRow,
    /// Who opened it.
    pub opener: Author,
    /// What it says: the station's and what waits here.
    pub facts: Facts,
    /// Its sensitive fields, where they are held here.
    pub private: Option<Facts>,
    /// The official view, while the state holds to one and it differs from `facts`.
    pub official: Option<Facts>,
    /// Whether something is offered to the chief as a supplement.
    pub is_offered: bool,
    /// Who wrote what is shown.
    pub written: Vec<WrittenView>,
    /// Places with conflicting values.
    pub conflicts: Vec<ConflictView>,
    /// Acts, the oldest first, own waiting ones last.
    pub acts: Vec<ActView>,
    /// Codes of the acts that this user may do now.
    pub acts_open: Vec<String>,
    /// Whether this user may write now.
    pub may_write: bool,
    /// What the kind finds missing or wrong.
    pub findings: Vec<Finding>,
    /// The records that were merged into this one.
    pub merged_here: Vec<RecordId>,
}

/// Who wrote the value that is shown at a place.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenView {
    /// The document.
    pub document: DocumentName,
    /// The place.
    pub path: FieldPath,
    /// Who.
    pub by: Author,
    /// When, by his phone's clock.
    pub at: UnixMillis,
}

/// A place with several values.
#[derive(Debug, Clone, PartialEq)]
pub struct ConflictView {
    /// The record.
    pub record: RecordId,
    /// The document.
    pub document: DocumentName,
    /// The place.
    pub path: FieldPath,
    /// The values, in one order on every phone.
    pub claims: Vec<ClaimView>,
}

/// One of several values.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimView {
    /// The value.
    pub value: Said,
    /// Who says so.
    pub by: Author,
    /// When, by his phone's clock.
    pub at: UnixMillis,
}

/// One act.
#[derive(Debug, Clone, PartialEq)]
pub struct ActView {
    /// Its entry.
    pub entry: Hash,
    /// Its code.
    pub code: String,
    /// What was said.
    pub comment: Option<String>,
    /// Values that go with it.
    pub values: Vec<(String, Value)>,
    /// Who.
    pub by: Author,
    /// When, by his clock.
    pub at: UnixMillis,
    /// Whether the station has not answered yet.
    pub is_waiting: bool,
    /// Whether the station took it as an offer only.
    pub is_offered: bool,
}

/// One write in a record's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryView {
    /// The document.
    pub document: DocumentName,
    /// The place.
    pub path: FieldPath,
    /// What was written.
    pub value: Said,
    /// Who.
    pub by: Author,
    /// When, by his phone's clock.
    pub at: UnixMillis,
    /// Whether it settled a conflict.
    pub settles: bool,
}

/// Something that came back.
#[derive(Debug, Clone, PartialEq)]
pub struct CameBack {
    /// The record.
    pub record: RecordId,
    /// What it is called.
    pub title: Label,
    /// Why.
    pub why: CameBackWhy,
    /// Who sent it back; the station itself when it refused.
    pub by: Option<Author>,
    /// When.
    pub at: UnixMillis,
}

/// Why something came back.
#[derive(Debug, Clone, PartialEq)]
pub enum CameBackWhy {
    /// Somebody returned it.
    Act {
        /// The act.
        code: String,
        /// What he said.
        comment: Option<String>,
    },
    /// The station refused an entry.
    Refused {
        /// The entry.
        entry: Hash,
        /// The refusal's code.
        code: String,
        /// The refusal, for people.
        text: String,
    },
}

/// An own entry that the station refused.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedEntry {
    /// The entry.
    pub entry: Hash,
    /// The record.
    pub record: RecordId,
    /// The refusal's code.
    pub code: String,
    /// The refusal, for people.
    pub text: String,
    /// What it held.
    pub what: RefusedWhat,
    /// When it was written.
    pub at: UnixMillis,
}

/// What a refused entry held.
#[derive(Debug, Clone, PartialEq)]
pub enum RefusedWhat {
    /// Values, by place.
    Values(Vec<(FieldPath, Said)>),
    /// An act.
    Act {
        /// Its code.
        code: String,
        /// What was said.
        comment: Option<String>,
    },
}
