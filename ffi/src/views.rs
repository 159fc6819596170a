//! Records, conflicts and findings as an app shows them.

use std::collections::HashMap;

use beatbook_client_core::protocol::document::Said;
use beatbook_client_core::protocol::kind::{Finding as CoreFinding, FindingSeverity};
use beatbook_client_core::query::{
    ActView as CoreAct, Author as CoreAuthor, ConflictView as CoreConflict, RecordRow as CoreRow, RecordView as CoreView,
};

use crate::values::{Facts, FieldValue, Label, values};

/// A record in a list.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct RecordRow {
    /// The record.
    pub record: String,
    /// Code of its kind.
    pub kind: String,
    /// Version of its kind.
    pub kind_version: u32,
    /// Code of its state.
    pub state: String,
    /// What it is called.
    pub title: Label,
    /// The record that it is about (the household of a visit).
    pub about: Option<String>,
    /// When it was opened, milliseconds since 1970.
    pub opened_at: i64,
    /// Time of its newest change or act.
    pub updated_at: i64,
    /// Its fields, those of the private document left out.
    pub fields: HashMap<String, FieldValue>,
    /// Opaque: what an act takes.
    pub version: String,
    /// Entries that the station has not answered.
    pub waiting: u32,
    /// Entries that it refused and nobody has dealt with.
    pub refused: u32,
    /// Places with conflicting values.
    pub conflicts: u32,
    /// Whether it came back to this user.
    pub came_back: bool,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct RecordPage {
    /// The rows, the latest first.
    pub rows: Vec<RecordRow>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}

/// Who wrote something.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Author {
    /// The person, if the station has named him.
    pub user: Option<String>,
    /// His name.
    pub name: String,
}

/// One thing that a record does not hold to.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Finding {
    /// Where: `fields/outcome`, `lists/people_met/ITEM/name`, `notes/summary`, `files/photos`, `rules/CODE`, `comment`.
    pub path: String,
    /// What: `required`, `constraint`, `too_long`, `rule:CODE` and others.
    pub code: String,
    /// Whether it hinders acts that need the record complete.
    pub hinders: bool,
    /// What to say to people.
    pub text: Label,
}

/// One act on a record.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ActDone {
    /// Its code.
    pub code: String,
    /// What was said.
    pub comment: Option<String>,
    /// Values that go with it.
    pub values: HashMap<String, FieldValue>,
    /// Who.
    pub by: Author,
    /// When, by his clock.
    pub at: i64,
    /// Whether the station has not answered yet.
    pub is_waiting: bool,
}

/// A place with several values.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Conflict {
    /// The record.
    pub record: String,
    /// The place, as `fields/outcome`: what settling takes.
    pub path: String,
    /// The values, in one order on every phone.
    pub claims: Vec<Claim>,
}

/// One of several values.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Claim {
    /// The value.
    pub value: FieldValue,
    /// Who says so.
    pub by: Author,
    /// When, by his phone's clock.
    pub at: i64,
}

/// One record, whole.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct RecordView {
    /// What lists show of it.
    pub row: RecordRow,
    /// Who opened it.
    pub opener: Author,
    /// What it says: the station's, and what waits here.
    pub facts: Facts,
    /// Its sensitive fields, where this user may hold them.
    pub private_facts: Option<Facts>,
    /// The official view, where it differs from `facts`.
    pub official: Option<Facts>,
    /// Places with conflicting values.
    pub conflicts: Vec<Conflict>,
    /// Acts, the oldest first, own waiting ones last.
    pub acts: Vec<ActDone>,
    /// Codes of the acts that this user may do now.
    pub acts_open: Vec<String>,
    /// Whether this user may write now.
    pub may_write: bool,
    /// What is missing or wrong.
    pub findings: Vec<Finding>,
}

impl From<CoreRow> for RecordRow {
    fn from(row: CoreRow) -> Self {
        Self {
            record: row.record.to_string(),
            kind: row.kind,
            kind_version: row.kind_version,
            state: row.state,
            title: row.title.into(),
            about: row.about.map(|about| about.to_string()),
            opened_at: row.opened_at.0,
            updated_at: row.updated_at.0,
            fields: values(row.fields),
            version: row.version,
            waiting: row.waiting,
            refused: row.refused,
            conflicts: row.conflicts,
            came_back: row.came_back,
        }
    }
}

impl From<CoreAuthor> for Author {
    fn from(author: CoreAuthor) -> Self {
        Self {
            user: author.user.map(|user| user.to_string()),
            name: author.name,
        }
    }
}

impl From<CoreFinding> for Finding {
    fn from(finding: CoreFinding) -> Self {
        Self {
            path: finding.path,
            code: finding.code,
            hinders: finding.severity == FindingSeverity::Error,
            text: finding.message.into(),
        }
    }
}

impl From<CoreConflict> for Conflict {
    fn from(conflict: CoreConflict) -> Self {
        let claims = conflict.claims.into_iter().map(|claim| Claim {
            value: match claim.value {
                Said::Value(value) => value.into(),
                Said::Text { inserted, .. } => FieldValue::Text { value: inserted },
                Said::Bytes(_) => FieldValue::Empty,
            },
            by: claim.by.into(),
            at: claim.at.0,
        });
        Self {
            record: conflict.record.to_string(),
            claims: claims.collect(),
            path: conflict.path.to_string(),
        }
    }
}

impl From<CoreAct> for ActDone {
    fn from(act: CoreAct) -> Self {
        Self {
            code: act.code,
            comment: act.comment,
            values: values(act.values),
            by: act.by.into(),
            at: act.at.0,
            is_waiting: act.is_waiting,
        }
    }
}

impl From<CoreView> for RecordView {
    fn from(view: CoreView) -> Self {
        Self {
            row: view.row.into(),
            opener: view.opener.into(),
            facts: view.facts.into(),
            private_facts: view.private.map(Facts::from),
            official: view.official.map(Facts::from),
            conflicts: view.conflicts.into_iter().map(Conflict::from).collect(),
            acts: view.acts.into_iter().map(ActDone::from).collect(),
            acts_open: view.acts_open,
            may_write: view.may_write,
            findings: view.findings.into_iter().map(Finding::from).collect(),
        }
    }
}
