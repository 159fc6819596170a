//! The kinds in force: the five embedded ones, and what a city adds. Older versions stay, since records stay under the version they were
//! made with. Knows nothing of where files come from.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::lines::Step::{At, Key};
use super::model::FieldType;
use super::parse::{CheckedKind, KindError, KindFault, parse_once};
use crate::codec::domain;
use crate::id::Hash;

/// The embedded kind files, by name.
const BUILTIN: [(&str, &str); 5] = [
    ("kinds/household.toml", include_str!("../../kinds/household.toml")),
    ("kinds/incident.toml", include_str!("../../kinds/incident.toml")),
    ("kinds/patrol.toml", include_str!("../../kinds/patrol.toml")),
    ("kinds/request.toml", include_str!("../../kinds/request.toml")),
    ("kinds/visit.toml", include_str!("../../kinds/visit.toml")),
];

/// The embedded kinds, once they were asked for.
static PARSED: OnceLock<Result<Catalogue, KindError>> = OnceLock::new();

/// Kinds by code and version. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    kinds: Arc<BTreeMap<String, BTreeMap<u32, CheckedKind>>>,
}

impl Catalogue {
    /// The embedded kinds: household, incident, patrol, request, visit. Parsed once.
    ///
    /// # Errors
    /// When an embedded file is faulty, which a test rules out.
    pub fn builtin() -> Result<Self, KindError> {
        PARSED.get_or_init(|| Self::default().with(BUILTIN)).clone()
    }

    /// This catalogue and further files (name, text): new kinds, or new versions of kinds. A file that is there already changes nothing.
    ///
    /// # Errors
    /// The first fault of a file: its own, a version that is taken, a field that changed its type, or a reference to no kind.
    pub fn with<'f>(&self, files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, KindError> {
        let mut kinds = (*self.kinds).clone();
        let mut added = Vec::new();
        for (name, text) in files {
            let kind = parse_once(text, name)?;
            let versions = kinds.entry(kind.code.clone()).or_default();
            if let Some(there) = versions.get(&kind.version) {
                if *there == kind {
                    continue;
                }
                let fault = KindFault::VersionTaken {
                    code: kind.code.clone(),
                    version: kind.version,
                };
                return Err(kind.error_at(&[Key("version")], fault));
            }
            for other in versions.values() {
                unchanged(&kind, other)?;
            }
            versions.insert(kind.version, kind.clone());
            added.push(kind);
        }
        for kind in &added {
            referred(kind, &kinds)?;
        }
        Ok(Self { kinds: Arc::new(kinds) })
    }

    /// The kind of this code and version.
    #[must_use]
    pub fn get(&self, code: &str, version: u32) -> Option<&CheckedKind> {
        self.kinds.get(code)?.get(&version)
    }

    /// The newest version of a kind: under it new records are made.
    #[must_use]
    pub fn newest(&self, code: &str) -> Option<&CheckedKind> {
        self.kinds.get(code)?.values().next_back()
    }

    /// All kinds, by code and version.
    pub fn iter(&self) -> impl Iterator<Item = &CheckedKind> {
        self.kinds.values().flat_map(BTreeMap::values)
    }

    /// One hash over all kinds: two ends with equal ones judge alike.
    #[must_use]
    pub fn digest(&self) -> Hash {
        set_digest(self.iter().map(CheckedKind::digest))
    }
}

/// One hash over a set of kind files, given by their digests in the order of code and version: so a phone names the set that a station
/// sent, files that it cannot read included.
#[must_use]
pub fn set_digest(files: impl IntoIterator<Item = Hash>) -> Hash {
    let digests: Vec<Hash> = files.into_iter().collect();
    let mut parts: Vec<&[u8]> = vec![domain::KIND, b"catalogue\0"];
    parts.extend(digests.iter().map(|digest| digest.as_bytes().as_slice()));
    Hash::of(&parts)
}

