//! A kind file becomes a kind, or a fault with file and line. What comes out is checked whole: every name known, every state reachable,
//! every expression compiled. Knows no records.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::check;
use super::expression::Expression;
use super::lines::{Lines, Step};
use super::model::{ActRule, DocumentName, Field, Kind, State};
use crate::codec::domain;
use crate::id::Hash;
use crate::limits::KIND_BYTES_MAX;

/// A kind file that cannot be used, and where to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {fault}")]
pub struct KindError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: KindFault,
}

/// What can be wrong with a kind file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindFault {
    /// Longer than a kind file may be.
    #[error("the file has {bytes} bytes; a kind has at most {KIND_BYTES_MAX}, so split it or shorten its texts")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not TOML, or a key or value that no kind has.
    #[error("{0}")]
    Malformed(String),
    /// A code with characters that codes do not have, or a word that CEL or documents reserve.
    #[error(
        "{0:?} cannot be a code: use lower-case letters, digits and _, begin with a letter, at most 40, and for a field no word of CEL and not `removed`"
    )]
    BadCode(String),
    /// Two of a sort with one code.
    #[error("there is already a {what} {code:?}")]
    Duplicate {
        /// What it names.
        what: &'static str,
        /// The code.
        code: String,
    },
    /// A code that names nothing.
    #[error("there is no {what} {code:?}")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The code.
        code: String,
    },
    /// Something that has to be said is not.
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    /// Something that does not go with a field of this type, or here.
    #[error("{what} does not go with {place}")]
    Misplaced {
        /// What it is.
        what: &'static str,
        /// Where it stands.
        place: String,
    },
    /// A number beyond its limit.
    #[error("{what} must be from {min} to {max}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A personal or sensitive field that everybody in scope could read.
    #[error(
        "{0:?} has sensitivity 2 or more: put it into document = \"private\", or say in why_not_private why it is needed outside"
    )]
    Unprotected(String),
    /// A state that no act leads to.
    #[error("state {0:?} cannot be reached from the initial state: let an act lead to it, or take it out")]
    Unreachable(String),
    /// An act by others than the chief out of a settled state.
    #[error("act {act:?} leads out of {state:?}, which is settled: only the chief may do it")]
    Unsettled {
        /// The act.
        act: String,
        /// The state.
        state: String,
    },
    /// An act into a pinned state that pins nothing, or one that pins in a state that is not pinned.
    #[error("act {act:?} and state {state:?} disagree: entering a pinned state pins the facts, and only there are they pinned")]
    PinsDisagree {
        /// The act.
        act: String,
        /// The state.
        state: String,
    },
    /// An expression that cannot be used.
    #[error("in the expression {field}: {message}")]
    Expression {
        /// The key it stands under.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Another file of this code and version is in the catalogue.
    #[error("{code:?} version {version} is in the catalogue already and says something else: raise the version")]
    VersionTaken {
        /// The kind's code.
        code: String,
        /// Its version.
        version: u32,
    },
    /// A field that changed its type or document between two versions, so that old records could not be read.
    #[error("field {field:?} has another type or document than in version {version}: give it a new code")]
    FieldChanged {
        /// The field.
        field: String,
        /// The version it differs from.
        version: u32,
    },
}

/// A kind that was checked whole, with its compiled expressions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CheckedKind(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    kind: Kind,
    file: String,
    source: String,
    digest: Hash,
    expressions: BTreeMap<String, Expression>,
}

impl Kind {
    /// Reads and checks a kind file.
    ///
    /// # Errors
    /// The first fault, with the line to mend.
    pub fn parse(text: &str, file: &str) -> Result<CheckedKind, KindError> {
        let at = |line, fault| KindError {
            file: file.to_owned(),
            line,
            fault,
        };
        if text.len() > KIND_BYTES_MAX {
            return Err(at(1, KindFault::TooLong { bytes: text.len() }));
        }
        let lines = Lines::of(text);
        let kind: Self = toml::from_str(text).map_err(|error| {
            let line = lines.line_of_byte(error.span().map_or(0, |span| span.start));
            at(line, KindFault::Malformed(error.message().to_owned()))
        })?;
        let expressions = check::check(&kind, &lines).map_err(|(line, fault)| at(line, fault))?;
        let digest = file_digest(text);
        Ok(CheckedKind(Arc::new(Checked {
            kind,
            file: file.to_owned(),
            source: text.to_owned(),
            digest,
            expressions,
        })))
    }

