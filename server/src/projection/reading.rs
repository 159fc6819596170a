//! What a record's facts say for lists and search: title, words, conflicts, findings, what waits behind the pin. A function of the
//! record's fold, its documents and its opener's roles, and of nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use beatbook_protocol::document::{Document, View};
use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::duplicate::duplicate_keys;
use beatbook_protocol::kind::{
    CheckedKind, DocumentName, Field, FieldType, Finding, FindingSeverity, Judged, RecordContext, UTC_OFFSET_MINUTES,
    UserContext, Who, validate, workflow,
};

use super::record::RecordState;
use crate::error::StationError;
use crate::kinds::{Kinds, damaged};
use crate::policy::INTERNAL;
use crate::review::view::FindingView;
use crate::store::{FileRow, ReadTx, ReadingRow};
use crate::words;

/// The documents of a record, open.
#[derive(Debug)]
pub(crate) struct Documents {
    /// The facts.
    pub(crate) facts: Document,
    /// The private document; none while nobody wrote in it.
    pub(crate) private: Option<Document>,
}

impl Documents {
    /// Opens a record's documents from their rows.
    pub(crate) fn open(tx: &ReadTx<'_>, kinds: &Kinds, state: &RecordState) -> Result<Self, StationError> {
        let facts = kinds.document(tx, state, DocumentName::Facts)?;
        let private = if state.private_heads.is_empty() {
            None
        } else {
            Some(kinds.document(tx, state, DocumentName::Private)?)
        };
        Ok(Self { facts, private })
    }
}

/// Reads a record.
pub(crate) fn read(
    kind: &CheckedKind,
    state: &RecordState,
    documents: &Documents,
    opener_roles: &[Who],
) -> Result<ReadingRow, StationError> {
    let broken = |fault| damaged(state, &fault);
    let view = documents.facts.view().map_err(broken)?;
    let private = documents.private.as_ref().map(Document::view).transpose().map_err(broken)?;
    read_views(kind, state, &documents.facts, &view, private.as_ref(), opener_roles)
}

/// The same, where the documents' views are at hand.
pub(crate) fn read_views(
    kind: &CheckedKind,
    state: &RecordState,
    facts: &Document,
    view: &View,
    private: Option<&View>,
    opener_roles: &[Who],
) -> Result<ReadingRow, StationError> {
    let nothing = View::default();
    let private = private.unwrap_or(&nothing);
    let official = official(kind, state, facts, view)?;
    let pending = if state.official(kind).is_some() {
        differing(&official.facts, &view.facts)
    } else {
        0
    };
    let whos = workflow::whos(opener_roles, true);
    let judged = judged(
        state,
        &official.facts,
        &private.facts,
        UserContext {
            id: state.opening.user,
            roles: &whos,
        },
    );
    let mut conflicts: Vec<String> = view
        .conflicts
        .iter()
        .chain(&private.conflicts)
        .map(|found| found.path.to_string())
        .collect();
    conflicts.sort_unstable();
    conflicts.dedup();
    Ok(ReadingRow {
        about: about(kind, &view.facts),
        keys: duplicate_keys(kind, &view.facts),
        title: title(kind, &view.facts),
        words: said(kind, &view.facts, u8::MAX),
        open_words: said(kind, &view.facts, INTERNAL),
        pending,
        conflicts,
        findings: validate(kind, &judged).into_iter().map(finding_view).collect(),
        files: files(&view.facts, false).chain(files(&private.facts, true)).collect(),
    })
}

/// The files that a document names, removed ones included: nothing that was said is lost, nor what it was said of.
fn files(facts: &Facts, private: bool) -> impl Iterator<Item = FileRow> {
    facts.files.iter().map(move |(hash, file)| FileRow {
        private,
        hash: *hash,
        field: file.field.clone(),
        media_type: file.media_type.clone(),
        bytes: file.bytes,
        thumbnail: file.thumbnail,
        removed: file.removed,
    })
}

/// The record that this one is about: what its first reference field names.
fn about(kind: &CheckedKind, facts: &Facts) -> Option<RecordId> {
    let field = kind.fields.iter().find(|field| field.field_type == FieldType::Reference)?;
    facts.fields.get(&field.code)?.as_text()?.parse().ok()
}

/// The official view: at the pinned heads while the state pins them, else as it is now.
pub(crate) fn official<'v>(
    kind: &CheckedKind,
    state: &RecordState,
    facts: &Document,
    now: &'v View,
) -> Result<Cow<'v, View>, StationError> {
    match state.official(kind) {
        Some(heads) => facts
            .view_at(heads)
            .map_err(|fault| damaged(state, &fault))?
            .map(Cow::Owned)
            .ok_or_else(|| StationError::Damaged(format!("record {}: its pinned heads are missing", state.id))),
        None => Ok(Cow::Borrowed(now)),
    }
}

