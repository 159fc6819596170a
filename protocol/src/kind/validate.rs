//! Judges a record's facts by its kind: the same findings in the same order on a phone and on the station. A finding is a business
//! fault: the record is kept and flagged, never refused.

use std::collections::BTreeMap;

use super::judged::{Answer, Evaluator, Judged, field_value, says_nothing, scalar_value, values_map};
use super::model::{DocumentName, Field, FieldType, Label, Rule, Severity};
use super::parse::CheckedKind;
use super::values;
use crate::facts::{Facts, Item, Value};
use crate::id::ItemId;
use crate::limits::{FILES_MAX, LIST_ITEMS_MAX, NOTE_CHARS_MAX};
use cel::Value as CelValue;

/// One thing that a record, or an act, does not hold to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// Where: `fields/outcome`, `lists/people_met/<item id>/name`, `notes/summary`, `files/photos`, `track/track`, `rules/<code>`,
    /// `values/<code>` (of an act), `comment`.
    pub path: String,
    /// What: `required`, `type`, `choice`, `range`, `too_long`, `too_many`, `document`, `constraint`, `relevant`, `expression`,
    /// `rule:<code>`.
    pub code: String,
    /// What follows from it.
    pub severity: FindingSeverity,
    /// What to say to people.
    pub message: Label,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// It hinders submitting.
    Error,
    /// It flags the record for the chief.
    Warning,
    /// It cannot be judged here, because it reaches a document that is not held; the station decides.
    Unknown,
}

/// Whether any of these findings hinders submitting.
#[must_use]
pub fn hinders(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == FindingSeverity::Error)
}

/// Judges a record: fields in the kind's order, items by id, then what stands where it does not belong, then rules.
#[must_use]
pub fn validate(kind: &CheckedKind, judged: &Judged<'_>) -> Vec<Finding> {
    let evaluator = Evaluator::of(kind, judged);
    let mut judge = Judge {
        kind,
        evaluator: &evaluator,
        more: &[],
        findings: Vec::new(),
    };
    for field in &kind.fields {
        match judged.document(field.document) {
            Some(facts) => judge.field(field, facts),
            None => judge.unheld(field),
        }
    }
    for document in [DocumentName::Facts, DocumentName::Private] {
        if let Some(facts) = judged.document(document) {
            judge.strays(document, facts);
        }
    }
    let mut findings = judge.findings;
    judge_rules(kind, &evaluator, &kind.rules, &[], &mut findings);
    findings
}

/// Judges rules with further variables.
pub(super) fn judge_rules(
    kind: &CheckedKind,
    evaluator: &Evaluator,
    rules: &[Rule],
    more: &[(&str, &CelValue)],
    findings: &mut Vec<Finding>,
) {
    for rule in rules {
        let path = format!("rules/{}", rule.code);
        let code = format!("rule:{}", rule.code);
        let severity = match (evaluator.answer(kind.expression(&rule.holds), more), rule.severity) {
            (Answer::Is(true), _) => continue,
            (Answer::Is(false), Severity::Error) => FindingSeverity::Error,
            (Answer::Is(false), Severity::Warning) => FindingSeverity::Warning,
            (Answer::Unknown, _) => FindingSeverity::Unknown,
            (Answer::Fault(why), _) => {
                findings.push(Finding::of_fault(path, why));
                continue;
            }
        };
        findings.push(Finding {
            path,
            code,
            severity,
            message: rule.message.clone(),
        });
    }
}

/// Judges scalar values (of an item, of an act) by their fields.
pub(super) fn judge_values<'v>(
    kind: &CheckedKind,
    evaluator: &Evaluator,
    fields: &[Field],
    value: impl Fn(&str) -> Option<&'v Value>,
    prefix: &str,
    more: &[(&str, &CelValue)],
    findings: &mut Vec<Finding>,
) {
    let mut judge = Judge {
        kind,
        evaluator,
        more,
        findings: std::mem::take(findings),
    };
    for field in fields {
        judge.scalar(field, value(&field.code), &format!("{prefix}/{}", field.code));
    }
    *findings = judge.findings;
}

struct Judge<'a> {
    kind: &'a CheckedKind,
    evaluator: &'a Evaluator,
    more: &'a [(&'a str, &'a CelValue)],
    findings: Vec<Finding>,
}

