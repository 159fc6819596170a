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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::FileRef;
    use crate::id::Hash;
    use crate::kind::Kind;
    use crate::kind::samples::{NOW, add, judged, kind, plain_visit, put, short};
    use FindingSeverity::{Error, Unknown, Warning};

    fn text(text: &str) -> Value {
        Value::from(text)
    }

    #[test]
    fn a_visit_filled_plainly_has_no_findings() {
        let visit = kind("visit");
        assert_eq!(validate(&visit, &judged(&plain_visit(), None, "done")), []);

        let mut full = plain_visit();
        put(&mut full, "duration_min", 20);
        put(&mut full, "place", "geo:39.971743,116.441827;u=12");
        put(&mut full, "arranged_at", NOW.0 - 60_000);
        add(
            &mut full,
            "people_met",
            1,
            &[("name", text("王芳")), ("relation", text("tenant"))],
        );
        add(
            &mut full,
            "changes",
            2,
            &[("what", text("moved_in")), ("text", text("一人迁入"))],
        );
        let opinion = [
            ("topic", text("traffic")),
            ("text", text("夜间停车占道")),
            ("satisfaction", Value::Int(4)),
            ("wants_reply", Value::Bool(true)),
            ("due", text("2026-12-01")),
        ];
        add(&mut full, "opinions", 3, &opinion);
        add(
            &mut full,
            "promises",
            4,
            &[("what", text("联系物业")), ("due", text("2026-11-23"))],
        );
        full.notes.insert("notes".into(), "周末在家".into());
        assert_eq!(validate(&visit, &judged(&full, Some(&Facts::default()), "done")), []);
    }

    #[test]
    fn an_empty_visit_lacks_what_is_required_in_the_order_of_the_form() {
        let visit = kind("visit");
        let findings = validate(&visit, &judged(&Facts::default(), None, "due"));
        let required = |path| (path, "required", Error);
        let paths = ["fields/household", "fields/purpose", "fields/started_at", "fields/outcome"];
        assert_eq!(short(&findings), paths.map(required));
        assert_eq!(
            findings[1].message,
            Finding::label("走访目的：必填", "Purpose: must be filled in")
        );
        assert!(hinders(&findings));
    }

    #[test]
    fn cleared_and_blank_values_are_no_values() {
        let visit = kind("visit");
        for nothing in [Value::Null, text(""), text("  ")] {
            let mut facts = plain_visit();
            put(&mut facts, "purpose", nothing);
            assert_eq!(
                short(&validate(&visit, &judged(&facts, None, "done"))),
                [("fields/purpose", "required", Error)]
            );
        }
    }

    #[test]
    fn items_are_judged_by_themselves_and_removed_ones_not_at_all() {
        let visit = kind("visit");
        let mut facts = plain_visit();
        add(&mut facts, "people_met", 1, &[("relation", text("cousin"))]);
        add(
            &mut facts,
            "opinions",
            2,
            &[
                ("topic", text("traffic")),
                ("text", text("x")),
                ("satisfaction", Value::Int(6)),
                ("wants_reply", Value::Bool(true)),
            ],
        );
        add(&mut facts, "promises", 3, &[("what", text("x")), ("due", text("2026-11-22"))]);
        let findings = validate(&visit, &judged(&facts, None, "done"));
        let id = |number: u8| ItemId::from_bytes([number; 16]);
        let paths = [
            format!("lists/people_met/{}/name", id(1)),
            format!("lists/people_met/{}/relation", id(1)),
            format!("lists/opinions/{}/satisfaction", id(2)),
            format!("lists/promises/{}/due", id(3)),
        ];
        let expected = [
            (paths[0].as_str(), "required", Error),
            (paths[1].as_str(), "choice", Error),
            (paths[2].as_str(), "constraint", Error),
            (paths[3].as_str(), "constraint", Error),
            ("rules/reply_has_a_date", "rule:reply_has_a_date", Warning),
        ];
        assert_eq!(short(&findings), expected);
        for items in facts.lists.values_mut() {
            items.values_mut().for_each(|item| item.removed = true);
        }
        assert_eq!(validate(&visit, &judged(&facts, None, "done")), []);
    }

    #[test]
    fn what_is_not_relevant_is_not_judged() {
        let visit = kind("visit");
        let mut facts = plain_visit();
        put(&mut facts, "outcome", "no_answer");
        add(&mut facts, "people_met", 1, &[]);
        assert_eq!(validate(&visit, &judged(&facts, None, "attempted")), []);
    }

    /// A kind with one field of this type.
    fn kind_with(field: &str) -> CheckedKind {
        let text = format!(
            r#"code = "one"
version = 1
label = {{ zh = "一", en = "One" }}
purpose = "To test."
legal_basis = "None."
title = ["name"]
[retention]
days = 1
why = "A test."
[[field]]
code = "name"
label = {{ zh = "名称", en = "Name" }}
type = "text"
purpose = "To test."
[[field]]
code = "it"
label = {{ zh = "它", en = "It" }}
purpose = "To test."
{field}
[workflow]
initial = "open"
act = []
[[workflow.state]]
code = "open"
label = {{ zh = "开", en = "open" }}
writers = ["author"]
"#
        );
        Kind::parse(&text, "one.toml").unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn codes_of(kind: &CheckedKind, value: Value) -> Vec<String> {
        let mut facts = Facts::default();
        put(&mut facts, "it", value);
        validate(kind, &judged(&facts, None, "open"))
            .into_iter()
            .map(|finding| finding.code)
            .collect()
    }

    fn takes(field: &str, good: &[Value], bad: &[(Value, &str)]) {
        let kind = kind_with(field);
        for value in good {
            assert_eq!(codes_of(&kind, value.clone()), Vec::<String>::new(), "{field} {value:?}");
        }
        for (value, code) in bad {
            assert_eq!(codes_of(&kind, value.clone()), [*code], "{field} {value:?}");
        }
    }

    #[test]
    fn numbers_texts_and_times_take_their_values_and_no_others() {
        takes(
            "type = \"text\"\nchars_max = 3",
            &[text("三个字")],
            &[(text("四个字了"), "too_long"), (Value::Int(1), "type")],
        );
        takes(
            "type = \"text\"",
            &[text(&"字".repeat(4_000))],
            &[(text(&"字".repeat(4_001)), "too_long")],
        );
        takes(
            "type = \"integer\"",
            &[Value::Int(-5)],
            &[(Value::Decimal(1.5), "type"), (text("5"), "type")],
        );
        let not_finite = [
            (Value::Decimal(f64::NAN), "type"),
            (Value::Decimal(f64::INFINITY), "type"),
            (Value::Bool(true), "type"),
        ];
        takes("type = \"decimal\"", &[Value::Decimal(1.5), Value::Int(2)], &not_finite);
        takes(
            "type = \"boolean\"",
            &[Value::Bool(false)],
            &[(Value::Int(0), "type"), (text("true"), "type")],
        );
        let days = [
            (text("2027-02-29"), "type"),
            (text("1026-11-23"), "range"),
            (Value::Int(1), "type"),
        ];
        takes("type = \"date\"", &[text("2028-02-29")], &days);
        takes(
            "type = \"time\"",
            &[Value::Int(NOW.0)],
            &[(Value::Int(i64::MAX), "range"), (text("now"), "type")],
        );
    }

    #[test]
    fn choices_places_and_references_take_their_values_and_no_others() {
        let of = "choice = [{ code = \"a\", label = { zh = \"甲\", en = \"a\" } }, { code = \"b\", label = { zh = \"乙\", en = \"b\" } }]";
        let one = [(text("c"), "choice"), (text("a b"), "choice"), (Value::Int(1), "type")];
        takes(&format!("type = \"choice\"\n{of}"), &[text("a")], &one);
        let wrong = [
            (text("b a"), "type"),
            (text("a a"), "type"),
            (text("a c"), "choice"),
            (text("a  b"), "choice"),
            (text(" a"), "choice"),
        ];
        takes(&format!("type = \"choices\"\n{of}"), &[text("a"), text("a b")], &wrong);
        takes(
            "type = \"place\"",
            &[text("geo:39.9,116.4")],
            &[(text("39.9,116.4"), "type"), (text("geo:91,0"), "type")],
        );
        let id = "0190a0b0-c0d0-7000-8000-000000000001";
        let ids = [
            (text("visit 7"), "type"),
            (text(&id.to_uppercase()), "type"),
            (Value::Bool(true), "type"),
        ];
        takes("type = \"reference\"\nkind = \"one\"", &[text(id)], &ids);
        takes("type = \"user\"", &[text(id)], &[(text("wang"), "type")]);
    }

    #[test]
    fn notes_files_and_tracks_are_judged_where_they_are_kept() {
        let note = kind_with("type = \"note\"\nrequired = \"true\"\nchars_max = 3");
        let mut facts = Facts::default();
        assert_eq!(
            short(&validate(&note, &judged(&facts, None, "open"))),
            [("notes/it", "required", Error)]
        );
        facts.notes.insert("it".into(), "四个字了".into());
        assert_eq!(
            short(&validate(&note, &judged(&facts, None, "open"))),
            [("notes/it", "too_long", Error)]
        );

        let files = kind_with(
            "type = \"files\"\nrequired = \"true\"\nconstraint = \"size(this) < 2\"\nconstraint_message = { zh = \"多\", en = \"many\" }",
        );
        let mut facts = Facts::default();
        let mut photo = |number: u8, removed| {
            let file = FileRef {
                field: "it".into(),
                media_type: "image/jpeg".into(),
                bytes: 9,
                thumbnail: None,
                removed,
            };
            facts.files.insert(Hash::from_bytes([number; 32]), file);
            validate(&files, &judged(&facts, None, "open"))
        };
        assert_eq!(short(&photo(1, true)), [("files/it", "required", Error)]);
        assert_eq!(short(&photo(2, false)), []);
        assert_eq!(short(&photo(3, false)), [("files/it", "constraint", Error)]);

        let track = kind_with("type = \"track\"\nrequired = \"true\"");
        let mut facts = Facts::default();
        assert_eq!(
            short(&validate(&track, &judged(&facts, None, "open"))),
            [("track/it", "required", Error)]
        );
        facts.track.insert("0".into(), vec![1]);
        assert_eq!(validate(&track, &judged(&facts, None, "open")), []);
    }

    #[test]
    fn a_list_beyond_its_limit_is_flagged_and_costs_no_more() {
        let visit = kind("visit");
        let mut facts = plain_visit();
        let items = facts.lists.entry("people_met".into()).or_default();
        for number in 0..500_u16 {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            items.insert(ItemId::from_bytes(bytes), Item::default());
        }
        let findings = validate(&visit, &judged(&facts, None, "done"));
        assert_eq!((findings.len(), findings[0].code.as_str()), (1 + LIST_ITEMS_MAX, "too_many"));
    }

    #[test]
    fn values_in_the_wrong_place_are_flagged_and_unknown_codes_kept() {
        let incident = kind("incident");
        let mut facts = Facts::default();
        put(&mut facts, "people_involved", "王芳 13800000000");
        put(&mut facts, "of_a_later_version", "kept");
        add(&mut facts, "title", 1, &[]);
        facts.notes.insert("notes".into(), String::new());
        let mut open = Facts::default();
        add(&mut open, "people_involved", 1, &[("name", text("王芳"))]);
        let strays = |facts: &Facts| -> Vec<(String, String)> {
            let findings = validate(&incident, &judged(facts, Some(&Facts::default()), "draft"));
            findings
                .into_iter()
                .filter(|f| f.code != "required")
                .map(|f| (f.path, f.code))
                .collect()
        };
        let expected = [("fields/people_involved", "type"), ("lists/title", "type")];
        assert_eq!(
            strays(&facts),
            expected.map(|(path, code)| (path.to_owned(), code.to_owned()))
        );
        assert_eq!(strays(&open), [("lists/people_involved".to_owned(), "document".to_owned())]);
    }

    #[test]
    fn what_reaches_a_document_not_held_is_unknown() {
        let kind = kind_with(
            "type = \"text\"\ndocument = \"private\"\nrequired = \"facts.name != null\"\nconstraint = \"this != 'x'\"\nconstraint_message = { zh = \"不\", en = \"no\" }",
        );
        let text = kind.source().replace(
            "[workflow]",
            "[[rule]]\ncode = \"both\"\nholds = \"facts.name == null || facts.it != null\"\nmessage = { zh = \"缺\", en = \"lacks\" }\n[workflow]",
        );
        let kind = Kind::parse(&text, "one.toml").unwrap();
        let mut facts = Facts::default();
        let both = ("rules/both", "rule:both", Unknown);
        assert_eq!(
            short(&validate(&kind, &judged(&facts, None, "open"))),
            [("fields/it", "constraint", Unknown), both]
        );
        put(&mut facts, "name", "n");
        let away = validate(&kind, &judged(&facts, None, "open"));
        assert_eq!(short(&away), [("fields/it", "required", Unknown), both]);
        assert!(!hinders(&away));

        let held = validate(&kind, &judged(&facts, Some(&Facts::default()), "open"));
        assert_eq!(
            short(&held),
            [("fields/it", "required", Error), ("rules/both", "rule:both", Error)]
        );
        let mut private = Facts::default();
        put(&mut private, "it", "x");
        assert_eq!(
            short(&validate(&kind, &judged(&facts, Some(&private), "open"))),
            [("fields/it", "constraint", Error)]
        );
    }

    #[test]
    fn rules_that_fail_by_themselves_are_findings_and_no_panics() {
        let divides = "constraint = \"10 / (this - 7) > 0\"\nconstraint_message = { zh = \"不\", en = \"no\" }";
        let kind = kind_with(&format!("type = \"integer\"\n{divides}").replace("10 /", "-10 /"));
        let mut facts = Facts::default();
        for (value, code) in [
            (7, Some("expression")),
            (i64::MIN, Some("expression")),
            (9, Some("constraint")),
            (1, None),
        ] {
            put(&mut facts, "it", value);
            let findings = validate(&kind, &judged(&facts, None, "open"));
            assert_eq!(findings.first().map(|finding| finding.code.as_str()), code, "{value}");
            assert_eq!(hinders(&findings), code == Some("constraint"));
            assert_eq!(findings, validate(&kind, &judged(&facts, None, "open")));
        }
    }

    #[test]
    fn days_are_those_of_the_units_offset_at_the_stamp() {
        let kind = kind_with(
            "type = \"date\"\nconstraint = \"this == today && days_between('2026-11-20', this) == 3\"\nconstraint_message = { zh = \"不\", en = \"no\" }",
        );
        let mut facts = Facts::default();
        put(&mut facts, "it", "2026-11-23");
        let at = |hours: i64, offset| {
            let mut judged = judged(&facts, None, "open");
            judged.now = NOW.plus(hours * 3_600_000);
            judged.utc_offset_minutes = offset;
            validate(&kind, &judged).is_empty()
        };
        assert!(at(0, 480) && at(14, 480) && at(-9, 480));
        assert!(!at(15, 480) && !at(-10, 480));
        assert!(at(15, 0) && !at(-9, 0));
    }

    #[test]
    fn an_incident_with_casualties_is_judged_with_its_persons() {
        let incident = kind("incident");
        let mut facts = Facts::default();
        put(&mut facts, "title", "楼道起火");
        put(&mut facts, "category", "fire");
        put(&mut facts, "happened_at", NOW.0);
        put(&mut facts, "summary", "三楼楼道杂物起火，已扑灭");
        put(&mut facts, "place", "geo:39.971743,116.441827");
        let mut private = Facts::default();
        add(
            &mut private,
            "people_involved",
            1,
            &[
                ("name", text("王芳")),
                ("part", text("reporter")),
                ("phone", text("13800000000")),
            ],
        );
        assert_eq!(validate(&incident, &judged(&facts, Some(&private), "draft")), []);
        let away = validate(&incident, &judged(&facts, None, "draft"));
        assert_eq!(short(&away), [("lists/people_involved", "constraint", Unknown)]);
        put(&mut facts, "injured", 2);
        let findings = validate(&incident, &judged(&facts, Some(&private), "draft"));
        assert_eq!(
            short(&findings),
            [("rules/casualties_are_graded", "rule:casualties_are_graded", Warning)]
        );
        put(&mut facts, "event_class", "accident_disaster");
        let findings = validate(&incident, &judged(&facts, Some(&private), "draft"));
        assert_eq!(short(&findings), [("fields/grade", "required", Error)]);
    }
}