    /// The field of this code.
    #[must_use]
    pub fn field(&self, code: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.code == code)
    }

    /// The state of this code.
    #[must_use]
    pub fn state(&self, code: &str) -> Option<&State> {
        self.workflow.states.iter().find(|state| state.code == code)
    }

    /// The act of this code.
    #[must_use]
    pub fn act(&self, code: &str) -> Option<&ActRule> {
        self.workflow.acts.iter().find(|act| act.code == code)
    }

    /// The fields of one document, in the kind's order.
    pub fn fields_of(&self, document: DocumentName) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.document == document)
    }
}

/// Kinds that somebody in this process holds: some tens at most.
static HELD: Mutex<Vec<Weak<Checked>>> = Mutex::new(Vec::new());

/// Reads and checks a kind file, unless somebody holds what came of the same text: an app reads all its kinds again whenever people, books
/// or kinds change, and a checked kind never changes.
///
/// # Errors
/// As [`Kind::parse`].
pub(super) fn parse_once(text: &str, file: &str) -> Result<CheckedKind, KindError> {
    let held = || HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = held().iter().filter_map(Weak::upgrade).find(|kind| kind.source == text) {
        return Ok(CheckedKind(there));
    }
    let kind = Kind::parse(text, file)?;
    let mut held = held();
    held.retain(|kind| kind.strong_count() > 0);
    held.push(Arc::downgrade(&kind.0));
    Ok(kind)
}

/// The hash of a kind file's bytes, whether this version can read it or not.
#[must_use]
pub fn file_digest(text: &str) -> Hash {
    Hash::of(&[domain::KIND, text.as_bytes()])
}

impl CheckedKind {
    /// The hash of the file's bytes, under a domain of its own.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.0.digest
    }

    /// The file's text: as this a kind travels to phones.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The compiled form of one of the kind's expressions, by its text.
    #[must_use]
    pub fn expression(&self, source: &str) -> Option<&Expression> {
        self.0.expressions.get(source)
    }

    /// An error at a place of the file that only the catalogue can see.
    pub(super) fn error_at(&self, way: &[Step<'_>], fault: KindFault) -> KindError {
        KindError {
            file: self.0.file.clone(),
            line: Lines::of(&self.0.source).line(way),
            fault,
        }
    }
}

impl Deref for CheckedKind {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        &self.0.kind
    }
}

impl PartialEq for CheckedKind {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for CheckedKind {}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"code = "survey"
version = 3
label = { zh = "调查", en = "Survey" }
purpose = "To test."
legal_basis = "None."
title = ["name"]
[retention]
days = 30
why = "A test."
[[field]]
code = "name"
label = { zh = "名称", en = "Name" }
type = "text"
purpose = "To tell it apart."
[[field]]
code = "answer"
label = { zh = "回答", en = "Answer" }
type = "choice"
relevant = "facts.name != null"
required = "true"
constraint = "this != 'no'"
constraint_message = { zh = "不行", en = "no" }
purpose = "To know."
choice = [
  { code = "yes", label = { zh = "是", en = "yes" } },
  { code = "no", label = { zh = "否", en = "no" } },
]
[[field]]
code = "guests"
label = { zh = "来客", en = "Guests" }
type = "list"
document = "private"
sensitivity = 2
purpose = "Who came."
[[field.field]]
code = "age_group"
label = { zh = "年龄段", en = "Age group" }
type = "integer"
sensitivity = 2
constraint = "this < 9 && item.age_group != 8"
constraint_message = { zh = "过大", en = "too much" }
purpose = "How many chairs."
[[rule]]
code = "named"
holds = """
facts.name == null
|| size(facts.name) < 10"""
message = { zh = "太长", en = "too long" }
[workflow]
initial = "open"
[[workflow.state]]
code = "open"
label = { zh = "进行中", en = "open" }
writers = ["author"]
[[workflow.state]]
code = "closed"
label = { zh = "结束", en = "closed" }
writers = []
pinned = true
settled = true
[[workflow.act]]
code = "close"
label = { zh = "结束", en = "close" }
from = ["open"]
to = "closed"
by = ["author"]
pins = true
meets = { closed = "repeat" }
[[workflow.clock]]
code = "answering"
label = { zh = "答复", en = "answering" }
runs_in = ["open"]
minutes = 10
why = "A test."
"#;

