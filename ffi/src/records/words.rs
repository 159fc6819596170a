//! What calls on records take and give.

use std::collections::HashMap;

use beatbook_client_core::capture::draft::Draft as CoreDraft;
use beatbook_client_core::protocol::id::UnitId;
use beatbook_client_core::protocol::time::UnixMillis;
use beatbook_client_core::query::{CameBackWhy, Filter};
use beatbook_client_core::{ActOrder, Core, sync};

use crate::error::BeatbookError;
use crate::values::{FieldValue, Label, RecordEdit, parsed, record};
use crate::views::{Finding, RecordRow};

/// Which records a list shows. Unset conditions ask nothing.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct RecordFilter {
    /// Of this kind.
    #[uniffi(default = None)]
    pub kind: Option<String>,
    /// In this state.
    #[uniffi(default = None)]
    pub state: Option<String>,
    /// Opened by this user.
    #[uniffi(default = false)]
    pub mine: bool,
    /// With work that the station has not answered.
    #[uniffi(default = false)]
    pub waiting: bool,
    /// That came back, or with work that was refused.
    #[uniffi(default = false)]
    pub came_back: bool,
    /// With conflicting values.
    #[uniffi(default = false)]
    pub conflicts: bool,
    /// About this record.
    #[uniffi(default = None)]
    pub about: Option<String>,
    /// With these words.
    #[uniffi(default = None)]
    pub text: Option<String>,
    /// After this place of a list that was shown before.
    #[uniffi(default = None)]
    pub after: Option<String>,
    /// Rows at most, 500 at the most.
    #[uniffi(default = 50)]
    pub limit: u32,
}

/// What is being typed. It is on the disk at each `save`, and never leaves the phone.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Draft {
    /// Its name.
    pub id: String,
    /// The record that it edits; none when it will open one.
    pub record: Option<String>,
    /// Its kind.
    pub kind: String,
    /// The unit in which it will open one; none is its author's own.
    pub unit: Option<String>,
    /// The values so far.
    pub edit: RecordEdit,
    /// The version of the record that its author had before him.
    pub based_on: Option<String>,
    /// The refused entry whose values it offers again.
    pub answers: Option<String>,
    /// When it was saved last, milliseconds since 1970.
    pub saved_at: i64,
}

/// What became of an act, or of a draft that was handed in.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Done {
    /// The record.
    pub record: String,
    /// The state that it is shown in now.
    pub state: String,
    /// Whether the act was done; else the findings say what hinders it, and the values are saved all the same.
    pub acted: bool,
    /// What is worth telling.
    pub findings: Vec<Finding>,
}

/// An act to do.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Act {
    /// Its code.
    pub code: String,
    /// The version of the record that its author had before him.
    pub version: String,
    /// What he says.
    #[uniffi(default = None)]
    pub comment: Option<String>,
    /// Values that go with it.
    #[uniffi(default)]
    pub values: HashMap<String, FieldValue>,
}

/// What waits on a record, since when and why.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Waiting {
    /// The record.
    pub record: String,
    /// How many entries.
    pub entries: u64,
    /// Since when, milliseconds since 1970.
    pub since: Option<i64>,
    /// Why: `not_enrolled`, `not_sent_yet`, `failed`, `station_lacks`.
    pub why: String,
}

/// An own entry that the station refused, or an act by which somebody sent a record back.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct CameBack {
    /// The record.
    pub record: String,
    /// What it is called.
    pub title: Label,
    /// Of a refusal: the entry, which `offer_again` and `dismiss` take.
    pub entry: Option<String>,
    /// Code of the act, or of the refusal.
    pub code: String,
    /// What was said.
    pub text: Option<String>,
    /// Who sent it back; none when the station refused.
    pub by: Option<String>,
    /// When, milliseconds since 1970.
    pub at: i64,
}

/// Something that must be done until a time.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Due {
    /// The record.
    pub row: RecordRow,
    /// Code of the clock.
    pub clock: String,
    /// What the clock is called.
    pub label: Label,
    /// When it runs out, milliseconds since 1970.
    pub until: i64,
    /// Whether it has.
    pub is_late: bool,
}

/// A record with a place, and how far it is.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Near {
    /// The record.
    pub row: RecordRow,
    /// Metres from where was asked.
    pub metres: f64,
}

impl RecordFilter {
    pub(super) fn into_core(self) -> Result<Filter, BeatbookError> {
        if self.limit == 0 {
            return Err(BeatbookError::InvalidInput { field: "limit".into() });
        }
        Ok(Filter {
            kind: self.kind,
            state: self.state,
            mine: self.mine,
            waiting: self.waiting,
            came_back: self.came_back,
            conflicts: self.conflicts,
            about: self.about.as_deref().map(|about| parsed("about", about)).transpose()?,
            merged_into: None,
            text: self.text,
            after: self.after.as_deref().map(|after| parsed("after", after)).transpose()?,
            limit: Some(self.limit),
        })
    }
}

impl Act {
    pub(super) fn into_core(self) -> ActOrder {
        ActOrder {
            code: self.code,
            version: self.version,
            comment: self.comment,
            values: self.values.into_iter().map(|(code, value)| (code, value.into())).collect(),
        }
    }
}

impl Draft {
    pub(super) fn into_core(self, core: &Core) -> Result<CoreDraft, BeatbookError> {
        Ok(CoreDraft {
            id: parsed("draft", &self.id)?,
            record: self.record.as_deref().map(record).transpose()?,
            kind: self.kind,
            unit: self.unit.as_deref().map(|unit| parsed::<UnitId>("unit", unit)).transpose()?,
            edit: self.edit.into_core(|| core.new_item())?,
            based_on: self.based_on,
            answers: self.answers.as_deref().map(|entry| parsed("answers", entry)).transpose()?,
            saved_at: UnixMillis(self.saved_at),
        })
    }
}

impl From<CoreDraft> for Draft {
    fn from(draft: CoreDraft) -> Self {
        Self {
            id: draft.id.to_string(),
            record: draft.record.map(|record| record.to_string()),
            kind: draft.kind,
            unit: draft.unit.map(|unit| unit.to_string()),
            edit: draft.edit.into(),
            based_on: draft.based_on,
            answers: draft.answers.map(|entry| entry.to_string()),
            saved_at: draft.saved_at.0,
        }
    }
}

impl From<sync::RecordWaiting> for Waiting {
    fn from(waiting: sync::RecordWaiting) -> Self {
        Self {
            record: waiting.record.to_string(),
            entries: waiting.entries,
            since: waiting.since.map(|since| since.0),
            why: crate::sync::why_code(&waiting.why).to_owned(),
        }
    }
}

impl From<beatbook_client_core::query::CameBack> for CameBack {
    fn from(came: beatbook_client_core::query::CameBack) -> Self {
        let (entry, code, text) = match came.why {
            CameBackWhy::Act { code, comment } => (None, code, comment),
            CameBackWhy::Refused { entry, code, text } => (Some(entry.to_string()), code, Some(text)),
        };
        Self {
            record: came.record.to_string(),
            title: came.title.into(),
            entry,
            code,
            text,
            by: came.by.map(|by| by.name),
            at: came.at.0,
        }
    }
}
