//! The rules that one field of a kind keeps: what goes with its type, and how it is protected.

use std::collections::BTreeSet;

use super::check::{Among, Checker, Fault, join, misplaced};
use super::lines::Step::{self, At, Key};
use super::model::{Choice, DocumentName, Field, FieldType};
use super::parse::KindFault;
use crate::limits::{NOTE_CHARS_MAX, TEXT_CHARS_MAX};

/// Checks a field by itself.
pub(super) fn check(checker: &Checker<'_>, field: &Field, among: Among<'_>, way: &[Step<'_>]) -> Result<(), Fault> {
    choices(checker, field, way)?;
    fitting(checker, field, way)?;
    protected(checker, field, among, way)
}

/// Choices where they belong, each once.
fn choices(checker: &Checker<'_>, field: &Field, way: &[Step<'_>]) -> Result<(), Fault> {
    let chooses = matches!(field.field_type, FieldType::Choice | FieldType::Choices);
    if chooses && field.choices.is_empty() {
        return checker.fault(way, KindFault::Missing("choice (a field of this type needs at least one)"));
    }
    if !chooses && !field.choices.is_empty() {
        return checker.fault(&join(way, "choice"), misplaced("choice", "a field of this type"));
    }
    let mut codes = BTreeSet::new();
    for (index, Choice { code, label }) in field.choices.iter().enumerate() {
        let way = [way, &[Key("choice"), At(index)]].concat();
        checker.once(&mut codes, "choice", code, &join(&way, "code"))?;
        checker.label(label, &join(&way, "label"))?;
    }
    Ok(())
}

/// What goes with a field of its type, and what does not.
fn fitting(checker: &Checker<'_>, field: &Field, way: &[Step<'_>]) -> Result<(), Fault> {
    let here = || format!("a field of type {:?}", field.field_type).to_lowercase();
    let refuse = |key: &'static str| {
        checker.fault(
            &join(way, key),
            KindFault::Misplaced {
                what: key,
                place: here(),
            },
        )
    };
    let kind = field.field_type;
    match (kind == FieldType::Reference, &field.kind) {
        (true, None) => return checker.fault(way, KindFault::Missing("kind (of the record referred to)")),
        (false, Some(_)) => return refuse("kind"),
        (true, Some(_)) | (false, None) => {}
    }
    match (kind == FieldType::List, field.fields.is_empty()) {
        (true, true) => return checker.fault(way, KindFault::Missing("field (a list needs the fields of its items)")),
        (false, false) => return refuse("field"),
        (true, false) | (false, true) => {}
    }
    let chars_max = match kind {
        FieldType::Text => TEXT_CHARS_MAX,
        FieldType::Note => NOTE_CHARS_MAX,
        _ => 0,
    };
    if let Some(chars) = field.chars_max {
        if chars_max == 0 {
            return refuse("chars_max");
        }
        if chars == 0 || chars as usize > chars_max {
            let fault = KindFault::OutOfRange {
                what: "chars_max",
                min: 1,
                max: chars_max as u64,
            };
            return checker.fault(&join(way, "chars_max"), fault);
        }
    }
    if field.carries_over && matches!(kind, FieldType::Files | FieldType::Track) {
        return refuse("carries_over");
    }
    if field.searchable
        && !matches!(
            kind,
            FieldType::Text | FieldType::Note | FieldType::Choice | FieldType::Choices
        )
    {
        return refuse("searchable");
    }
    if field.document == DocumentName::Private && matches!(kind, FieldType::Track) {
        // Segments are pinned with the facts; access to them is bounded by their sensitivity.
        return refuse("document");
    }
    Ok(())
}

/// Personal and sensitive fields are in `private`, or say why not.
fn protected(checker: &Checker<'_>, field: &Field, among: Among<'_>, way: &[Step<'_>]) -> Result<(), Fault> {
    if field.sensitivity > 3 {
        return checker.fault(
            &join(way, "sensitivity"),
            KindFault::OutOfRange {
                what: "sensitivity",
                min: 0,
                max: 3,
            },
        );
    }
    if let Some(why) = &field.why_not_private {
        checker.said(why, "why_not_private", &join(way, "why_not_private"))?;
    }
    let (document, place) = match among {
        Among::Record => (field.document, None),
        Among::Items(list) => (
            list.document,
            Some("the items of a list, which hold scalar fields of one document"),
        ),
        Among::Values(_) => (DocumentName::Facts, Some("the values of an act, which are scalar and open")),
    };
    if let Some(place) = place {
        if matches!(
            field.field_type,
            FieldType::List | FieldType::Note | FieldType::Files | FieldType::Track
        ) {
            return checker.fault(&join(way, "type"), misplaced("this type", place));
        }
        if field.document == DocumentName::Private && document == DocumentName::Facts {
            return checker.fault(&join(way, "document"), misplaced("document = \"private\"", place));
        }
    }
    if field.sensitivity >= 2 && document != DocumentName::Private && field.why_not_private.is_none() {
        return checker.fault(&join(way, "sensitivity"), KindFault::Unprotected(field.code.clone()));
    }
    Ok(())
}