    /// Replaces what occurs once, and gives the line at fault and the fault.
    fn refused(from: &str, to: &str) -> (String, KindFault) {
        assert_eq!(SOUND.matches(from).count(), 1, "{from:?} must occur once");
        refused_text(&SOUND.replace(from, to))
    }

    fn refused_text(text: &str) -> (String, KindFault) {
        let error = Kind::parse(text, "survey.toml").unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("survey.toml:{}: ", error.line)),
            "{error}"
        );
        (text.lines().nth(error.line - 1).unwrap_or_default().to_owned(), error.fault)
    }

    fn unknown(what: &'static str, code: &str) -> KindFault {
        KindFault::Unknown {
            what,
            code: code.to_owned(),
        }
    }

    #[test]
    fn a_sound_kind_is_read_whole() {
        let kind = Kind::parse(SOUND, "survey.toml").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((kind.code.as_str(), kind.version, kind.fields.len()), ("survey", 3, 3));
        assert_eq!(kind.source(), SOUND);
        assert!(kind.expression("facts.name != null").is_some());
        assert_ne!(
            kind.digest(),
            Kind::parse(&SOUND.replace("days = 30", "days = 31"), "survey.toml")
                .unwrap()
                .digest()
        );
    }

    #[test]
    fn what_is_no_kind_file_is_refused_at_its_line() {
        let malformed = |from: &str, to: &str, line: &str, says: &str| {
            let (at, fault) = refused(from, to);
            assert_eq!(at, line);
            assert!(matches!(&fault, KindFault::Malformed(text) if text.contains(says)), "{fault}");
        };
        malformed(
            "type = \"integer\"",
            "type = \"quaternion\"",
            "type = \"quaternion\"",
            "quaternion",
        );
        malformed("version = 3", "version = 3\nwersion = 4", "wersion = 4", "wersion");
        malformed("days = 30", "days = 30 31", "days = 30 31", "");
        malformed(
            "writers = [\"author\"]",
            "writers = [\"autor\"]",
            "writers = [\"autor\"]",
            "autor",
        );
        malformed(
            "meets = { closed = \"repeat\" }",
            "meets = { closed = \"again\" }",
            "meets = { closed = \"again\" }",
            "again",
        );
        // What is missing has no line of its own: the table that lacks it is named.
        malformed("purpose = \"To know.\"\n", "", "[[field]]", "purpose");
        malformed("purpose = \"To test.\"\n", "", "code = \"survey\"", "purpose");
        let long = format!("{SOUND}#{}", "x".repeat(KIND_BYTES_MAX));
        assert_eq!(refused_text(&long).1, KindFault::TooLong { bytes: long.len() });
        assert_eq!(Kind::parse("", "empty.toml").unwrap_err().line, 1);
    }

    #[test]
    fn codes_and_texts_are_checked_at_their_line() {
        for code in ["Answer", "9lives", "a-b", "", "in", "über", &"x".repeat(41)] {
            let (at, fault) = refused("code = \"answer\"", &format!("code = \"{code}\""));
            assert_eq!(
                (at, fault),
                (format!("code = \"{code}\""), KindFault::BadCode(code.to_owned()))
            );
        }
        let duplicate = |what, code: &str| KindFault::Duplicate {
            what,
            code: code.to_owned(),
        };
        assert_eq!(
            refused("code = \"answer\"", "code = \"name\""),
            ("code = \"name\"".into(), duplicate("field", "name"))
        );
        assert_eq!(refused("{ code = \"no\"", "{ code = \"yes\"").1, duplicate("choice", "yes"));
        assert_eq!(refused("code = \"closed\"", "code = \"open\"").1, duplicate("state", "open"));
        let empty = refused("purpose = \"To know.\"", "purpose = \"  \"");
        assert_eq!(empty, ("purpose = \"  \"".into(), KindFault::Missing("purpose")));
        assert_eq!(
            refused("zh = \"名称\"", "zh = \"\"").1,
            KindFault::Missing("the Chinese text")
        );
        assert_eq!(
            refused("en = \"too long\"", "en = \"\"").1,
            KindFault::Missing("the English text")
        );
        assert_eq!(
            refused("constraint_message = { zh = \"不行\", en = \"no\" }\n", "").1,
            KindFault::Missing("constraint_message")
        );
        assert!(matches!(refused("days = 30", "days = 0"), (line, KindFault::OutOfRange { .. }) if line == "days = 0"));
        assert!(matches!(
            refused("version = 3", "version = 0").1,
            KindFault::OutOfRange { .. }
        ));
        assert_eq!(
            refused("title = [\"name\"]", "title = [\"nom\"]"),
            ("title = [\"nom\"]".into(), unknown("field", "nom"))
        );
        assert!(matches!(
            refused("title = [\"name\"]", "title = [\"guests\"]").1,
            KindFault::Misplaced { .. }
        ));
        assert_eq!(refused("title = [\"name\"]", "title = []").1, KindFault::Missing("title"));
    }

    #[test]
    fn fields_hold_what_goes_with_their_type_and_no_more() {
        let misplaced = |from: &str, to: &str| {
            let (line, fault) = refused(from, to);
            assert!(matches!(fault, KindFault::Misplaced { .. }), "{to}: {fault}");
            line
        };
        let (line, fault) = refused("type = \"choice\"", "type = \"text\"");
        assert!(
            line.starts_with("choice = [") && matches!(fault, KindFault::Misplaced { .. }),
            "{line}: {fault}"
        );
        let (line, fault) = refused("type = \"text\"", "type = \"choice\"");
        assert!(
            line == "[[field]]" && matches!(fault, KindFault::Missing(_)),
            "{line}: {fault}"
        );
        assert!(matches!(
            refused("type = \"text\"", "type = \"reference\"").1,
            KindFault::Missing(_)
        ));
        assert!(matches!(
            refused("type = \"text\"", "type = \"list\"").1,
            KindFault::Missing(_)
        ));
        assert_eq!(
            misplaced("type = \"text\"", "type = \"text\"\nkind = \"visit\""),
            "kind = \"visit\""
        );
        assert_eq!(
            misplaced("type = \"integer\"", "type = \"integer\"\nchars_max = 9"),
            "chars_max = 9"
        );
        assert_eq!(
            misplaced("type = \"integer\"", "type = \"integer\"\nsearchable = true"),
            "searchable = true"
        );
        for inner in ["note", "files", "track"] {
            assert_eq!(
                misplaced("type = \"integer\"", &format!("type = \"{inner}\"")),
                format!("type = \"{inner}\"")
            );
        }
        let beyond = refused("type = \"text\"", "type = \"text\"\nchars_max = 4001");
        assert!(beyond.0 == "chars_max = 4001" && matches!(beyond.1, KindFault::OutOfRange { max: 4000, .. }));
    }

    #[test]
    fn personal_fields_outside_private_need_a_reason() {
        let open = "sensitivity = 2\npurpose = \"To tell it apart.\"";
        let (line, fault) = refused("purpose = \"To tell it apart.\"", open);
        assert_eq!(
            (line.as_str(), fault),
            ("sensitivity = 2", KindFault::Unprotected("name".into()))
        );
        let reasoned = SOUND.replace(
            "purpose = \"To tell it apart.\"",
            &format!("{open}\nwhy_not_private = \"A test.\""),
        );
        assert!(Kind::parse(&reasoned, "survey.toml").is_ok());
        assert_eq!(
            refused_text(&reasoned.replace("why_not_private = \"A test.\"", "why_not_private = \"\"")).1,
            KindFault::Missing("why_not_private")
        );
        assert_eq!(
            refused("document = \"private\"\nsensitivity = 2", "sensitivity = 0").1,
            KindFault::Unprotected("age_group".into())
        );
        let (line, fault) = refused("sensitivity = 2\nconstraint", "sensitivity = 4\nconstraint");
        assert!(line == "sensitivity = 4" && matches!(fault, KindFault::OutOfRange { max: 3, .. }));
    }

    #[test]
    fn workflows_name_states_that_are_there_and_reached() {
        assert_eq!(
            refused("initial = \"open\"", "initial = \"opened\""),
            ("initial = \"opened\"".into(), unknown("state", "opened"))
        );
        assert_eq!(
            refused("from = [\"open\"]", "from = [\"opened\"]"),
            ("from = [\"opened\"]".into(), unknown("state", "opened"))
        );
        assert_eq!(
            refused("to = \"closed\"", "to = \"shut\""),
            ("to = \"shut\"".into(), unknown("state", "shut"))
        );
        assert_eq!(
            refused("{ closed = \"repeat\" }", "{ shut = \"repeat\" }").1,
            unknown("state", "shut")
        );
        assert_eq!(
            refused("runs_in = [\"open\"]", "runs_in = [\"shut\"]"),
            ("runs_in = [\"shut\"]".into(), unknown("state", "shut"))
        );
        assert!(matches!(
            refused("{ closed = \"repeat\" }", "{ open = \"repeat\" }").1,
            KindFault::Misplaced { .. }
        ));
        assert!(matches!(
            refused("minutes = 10", "minutes = 0").1,
            KindFault::OutOfRange { .. }
        ));
        assert_eq!(refused("by = [\"author\"]", "by = []").1, KindFault::Missing("by"));
        let island =
            "[[workflow.state]]\ncode = \"island\"\nlabel = { zh = \"岛\", en = \"island\" }\nwriters = []\n[[workflow.clock]]";
        let (line, fault) = refused("[[workflow.clock]]", island);
        assert_eq!(
            (line.as_str(), fault),
            ("[[workflow.state]]", KindFault::Unreachable("island".into()))
        );
    }

    #[test]
    fn a_time_of_its_own_makes_private_go_sooner_and_never_later() {
        let household = include_str!("../../kinds/household.toml");
        let with = |days: &str| household.replacen("days = 1825", &format!("days = 1825\nprivate_days = {days}"), 1);
        let kept = Kind::parse(&with("365"), "household.toml").unwrap().retention.clone();
        assert_eq!((kept.days, kept.private_days), (1825, Some(365)));
        for days in ["0", "1825", "9000"] {
            let (line, fault) = refused_text(&with(days));
            assert_eq!(line, format!("private_days = {days}"));
            assert!(matches!(fault, KindFault::OutOfRange { max: 1824, .. }), "{fault}");
        }
        let visit = include_str!("../../kinds/visit.toml").replacen("days = 1095", "days = 1095\nprivate_days = 30", 1);
        assert!(
            matches!(refused_text(&visit).1, KindFault::Missing(_)),
            "it has no private field"
        );
    }

    #[test]
    fn settled_and_pinned_states_bind_the_acts() {
        let reopen = |by: &str| {
            let act = "[[workflow.act]]\ncode = \"reopen\"\nlabel = { zh = \"重开\", en = \"reopen\" }\nfrom = [\"closed\"]\nto = \"open\"";
            SOUND.replace("[[workflow.clock]]", &format!("{act}\nby = {by}\n[[workflow.clock]]"))
        };
        assert!(Kind::parse(&reopen("[\"chief\"]"), "survey.toml").is_ok());
        let (line, fault) = refused_text(&reopen("[\"chief\", \"author\"]"));
        assert_eq!(line, "from = [\"closed\"]");
        assert_eq!(
            fault,
            KindFault::Unsettled {
                act: "reopen".into(),
                state: "closed".into()
            }
        );
        assert!(matches!(refused("pins = true\n", "").1, KindFault::PinsDisagree { .. }));
        assert!(matches!(refused("pinned = true\n", "").1, KindFault::PinsDisagree { .. }));
    }

    #[test]
    fn expressions_are_refused_with_the_row_at_fault() {
        let relevant = |expression: &str| {
            let (line, fault) = refused("relevant = \"facts.name != null\"", &format!("relevant = {expression:?}"));
            assert!(line.starts_with("relevant = "), "{line}");
            let KindFault::Expression {
                field: "relevant",
                message,
            } = fault
            else {
                panic!("{fault}")
            };
            message
        };
        assert!(relevant("facts.nom != null").contains("\"nom\""));
        assert!(relevant("fact.name != null").contains("\"fact\""));
        assert!(relevant("record.owner != null").contains("\"owner\""));
        assert!(relevant("user.name != null").contains("\"name\""));
        assert!(relevant("this == 1").contains("\"this\""));
        assert!(relevant("facts.guests.all(guest, guest.phone != null)").contains("\"phone\""));
        assert!(relevant("facts.name.matches('a+')").contains("matches"));
        assert!(relevant("has(facts.name)").contains("null"));
        assert!(relevant("facts == null").contains("parts"));
        assert!(relevant("facts['name'] == null").contains("not available"));
        assert!(relevant("timestamp('2026-01-01T00:00:00Z') < now").contains("not available"));
        assert!(relevant("facts.name ==").len() > 5);
        assert!(relevant("").len() > 5);
        assert!(relevant("facts.name + 1 == 2").contains("null"));
        assert!(relevant("size(facts.name)").contains("nothing is said"));
        assert!(relevant("'yes'").contains("yes or no"));
        assert!(relevant("facts.name.all(letter, letter == 'a')").contains("loops"));
        assert!(relevant(&format!("true{}", " || true".repeat(400))).contains("longer"));
        assert!(relevant(&format!("{}true{}", "(".repeat(200), ")".repeat(200))).contains("brackets"));
        assert!(relevant(&format!("0{} == 0", " + 1".repeat(200))).contains("deep"));
        let loops = "facts.guests.all(a, facts.guests.all(b, facts.guests.all(c, c.age_group != 1)))";
        assert!(relevant(loops).contains("loops"));

        let (line, fault) = refused("|| size(facts.name) < 10", "|| size(facts.nom) < 10");
        assert_eq!(line, "|| size(facts.nom) < 10\"\"\"");
        assert!(matches!(fault, KindFault::Expression { field: "holds", .. }));
        let (line, fault) = refused("constraint = \"this != 'no'\"", "constraint = \"this > 3\"");
        assert!(line == "constraint = \"this > 3\"" && matches!(fault, KindFault::Expression { field: "constraint", .. }));
    }

    #[test]
    fn odd_bytes_in_an_expression_are_a_fault_and_no_panic() {
        for odd in [
            "\u{0}",
            "\u{feff}",
            "'\\",
            "\"\\u{d800}\"",
            "r'''",
            "b'\\xff'",
            "💥",
            "a.b.c.d?e",
            "1e999 < 2.0",
            "0x",
            "9223372036854775808 > 1",
            "-9223372036854775808 / -1 == 0",
        ] {
            let text = SOUND.replace(
                "relevant = \"facts.name != null\"",
                &format!("relevant = {}", toml::Value::from(odd)),
            );
            assert!(Kind::parse(&text, "odd.toml").is_err(), "{odd:?}");
        }
    }
}