impl Judge<'_> {
    fn field(&mut self, field: &Field, facts: &Facts) {
        match field.field_type {
            FieldType::List => self.list(field, facts),
            FieldType::Note => {
                let note = facts.notes.get(&field.code).map_or("", String::as_str);
                let path = format!("notes/{}", field.code);
                if self.judged_further(field, &path, note.trim().is_empty()) {
                    let max = field.chars_max.map_or(NOTE_CHARS_MAX, |max| max as usize);
                    if note.chars().nth(max).is_some() {
                        self.push(&path, "too_long", field, &values::too_long(max));
                    }
                    self.constraint(field, &field_value(field, facts), &path);
                }
            }
            FieldType::Files => {
                let there = facts
                    .files
                    .values()
                    .filter(|file| !file.removed && file.field == field.code)
                    .count();
                let path = format!("files/{}", field.code);
                if self.judged_further(field, &path, there == 0) {
                    if there > FILES_MAX {
                        self.push(&path, "too_many", field, &values::too_many(FILES_MAX));
                    }
                    self.constraint(field, &field_value(field, facts), &path);
                }
            }
            FieldType::Track => {
                let path = format!("track/{}", field.code);
                if self.judged_further(field, &path, facts.track.is_empty()) {
                    self.constraint(field, &field_value(field, facts), &path);
                }
            }
            FieldType::Text
            | FieldType::Integer
            | FieldType::Decimal
            | FieldType::Boolean
            | FieldType::Date
            | FieldType::Time
            | FieldType::Choice
            | FieldType::Choices
            | FieldType::Place
            | FieldType::Reference
            | FieldType::User => self.scalar(field, facts.fields.get(&field.code), &format!("fields/{}", field.code)),
        }
    }

    fn scalar(&mut self, field: &Field, value: Option<&Value>, path: &str) {
        if !self.judged_further(field, path, says_nothing(value)) {
            return;
        }
        match value.map_or(Ok(()), |value| values::check(field, value)) {
            Ok(()) => self.constraint(field, &scalar_value(field.field_type, value), path),
            Err((code, message)) => self.push(path, code, field, &message),
        }
    }

    fn list(&mut self, field: &Field, facts: &Facts) {
        let nothing = BTreeMap::new();
        let items: Vec<(&ItemId, &Item)> = facts
            .lists
            .get(&field.code)
            .unwrap_or(&nothing)
            .iter()
            .filter(|(_, item)| !item.removed)
            .collect();
        let path = format!("lists/{}", field.code);
        if !self.judged_further(field, &path, items.is_empty()) {
            return;
        }
        if items.len() > LIST_ITEMS_MAX {
            self.push(&path, "too_many", field, &values::too_many(LIST_ITEMS_MAX));
        }
        self.constraint(field, &field_value(field, facts), &path);
        for (id, item) in items.into_iter().take(LIST_ITEMS_MAX) {
            let value = values_map(&field.fields, |code| item.fields.get(code));
            let more = [("item", &value)];
            judge_values(
                self.kind,
                self.evaluator,
                &field.fields,
                |code| item.fields.get(code),
                &format!("{path}/{id}"),
                &more,
                &mut self.findings,
            );
        }
    }

    /// Judges relevance and presence; says whether what is written is to be judged as well.
    fn judged_further(&mut self, field: &Field, path: &str, blank: bool) -> bool {
        match self.ask(field.relevant.as_deref(), path) {
            Some(Answer::Is(false)) => return false,
            Some(Answer::Unknown) => {
                if field.required.is_some() || field.constraint.is_some() {
                    self.unknown(path, "relevant", field);
                }
                return false;
            }
            Some(Answer::Is(true) | Answer::Fault(_)) | None => {}
        }
        if !blank {
            return true;
        }
        match self.ask(field.required.as_deref(), path) {
            Some(Answer::Is(true)) => self.push(path, "required", field, &Finding::label("必填", "must be filled in")),
            Some(Answer::Unknown) => self.unknown(path, "required", field),
            Some(Answer::Is(false) | Answer::Fault(_)) | None => {}
        }
        false
    }

    /// A field whose document is not held: what the station will judge is said to be unknown here.
    fn unheld(&mut self, field: &Field) {
        let path = format!("{}/{}", container(field.field_type), field.code);
        if self.ask(field.relevant.as_deref(), &path) == Some(Answer::Is(false)) {
            return;
        }
        match self.ask(field.required.as_deref(), &path) {
            Some(Answer::Is(true) | Answer::Unknown) => return self.unknown(&path, "required", field),
            Some(Answer::Is(false) | Answer::Fault(_)) | None => {}
        }
        if field.constraint.is_some()
            || field
                .fields
                .iter()
                .any(|item| item.required.is_some() || item.constraint.is_some())
        {
            self.unknown(&path, "constraint", field);
        }
    }

    fn constraint(&mut self, field: &Field, this: &CelValue, path: &str) {
        let Some(source) = &field.constraint else { return };
        let mut more = vec![("this", this)];
        more.extend_from_slice(self.more);
        match self.evaluator.answer(self.kind.expression(source), &more) {
            Answer::Is(true) => {}
            Answer::Is(false) => {
                let message = field
                    .constraint_message
                    .clone()
                    .unwrap_or_else(|| Finding::label("不符合要求", "not allowed"));
                self.push(path, "constraint", field, &message);
            }
            Answer::Unknown => self.unknown(path, "constraint", field),
            Answer::Fault(why) => self.findings.push(Finding::of_fault(path.to_owned(), why)),
        }
    }

    /// What stands where its field does not belong: in another container, or in the open instead of in `private`. Codes that the kind
    /// does not know are of another version: they are kept and not judged.
    fn strays(&mut self, document: DocumentName, facts: &Facts) {
        let fields = facts
            .fields
            .iter()
            .filter(|(_, value)| !says_nothing(Some(value)))
            .map(|(code, _)| ("fields", code));
        let lists = facts
            .lists
            .iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(code, _)| ("lists", code));
        let notes = facts
            .notes
            .iter()
            .filter(|(_, note)| !note.is_empty())
            .map(|(code, _)| ("notes", code));
        let files = facts
            .files
            .values()
            .filter(|file| !file.removed)
            .map(|file| ("files", &file.field));
        for (holder, code) in fields.chain(lists).chain(notes).chain(files) {
            let Some(field) = self.kind.field(code) else { continue };
            let path = format!("{holder}/{code}");
            if container(field.field_type) != holder {
                self.push(&path, "type", field, &Finding::label("类型不符", "is of another type"));
            } else if field.document != document {
                let message = Finding::label("应存放在另一份文档中", "belongs in the record's other document");
                self.push(&path, "document", field, &message);
            }
        }
    }

    /// The answer of an expression of a field, if it has one. A fault is a finding already.
    fn ask(&mut self, source: Option<&str>, path: &str) -> Option<Answer> {
        let answer = self.evaluator.answer(self.kind.expression(source?), self.more);
        if let Answer::Fault(why) = answer {
            self.findings.push(Finding::of_fault(path.to_owned(), why));
        }
        Some(answer)
    }

    fn push(&mut self, path: &str, code: &str, field: &Field, message: &Label) {
        self.findings
            .push(Finding::of(path, code, FindingSeverity::Error, field, message));
    }

    fn unknown(&mut self, path: &str, code: &str, field: &Field) {
        let message = Finding::label("需由所里判定", "is for the station to judge");
        self.findings
            .push(Finding::of(path, code, FindingSeverity::Unknown, field, &message));
    }
}

