//! Two records of one thing: by which fields a kind tells that two may be one, and the acts by which a person says so or takes it back.
//! Suggests nothing of itself and merges nothing: a merge is an act on one record that names another, and both keep what they say.

use super::model::{ActRule, DocumentName, FieldType, Kind};
use crate::entry::ActEntry;
use crate::facts::{Facts, Value};
use crate::id::RecordId;

/// The act that says: this record is the one that its value [`TARGET`] names, which goes on.
pub const MERGE_INTO: &str = "merge_into";
/// Name of the value in [`MERGE_INTO`].
pub const TARGET: &str = "target";
/// The act that takes a merge back.
pub const UNMERGE: &str = "unmerge";
/// The act that says: this record and the one that its value [`OTHER`] names are two.
pub const NOT_DUPLICATE: &str = "not_duplicate";
/// Name of the value in [`NOT_DUPLICATE`].
pub const OTHER: &str = "other";

/// Between the parts of a key; no text that people type holds it.
const BETWEEN: char = '\u{1f}';

impl Kind {
    /// The state of a record that was merged into another; none for kinds whose records are never merged.
    #[must_use]
    pub fn merged_state(&self) -> Option<&str> {
        if self.duplicate_key.is_empty() {
            return None;
        }
        self.act(MERGE_INTO)?.to.as_deref()
    }
}

/// The keys of a record: one for each way of the kind whose fields are all filled. Two records of a kind with one equal key may be one thing.
#[must_use]
pub fn duplicate_keys(kind: &Kind, facts: &Facts) -> Vec<String> {
    let key = |way: &Vec<String>| {
        let parts: Option<Vec<String>> = way.iter().map(|code| part(facts.fields.get(code)?)).collect();
        Some(format!("{}={}", way.join("+"), parts?.join(&BETWEEN.to_string())))
    };
    kind.duplicate_key.iter().filter_map(key).collect()
}

/// The record that a merge names.
#[must_use]
pub fn merge_target(act: &ActEntry) -> Option<RecordId> {
    act.value(TARGET)?.as_text()?.parse().ok()
}

/// The record that was said to be another one.
#[must_use]
pub fn other_than(act: &ActEntry) -> Option<RecordId> {
    act.value(OTHER)?.as_text()?.parse().ok()
}

/// A text as keys compare it: full-width letters and digits as plain ones, dashes as one, small letters, no spaces. Two officers type one
/// address with and without them.
#[must_use]
pub fn normalised(text: &str) -> String {
    text.chars()
        .filter_map(|letter| match letter {
            // U+FF01 to U+FF5E are the printable ASCII characters in full width (Unicode, Halfwidth and Fullwidth Forms).
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
            letter if letter.is_whitespace() => None,
            letter => Some(letter),
        })
        .flat_map(char::to_lowercase)
        .collect()
}

fn part(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(normalised(text)).filter(|text| !text.is_empty()),
        Value::Int(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Decimal(_) => None,
    }
}

