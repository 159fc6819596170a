//! What people at the station are shown, as plain records ready for JSON. Reads nothing itself.

use std::collections::BTreeMap;

use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::id::{Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::{Comment, Label};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

/// Which records of the review queue to show; the oldest in their state come first.
#[derive(Debug, Clone, Default)]
pub struct QueueFilter {
    /// Of this kind only.
    pub kind: Option<String>,
    /// Of this unit only.
    pub unit: Option<UnitId>,
    /// Go on after this place, as [`RowPage::next`] said.
    pub after: Option<String>,
    /// Rows at most; 1 to 500.
    pub limit: u32,
}

/// Which records to show; the newest change comes first.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// Of this kind only.
    pub kind: Option<String>,
    /// In this state only.
    pub state: Option<String>,
    /// Of this unit only.
    pub unit: Option<UnitId>,
    /// Opened by this person only.
    pub author: Option<UserId>,
    /// Only with conflicts.
    pub conflicted: bool,
    /// Only about this record, or about one that was merged into it.
    pub about: Option<RecordId>,
    /// Go on after this place.
    pub after: Option<String>,
    /// Rows at most; 1 to 500.
    pub limit: u32,
}

/// Rows and where to go on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RowPage {
    /// The rows.
    pub rows: Vec<RecordRow>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}

/// The review queue, one page of it.
pub type QueuePage = RowPage;

/// A person as shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct PersonView {
    /// The person.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub name: String,
}

/// A record as a line of a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RecordRow {
    /// The record.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Code of its kind.
    pub kind: String,
    /// Version of its kind.
    pub kind_version: u32,
    /// Its unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// The state it is in.
    pub state: String,
    /// The state's name for people.
    #[schema(value_type = crate::http::LabelShape)]
    pub state_label: Label,
    /// Since when, by the station's clock.
    #[schema(value_type = i64)]
    pub state_since: UnixMillis,
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub author: PersonView,
    /// When it was opened, by his phone's clock.
    #[schema(value_type = i64)]
    pub opened_at: UnixMillis,
    /// When something last arrived about it, by the station's clock.
    #[schema(value_type = i64)]
    pub changed_at: UnixMillis,
    /// Its version, for acts.
    pub version: String,
    /// Places in conflict.
    pub conflicts: u32,
    /// Findings.
    pub findings: u32,
    /// Changes since the pinned view.
    pub pending: u32,
    /// Whether its author offers a supplement.
    pub offered: bool,
    /// Whether it is in the review queue.
    pub review: bool,
    /// The record that it was merged into, at the end of all merges; it then goes on there.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RecordId>,
    /// What it is about, as a visit is about a household; after a merge the record that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<AboutView>,
    /// Where a search found its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

/// A record that another one is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AboutView {
    /// The record.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Its title, where it is of the same unit.
    pub title: Option<String>,
}

/// Two records that may be one thing.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DuplicatePair {
    /// Codes of the fields in which they are alike.
    pub alike: Vec<String>,
    /// The one that was registered first.
    pub older: RecordRow,
    /// The other.
    pub newer: RecordRow,
}

/// A record's page.
#[derive(Debug, Clone, Serialize)]
pub struct RecordPage {
    /// The line of lists.
    pub header: RecordRow,
    /// The official view: the facts at the pinned heads, or as they are while nothing is pinned.
    pub official: Facts,
    /// Whether the official view is pinned.
    pub pinned: bool,
    /// What was written since the pin, newest value of each place.
    pub pending: Vec<ChangedField>,
    /// Places with different values.
    pub conflicts: Vec<ConflictView>,
    /// The acts, in the ledger's order.
    pub acts: Vec<ActLine>,
    /// Entries that rest on a colleague's word since the station was restored, until their author's page returns.
    pub recovered: Vec<RecoveredLine>,
    /// Every write to every place.
    pub history: Vec<WriteLine>,
    /// What the record does not hold to.
    pub findings: Vec<FindingView>,
    /// The acts that this person may do now.
    pub acts_open: Vec<ActOpen>,
    /// The track, where there is one.
    pub track: Option<TrackReport>,
    /// The `private` document, for who works on the record or broke the glass before it.
    pub private: Option<Facts>,
    /// Places whose values are masked: there is something that this person sees on a stated reason, or by breaking the glass.
    pub masked: Vec<String>,
    /// The photos and recordings that it names, and which of them have arrived.
    pub files: Vec<FileLine>,
    /// The records that were merged into this one.
    pub merged_here: Vec<RecordRow>,
    /// The records that this one might be another one of.
    pub duplicates: Vec<RecordRow>,
}