impl Finding {
    pub(super) fn label(zh: &str, en: &str) -> Label {
        Label {
            zh: zh.to_owned(),
            en: en.to_owned(),
        }
    }

    fn of(path: &str, code: &str, severity: FindingSeverity, field: &Field, message: &Label) -> Self {
        let message = Label {
            zh: format!("{}：{}", field.label.zh, message.zh),
            en: format!("{}: {}", field.label.en, message.en),
        };
        Self {
            path: path.to_owned(),
            code: code.to_owned(),
            severity,
            message,
        }
    }

    /// A rule of the kind that failed by itself: nobody in the street can mend it, so that it flags and does not hinder.
    fn of_fault(path: String, why: &str) -> Self {
        let message = Label {
            zh: format!("规则无法判定（{why}）"),
            en: format!("a rule of the kind cannot be judged: {why}"),
        };
        Self {
            path,
            code: "expression".to_owned(),
            severity: FindingSeverity::Warning,
            message,
        }
    }
}

/// Where the facts keep a field of this type.
const fn container(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::List => "lists",
        FieldType::Note => "notes",
        FieldType::Files => "files",
        FieldType::Track => "track",
        FieldType::Text
        | FieldType::Integer
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Choice
        | FieldType::Choices
        | FieldType::Place
        | FieldType::Reference
        | FieldType::User => "fields",
    }
}
