//! What a kind file says, as types: fields, states, acts, clocks. Reading and checking the file is `parse`; applying it is `validate`
//! and `workflow`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The definition of one sort of record. Kinds are data: a station serves them, a phone draws its forms from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Name in entries and URLs: lower-case letters, digits and `_`.
    pub code: String,
    /// Version; a record stays under the version it was made with.
    pub version: u32,
    /// Name for people.
    pub label: Label,
    /// Why these records are kept at all (PIPL arts. 5-6).
    pub purpose: String,
    /// The power under which they are kept (PIPL art. 34).
    pub legal_basis: String,
    /// How long they are kept.
    pub retention: Retention,
    /// Codes of the fields that make a record's title in lists, in order.
    pub title: Vec<String>,
    /// Ways in which two records of this kind are told to be one thing: each the codes of fields that are then all alike. See
    /// [`super::duplicate`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicate_key: Vec<Vec<String>>,
    /// The fields, in the order a form shows them.
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
    /// Rules over several fields together.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// States and acts.
    pub workflow: Workflow,
}

/// A text in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// How long something is kept, counted from the last news of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days; destruction itself is carried out by the station.
    pub days: u32,
    /// Days that the `private` document is kept, where it goes sooner than the rest: destruction is per document, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_days: Option<u32>,
    /// Where the period comes from.
    pub why: String,
}

/// One field of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name in documents: lower-case letters, digits and `_`.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// Help under the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Label>,
    /// What may be written in it.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Which of the record's documents holds it. Sensitive fields live in `private`.
    #[serde(default)]
    pub document: DocumentName,
    /// CEL: whether the field is shown and judged at all. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relevant: Option<String>,
    /// CEL: whether the field must be filled when the record is submitted or reported. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<String>,
    /// CEL over the value as `this`: whether it is allowed. Default: anything of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// What to say when the constraint does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint_message: Option<Label>,
    /// The codes to choose from, for `choice` and `choices`.
    #[serde(default, rename = "choice", skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Greatest length in characters, for `text` and `note`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chars_max: Option<u32>,
    /// Code of the kind referred to, for `reference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The fields of one item, for `list`. Items hold scalar fields only.
    #[serde(default, rename = "field", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// 0 open, 1 internal, 2 personal, 3 sensitive (PIPL art. 28). From 2 on a field is in `private` unless it says why not.
    #[serde(default)]
    pub sensitivity: u8,
    /// Why a personal or sensitive field is outside `private` all the same; without it such a field is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_private: Option<String>,
    /// Why this field is collected (PIPL art. 6); the kind's purpose alone never justifies a field.
    pub purpose: String,
    /// Shown on the last visit's page as a starting point for the next record about the same thing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carries_over: bool,
    /// Found by full-text search.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub searchable: bool,
}

/// The types of fields; names follow XLSForm where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// A short text.
    Text,
    /// A long text that several people may write in at once (automerge Text).
    Note,
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// Yes or no.
    Boolean,
    /// A day, `2026-11-23`.
    Date,
    /// A point in time, milliseconds since 1970.
    Time,
    /// One of the codes.
    Choice,
    /// Several of the codes, in the kind's order, one space between.
    Choices,
    /// A position, RFC 5870.
    Place,
    /// Another record's id.
    Reference,
    /// A member of staff, by user id.
    User,
    /// Items with fields of their own.
    List,
    /// Photos and recordings.
    Files,
    /// The patrol's track segments.
    Track,
}

/// The documents of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentName {
    /// What everybody in scope may read.
    #[default]
    Facts,
    /// Sensitive fields, with a scope of their own.
    Private,
}

/// One code of a choice field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What documents hold.
    pub code: String,
    /// What people see.
    pub label: Label,
}

/// A rule over several fields, judged with `required`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name in findings.
    pub code: String,
    /// CEL that must hold.
    pub holds: String,
    /// What to say when it does not.
    pub message: Label,
    /// Whether it hinders submitting (`error`) or only flags the record for the chief (`warning`).
    #[serde(default)]
    pub severity: Severity,
}

/// What a rule that does not hold leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Hinders submitting.
    #[default]
    Error,
    /// Flags the record for the chief.
    Warning,
}

/// States, acts and clocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// The state of a record before its first act.
    pub initial: String,
    /// The states.
    #[serde(rename = "state")]
    pub states: Vec<State>,
    /// The acts.
    #[serde(rename = "act")]
    pub acts: Vec<ActRule>,
    /// What must be done until when.
    #[serde(default, rename = "clock", skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<Clock>,
}

/// One state of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Name in projections and filters.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// Who may write facts in this state.
    pub writers: Vec<Who>,
    /// Whether the official view is the facts at pinned heads; later changes wait for a `supplement`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Whether only the chief leads out of it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// Whether the record is in the chief's review queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
    /// Whether the author must do something about it (it came back).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub came_back: bool,
}

/// Who may act or write: a role in the record's unit, or a relation to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Whoever opened the record.
    Author,
    /// Grid worker 网格员.
    GridWorker,
    /// Community police officer 社区民警.
    Officer,
    /// Mediator 调解员.
    Mediator,
    /// Station chief 所长.
    Chief,
    /// Member of a co-department 部门.
    Department,
    /// Supervisor of a higher office.
    Supervisor,
    /// Auditor: reads the audit log.
    Auditor,
    /// Administrator of the registry; writes no records.
    Admin,
    /// The station itself, when a clock runs out.
    Station,
}

impl Who {
    /// Everyone, in the order of this enum.
    pub const ALL: [Self; 10] = [
        Self::Author,
        Self::GridWorker,
        Self::Officer,
        Self::Mediator,
        Self::Chief,
        Self::Department,
        Self::Supervisor,
        Self::Auditor,
        Self::Admin,
        Self::Station,
    ];

    /// The code in kind files, expressions and registry events.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::GridWorker => "grid_worker",
            Self::Officer => "officer",
            Self::Mediator => "mediator",
            Self::Chief => "chief",
            Self::Department => "department",
            Self::Supervisor => "supervisor",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Station => "station",
        }
    }

    /// The one of this code; `None` for codes of a later version.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|who| who.code() == code)
    }
}

/// One act: from which states it leads where, who may do it, what it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRule {
    /// Name in entries.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// States it is accepted in.
    pub from: Vec<String>,
    /// The state it leads to; absent when it leaves the state as it is (a comment, a supplement).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who may do it.
    pub by: Vec<Who>,
    /// Whether a comment must or may go with it.
    #[serde(default)]
    pub comment: Comment,
    /// Whether it pins the facts as the official view; required fields are judged then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pins: bool,
    /// The values that go with the act (to whom, until when); scalar fields only.
    #[serde(default, rename = "field", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// CEL that must hold when it is done, each with what to say when not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Rule>,
    /// What happens in other states than `from`; unnamed states return the act with the state met.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meets: BTreeMap<String, Meeting>,
}

/// Whether a comment goes with an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comment {
    /// It may.
    #[default]
    Optional,
    /// It must: the other side has to know why.
    Required,
}

/// What an act does in a state it does not lead out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meeting {
    /// It was done already; done again it changes nothing.
    Repeat,
    /// It becomes an offer that the chief may take in by `supplement`.
    OfferSupplement,
    /// It comes back with the state it met.
    Return,
}

/// Something that must be done until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Name in projections.
    pub code: String,
    /// Name for people.
    pub label: Label,
    /// The states it runs in; it starts when the first of them is entered and stops when they are left.
    pub runs_in: Vec<String>,
    /// Minutes until it runs out; station settings may shorten it.
    pub minutes: u32,
    /// Where the period comes from.
    pub why: String,
}