/// A record as rules see it, at the time of its newest entry: no clock, so that a rebuild finds the same.
pub(crate) fn judged<'a>(state: &'a RecordState, facts: &'a Facts, private: &'a Facts, user: UserContext<'a>) -> Judged<'a> {
    Judged {
        facts,
        private: Some(private),
        record: RecordContext {
            id: state.id,
            state: &state.state,
            unit: state.opening.opens.unit,
            opened_at: state.opening.at,
            opened_by: state.opening.user,
        },
        now: state.last_at,
        utc_offset_minutes: UTC_OFFSET_MINUTES,
        user,
    }
}

/// Roles by code as rules know them; codes of a later version count for nothing.
pub(crate) fn roles(codes: &[String]) -> Vec<Who> {
    codes.iter().filter_map(|code| Who::from_code(code)).collect()
}

/// A finding as shown.
pub(crate) fn finding_view(finding: Finding) -> FindingView {
    let severity = match finding.severity {
        FindingSeverity::Error => "error",
        FindingSeverity::Warning => "warning",
        FindingSeverity::Unknown => "unknown",
    };
    FindingView {
        path: finding.path,
        code: finding.code,
        severity: severity.to_owned(),
        message: finding.message,
    }
}

/// Facts place by place, as `fields/outcome`.
pub(crate) fn places(facts: &Facts) -> BTreeMap<String, serde_json::Value> {
    let mut places = BTreeMap::new();
    for (code, value) in &facts.fields {
        places.insert(format!("fields/{code}"), json(value));
    }
    for (list, items) in &facts.lists {
        for (id, item) in items {
            if item.removed {
                places.insert(format!("lists/{list}/{id}/removed"), true.into());
            }
            for (code, value) in &item.fields {
                places.insert(format!("lists/{list}/{id}/{code}"), json(value));
            }
        }
    }
    for (code, note) in &facts.notes {
        places.insert(format!("notes/{code}"), note.clone().into());
    }
    for (key, bytes) in &facts.track {
        places.insert(format!("track/{key}"), serde_json::json!({ "bytes": bytes.len() }));
    }
    for (hash, file) in &facts.files {
        places.insert(format!("files/{hash}/field"), file.field.clone().into());
        places.insert(format!("files/{hash}/removed"), file.removed.into());
    }
    places
}

/// A value as JSON.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

fn differing(one: &Facts, other: &Facts) -> u32 {
    let (one, other) = (places(one), places(other));
    let changed = other.iter().filter(|(path, value)| one.get(*path) != Some(value)).count();
    u32::try_from(changed).unwrap_or(u32::MAX)
}

pub(crate) fn title(kind: &CheckedKind, facts: &Facts) -> String {
    let parts: Vec<String> = kind
        .title
        .iter()
        .filter_map(|code| kind.field(code))
        .filter_map(|field| spoken(field, facts.fields.get(&field.code)?, |label| label.zh.as_str()))
        .collect();
    if parts.is_empty() {
        kind.label.zh.clone()
    } else {
        parts.join(" · ")
    }
}

/// A value as people say it; references and machine values are not words.
fn spoken(field: &Field, value: &Value, language: fn(&beatbook_protocol::kind::Label) -> &str) -> Option<String> {
    let label = |code: &str| {
        let choice = field.choices.iter().find(|choice| choice.code == code);
        choice.map_or_else(|| code.to_owned(), |choice| language(&choice.label).to_owned())
    };
    match (field.field_type, value) {
        (FieldType::Reference | FieldType::User | FieldType::Place | FieldType::Time, _) | (_, Value::Null) => None,
        (FieldType::Choice, Value::Text(code)) => Some(label(code)),
        (FieldType::Choices, Value::Text(codes)) => Some(codes.split_whitespace().map(label).collect::<Vec<_>>().join(" ")),
        (_, Value::Text(text)) => (!text.is_empty()).then(|| text.clone()),
        (_, Value::Int(number)) => Some(number.to_string()),
        (_, Value::Decimal(number)) => Some(number.to_string()),
        (_, Value::Bool(_)) => None,
    }
}

/// The words that search finds in fields up to a level: searchable fields, choices in both languages, notes, items that are not taken out.
fn said(kind: &CheckedKind, facts: &Facts, level_max: u8) -> String {
    let mut said = Vec::new();
    let mut put = |field: &Field, value: Option<&Value>| {
        let Some(value) = value else { return };
        said.extend(spoken(field, value, |label| label.zh.as_str()));
        if matches!(field.field_type, FieldType::Choice | FieldType::Choices) {
            said.extend(spoken(field, value, |label| label.en.as_str()));
        }
    };
    let is_within = |field: &&Field| field.document == DocumentName::Facts && field.sensitivity <= level_max;
    for field in kind.fields.iter().filter(is_within) {
        if field.searchable {
            put(field, facts.fields.get(&field.code));
            let note = facts.notes.get(&field.code).cloned().map(Value::Text);
            put(field, note.as_ref());
        }
        let items = facts
            .lists
            .get(&field.code)
            .into_iter()
            .flatten()
            .filter(|(_, item)| !item.removed);
        for (_, item) in items {
            let is_found = |part: &&Field| (part.searchable || field.searchable) && part.sensitivity <= level_max;
            for part in field.fields.iter().filter(is_found) {
                put(part, item.fields.get(&part.code));
            }
        }
    }
    words::spaced(&said.join("\n"))
}