/// A field keeps its type and document through all versions, so that any version can read any record.
fn unchanged(kind: &CheckedKind, other: &CheckedKind) -> Result<(), KindError> {
    for (index, field) in kind.fields.iter().enumerate() {
        let Some(before) = other.field(&field.code) else { continue };
        if (field.field_type, field.document) != (before.field_type, before.document) {
            let fault = KindFault::FieldChanged {
                field: field.code.clone(),
                version: other.version,
            };
            return Err(kind.error_at(&[Key("field"), At(index), Key("type")], fault));
        }
        for (at, item) in field.fields.iter().enumerate() {
            let before = before.fields.iter().find(|before| before.code == item.code);
            if before.is_some_and(|before| before.field_type != item.field_type) {
                let fault = KindFault::FieldChanged {
                    field: item.code.clone(),
                    version: other.version,
                };
                return Err(kind.error_at(&[Key("field"), At(index), Key("field"), At(at), Key("type")], fault));
            }
        }
    }
    Ok(())
}

/// Every reference names a kind of the catalogue.
fn referred(kind: &CheckedKind, kinds: &BTreeMap<String, BTreeMap<u32, CheckedKind>>) -> Result<(), KindError> {
    let own = kind
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| (vec![Key("field"), At(index)], field));
    let items = kind.fields.iter().enumerate().flat_map(|(index, list)| {
        let way = move |at| vec![Key("field"), At(index), Key("field"), At(at)];
        list.fields.iter().enumerate().map(move |(at, field)| (way(at), field))
    });
    let acts = kind.workflow.acts.iter().enumerate().flat_map(|(index, act)| {
        let way = move |at| vec![Key("workflow"), Key("act"), At(index), Key("field"), At(at)];
        act.fields.iter().enumerate().map(move |(at, field)| (way(at), field))
    });
    for (mut way, field) in own.chain(items).chain(acts) {
        let Some(code) = &field.kind else { continue };
        if field.field_type == FieldType::Reference && !kinds.contains_key(code) {
            way.push(Key("kind"));
            return Err(kind.error_at(
                &way,
                KindFault::Unknown {
                    what: "kind",
                    code: code.clone(),
                },
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kind::{DocumentName, Field, Kind, Label, Who};

    fn builtin() -> Catalogue {
        Catalogue::builtin().unwrap_or_else(|error| panic!("{error}"))
    }

    /// All fields, those of items and acts too.
    fn all_fields(kind: &Kind) -> Vec<&Field> {
        let acts = kind.workflow.acts.iter().flat_map(|act| &act.fields);
        kind.fields
            .iter()
            .chain(kind.fields.iter().flat_map(|field| &field.fields))
            .chain(acts)
            .collect()
    }

    #[test]
    fn the_embedded_kinds_are_sound_and_sorted() {
        let catalogue = builtin();
        let codes: Vec<&str> = catalogue.iter().map(|kind| kind.code.as_str()).collect();
        assert_eq!(codes, ["household", "incident", "patrol", "request", "visit"]);
        assert_eq!(catalogue.get("visit", 1), catalogue.newest("visit"));
        assert!(catalogue.get("visit", 99).is_none() && catalogue.newest("dispute").is_none());
    }

    #[test]
    fn the_settled_states_are_those_that_only_the_chief_leads_out_of() {
        let settled = |code: &str| -> Vec<String> {
            let kind = builtin().newest(code).unwrap().clone();
            kind.workflow
                .states
                .iter()
                .filter(|state| state.settled)
                .map(|state| state.code.clone())
                .collect()
        };
        assert_eq!(settled("household"), ["archived"]);
        assert_eq!(settled("visit"), ["approved"]);
        assert_eq!(settled("patrol"), ["approved"]);
        assert_eq!(settled("incident"), ["closed", "evaluated"]);
        assert_eq!(settled("request"), ["closed"]);
        for kind in builtin().iter() {
            for act in &kind.workflow.acts {
                let leads_out = act.from.iter().any(|from| kind.state(from).unwrap().settled) && (act.to.is_some() || act.pins);
                assert!(!leads_out || act.by == [Who::Chief], "{} {}", kind.code, act.code);
            }
        }
    }

    #[test]
    fn every_text_for_people_is_there_in_both_languages() {
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)) || text == "NFC";
        let good = |label: &Label| chinese(&label.zh) && !label.en.trim().is_empty() && label.en.is_ascii();
        for kind in builtin().iter() {
            let fields = all_fields(kind);
            let states = kind.workflow.states.iter().map(|state| &state.label);
            let acts = kind.workflow.acts.iter().map(|act| &act.label);
            let rules = kind
                .rules
                .iter()
                .chain(kind.workflow.acts.iter().flat_map(|act| &act.requires))
                .map(|rule| &rule.message);
            let labels = fields.iter().map(|field| &field.label);
            let hints = fields.iter().filter_map(|field| field.hint.as_ref());
            let choices = fields.iter().flat_map(|field| &field.choices).map(|choice| &choice.label);
            let clocks = kind.workflow.clocks.iter().map(|clock| &clock.label);
            for label in labels
                .chain(hints)
                .chain(choices)
                .chain(states)
                .chain(acts)
                .chain(rules)
                .chain(clocks)
            {
                assert!(good(label), "{}: {label:?}", kind.code);
            }
        }
    }

    #[test]
    fn no_kind_asks_for_what_this_product_does_not_hold() {
        let forbidden = [
            "health",
            "illness",
            "religion",
            "faith",
            "ethnic",
            "nation",
            "political",
            "party_member",
            "petition",
            "special",
            "risk",
            "score",
            "marital",
            "marriage",
            "mac",
            "imei",
            "id_number",
            "type_of_person",
            "blood",
            "disab",
            "distance",
        ];
        for kind in builtin().iter() {
            for field in all_fields(kind) {
                let words: Vec<&&str> = forbidden.iter().filter(|word| field.code.contains(**word)).collect();
                assert!(words.is_empty(), "{}.{}: {words:?}", kind.code, field.code);
            }
        }
    }

    #[test]
    fn contacts_and_persons_are_in_the_private_document() {
        let private = |code: &str| -> Vec<String> {
            let kind = builtin().newest(code).unwrap().clone();
            kind.fields_of(DocumentName::Private)
                .map(|field| field.code.clone())
                .collect()
        };
        assert_eq!(private("household"), ["contacts"]);
        assert_eq!(private("incident"), ["people_involved"]);
        assert_eq!(private("request"), ["requester", "statement"]);
        for kind in builtin().iter() {
            let phones = kind
                .fields
                .iter()
                .filter(|field| field.fields.iter().any(|item| item.code == "phone"));
            assert!(phones.into_iter().all(|list| list.document == DocumentName::Private));
        }
    }

    #[test]
    fn a_newer_version_stands_beside_the_older_one() {
        let old = include_str!("../../kinds/household.toml");
        let new = old.replacen("version = 1", "version = 2", 1);
        let catalogue = builtin().with([("city/household.toml", new.as_str())]).unwrap();
        assert_eq!(catalogue.newest("household").unwrap().version, 2);
        assert_eq!(catalogue.get("household", 1).unwrap().source(), old);
        assert_ne!(catalogue.digest(), builtin().digest());
        assert_eq!(builtin().with([("again.toml", old)]).unwrap().digest(), builtin().digest());
    }

    #[test]
    fn files_that_contradict_the_catalogue_are_refused() {
        let old = include_str!("../../kinds/household.toml");
        let refused = |text: &str| builtin().with([("city.toml", text)]).unwrap_err();
        let taken = refused(&format!("{old}\n# another text"));
        assert_eq!(
            (taken.line, taken.fault),
            (
                4,
                KindFault::VersionTaken {
                    code: "household".into(),
                    version: 1
                }
            )
        );

        let changed = old
            .replacen("version = 1", "version = 2", 1)
            .replacen(", [\"address\"]]", "]", 1)
            .replacen("type = \"text\"", "type = \"note\"", 1);
        let fault = refused(&changed);
        assert_eq!(
            fault.fault,
            KindFault::FieldChanged {
                field: "address".into(),
                version: 1
            }
        );
        assert_eq!(changed.lines().nth(fault.line - 1), Some("type = \"note\""));

        let lonely = include_str!("../../kinds/visit.toml");
        let fault = Catalogue::default().with([("visit.toml", lonely)]).unwrap_err();
        assert_eq!(
            fault.fault,
            KindFault::Unknown {
                what: "kind",
                code: "household".into()
            }
        );
        assert_eq!(lonely.lines().nth(fault.line - 1), Some("kind = \"household\""));
    }

    #[test]
    fn the_form_that_travels_is_the_one_that_was_hashed() {
        let digests: BTreeSet<Hash> = builtin().iter().map(CheckedKind::digest).collect();
        assert_eq!(digests.len(), 5);
        for kind in builtin().iter() {
            let again = Kind::parse(kind.source(), "elsewhere.toml").unwrap();
            assert_eq!(again.digest(), kind.digest());
        }
    }
}