/// An entry that a colleague's phone gave back, or that a chief admitted of a book that had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RecoveredLine {
    /// The entry.
    #[schema(value_type = String)]
    pub entry: Hash,
    /// Whose book it is said to come from.
    pub author: PersonView,
    /// Whose phone gave it back; the station itself, where somebody admitted it.
    pub giver: PersonView,
    /// Who admitted it of what a book sent after its end.
    pub admitted_by: Option<PersonView>,
}

/// A photo or recording that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FileLine {
    /// SHA-256 of its content: what `/api/v1/blobs/{sha256}` takes.
    #[schema(value_type = String)]
    pub hash: Hash,
    /// The field it belongs to.
    pub field: String,
    /// Media type, as its author says.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Length in bytes, as its author says.
    pub bytes: u64,
    /// Whether its content is at the station. Until then it waits on its author's phone.
    pub arrived: bool,
    /// A small picture of it, by the SHA-256 of its content.
    #[schema(value_type = Option<String>)]
    pub thumbnail: Option<Hash>,
    /// Whether the small picture is at the station.
    pub thumbnail_arrived: bool,
    /// Whether somebody took it out.
    pub removed: bool,
}

/// A value written, by whom and when.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ChangedField {
    /// The place, as `fields/outcome`.
    pub path: String,
    /// The value now.
    pub value: serde_json::Value,
    /// Who wrote it.
    pub author: PersonView,
    /// When, by his clock.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
}

/// A place with different values.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConflictView {
    /// The place.
    pub path: String,
    /// The values; the last is the one shown until somebody settles.
    pub claims: Vec<ClaimView>,
}

/// One value of a conflict.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ClaimView {
    /// The value.
    pub value: serde_json::Value,
    /// Who wrote it.
    pub author: PersonView,
    /// When, by his clock.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
}

/// An act that was done or offered.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ActLine {
    /// The act, by its entry.
    #[schema(value_type = String)]
    pub entry: Hash,
    /// Code.
    pub code: String,
    /// Who did it.
    pub author: PersonView,
    /// When, by his clock.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// When it arrived, by the station's clock.
    #[schema(value_type = i64)]
    pub received: UnixMillis,
    /// What he said.
    pub comment: Option<String>,
    /// Values that went with it.
    #[schema(value_type = Object)]
    pub values: BTreeMap<String, serde_json::Value>,
    /// The state after it.
    pub state: String,
    /// Whether it was taken in as an offer only.
    pub offered: bool,
}

/// One accepted entry of a record, as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EntryLine {
    /// Its identity.
    #[schema(value_type = String)]
    pub entry: Hash,
    /// Its page's leaf.
    pub leaf: u64,
    /// Its number within the page.
    pub position: u32,
}

/// One write of the history.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WriteLine {
    /// The place.
    pub path: String,
    /// What was written.
    pub value: serde_json::Value,
    /// Who wrote it.
    pub author: PersonView,
    /// When, by his clock.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// In which change.
    #[schema(value_type = String)]
    pub change: Hash,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FindingView {
    /// Where.
    pub path: String,
    /// What.
    pub code: String,
    /// `error`, `warning` or `unknown`.
    pub severity: String,
    /// What to say.
    #[schema(value_type = crate::http::LabelShape)]
    pub message: Label,
}

/// An act that may be done.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ActOpen {
    /// Code.
    pub code: String,
    /// Name for people.
    #[schema(value_type = crate::http::LabelShape)]
    pub label: Label,
    /// Whether a comment must go with it.
    #[schema(value_type = String)]
    pub comment: Comment,
}

/// A patrol's track.
#[derive(Debug, Clone, Serialize)]
pub struct TrackReport {
    /// GeoJSON: a feature collection of lines, with gaps as features of their own.
    pub geojson: serde_json::Value,
    /// Fixes kept.
    pub fixes: usize,
    /// Metres over the kept fixes.
    pub distance_m: f64,
    /// Stretches of a minute or more without a fix.
    pub gaps: Vec<TrackGap>,
}

/// A stretch without a fix.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TrackGap {
    /// The last fix before it.
    #[schema(value_type = i64)]
    pub from: UnixMillis,
    /// The first fix after it.
    #[schema(value_type = i64)]
    pub to: UnixMillis,
    /// Why, as a word.
    #[schema(value_type = String)]
    pub reason: &'static str,
}

/// An act as ordered at the station.
#[derive(Debug, Clone, Default)]
pub struct ActOrder {
    /// Code of the act in the record's kind.
    pub code: String,
    /// What the person says.
    pub comment: Option<String>,
    /// Values that go with it.
    pub values: BTreeMap<String, Value>,
    /// The version of the record that the person saw (`RecordRow::version`).
    pub if_match: String,
}

/// An act that was done.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ActDone {
    /// The act, by its entry.
    #[schema(value_type = String)]
    pub entry: Hash,
    /// Its leaf in the ledger.
    pub leaf: u64,
    /// The record's state now.
    pub state: String,
    /// The record's version now.
    pub version: String,
}