/// What a kind with a `duplicate_key` lacks, if anything: fields that say the same for everybody, and the acts.
pub(super) fn lacks(kind: &Kind) -> Option<Lack> {
    for (way, codes) in kind.duplicate_key.iter().enumerate() {
        if codes.is_empty() {
            return Some(Lack::Fields {
                way,
                code: String::new(),
            });
        }
        let fits = |code: &&String| {
            kind.field(code).is_some_and(|field| {
                let told = matches!(
                    field.field_type,
                    FieldType::Text | FieldType::Integer | FieldType::Choice | FieldType::Date | FieldType::Reference
                );
                told && field.document == DocumentName::Facts
            })
        };
        if let Some(code) = codes.iter().find(|code| !fits(code)) {
            return Some(Lack::Fields { way, code: code.clone() });
        }
    }
    if kind.duplicate_key.is_empty() {
        return None;
    }
    let names_one = |act: &ActRule, value: &str| {
        act.fields.iter().any(|field| {
            field.code == value
                && field.field_type == FieldType::Reference
                && field.kind.as_deref() == Some(&kind.code)
                && field.required.is_some()
        })
    };
    let merged = kind
        .act(MERGE_INTO)
        .filter(|act| names_one(act, TARGET))
        .and_then(|act| act.to.as_ref());
    let Some(merged) = merged else {
        return Some(Lack::Act(
            "an act merge_into into a state of its own, with a required reference `target` to this kind",
        ));
    };
    let back = kind
        .act(UNMERGE)
        .is_some_and(|act| act.from == [merged.clone()] && act.to.is_some());
    if !back {
        return Some(Lack::Act(
            "an act unmerge out of the state that merge_into leads to, and of no other",
        ));
    }
    let two = kind
        .act(NOT_DUPLICATE)
        .is_some_and(|act| act.to.is_none() && names_one(act, OTHER));
    if !two {
        return Some(Lack::Act(
            "an act not_duplicate that leads nowhere, with a required reference `other` to this kind",
        ));
    }
    // Another way into that state would leave records merged into nothing.
    let others = kind
        .workflow
        .acts
        .iter()
        .any(|act| act.code != MERGE_INTO && act.to.as_ref() == Some(merged));
    (others || kind.workflow.initial == *merged)
        .then_some(Lack::Act("no other way into the state of merged records than merge_into"))
}

/// What is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// A way without fields, or with one that does not serve.
    Fields {
        /// Number of the way.
        way: usize,
        /// The field.
        code: String,
    },
    /// An act.
    Act(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{Catalogue, CheckedKind};

    fn household() -> CheckedKind {
        Catalogue::builtin().unwrap().newest("household").unwrap().clone()
    }

    fn facts(address: &str, code: &str) -> Facts {
        let mut facts = Facts::default();
        facts.fields.insert("address".into(), address.into());
        facts.fields.insert("address_code".into(), code.into());
        facts
    }

    #[test]
    fn one_address_typed_in_two_ways_has_one_key() {
        let kind = household();
        let one = duplicate_keys(&kind, &facts("中关村 3号楼 2-501", "110108-A7"));
        let other = duplicate_keys(&kind, &facts("中关村３号楼２－５０１ ", "１１０１０８—a7"));
        assert_eq!(one, other);
        assert_eq!(one.len(), 2);
        assert_ne!(one, duplicate_keys(&kind, &facts("中关村 3号楼 2-502", "110108-A8")));
    }

    #[test]
    fn what_is_not_filled_is_no_key() {
        let kind = household();
        assert_eq!(duplicate_keys(&kind, &facts("  ", "")), Vec::<String>::new());
        assert_eq!(duplicate_keys(&kind, &Facts::default()), Vec::<String>::new());
        assert_eq!(duplicate_keys(&kind, &facts("甲楼", "")).len(), 1);
    }

    #[test]
    fn a_kind_with_a_duplicate_key_has_the_fields_and_acts_for_it() {
        let sound = household();
        assert_eq!(lacks(&sound), None);
        assert_eq!(sound.merged_state(), Some("merged"));
        let broken = |change: fn(&mut Kind)| {
            let mut kind: Kind = (*sound).clone();
            change(&mut kind);
            lacks(&kind)
        };
        assert!(matches!(
            broken(|kind| kind.duplicate_key.push(Vec::new())),
            Some(Lack::Fields { .. })
        ));
        assert!(matches!(
            broken(|kind| kind.duplicate_key.push(vec!["notes".into()])),
            Some(Lack::Fields { .. })
        ));
        for act in [MERGE_INTO, UNMERGE, NOT_DUPLICATE] {
            let mut kind: Kind = (*sound).clone();
            kind.workflow.acts.retain(|rule| rule.code != act);
            assert!(matches!(lacks(&kind), Some(Lack::Act(_))), "{act}");
        }
    }
}
