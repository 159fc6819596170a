//! Checks a kind: its head, codes, texts, expressions. What one field keeps is in `check_field`, the workflow in `check_workflow`.

use crate::document::REMOVED;
use std::collections::{BTreeMap, BTreeSet};

use super::duplicate::{self, Lack};
use super::expression::{Expression, ExpressionFault, Scope};
use super::lines::{Lines, Step};
use super::model::{DocumentName, Field, FieldType, Kind, Label, Rule};
use super::parse::KindFault;
use super::rehearse::Rehearsal;
use super::{check_field, check_workflow};
use Step::{At, Key};

/// A line and what is wrong there.
pub(super) type Fault = (usize, KindFault);

/// Checks a kind whole and compiles its expressions.
pub(super) fn check(kind: &Kind, lines: &Lines<'_>) -> Result<BTreeMap<String, Expression>, Fault> {
    let mut checker = Checker {
        kind,
        lines,
        rehearsal: Rehearsal::of(kind),
        expressions: BTreeMap::new(),
    };
    checker.head()?;
    checker.fields(&kind.fields, &[], Among::Record)?;
    checker.title()?;
    let scope = Scope {
        kind,
        this: None,
        item: None,
        act: None,
    };
    checker.rules(&kind.rules, &[Key("rule")], scope)?;
    check_workflow::check(&mut checker)?;
    checker.duplicates()?;
    Ok(checker.expressions)
}

/// Among what a field stands.
#[derive(Clone, Copy)]
pub(super) enum Among<'k> {
    /// The kind's own fields.
    Record,
    /// The fields of a list's items.
    Items(&'k Field),
    /// The values of an act.
    Values(&'k [Field]),
}

/// A kind under check, with what was compiled of it so far.
pub(super) struct Checker<'k> {
    pub(super) kind: &'k Kind,
    lines: &'k Lines<'k>,
    rehearsal: Rehearsal,
    expressions: BTreeMap<String, Expression>,
}

impl<'k> Checker<'k> {
    fn head(&self) -> Result<(), Fault> {
        self.code(&self.kind.code, &[Key("code")])?;
        if self.kind.version == 0 {
            return self.fault(
                &[Key("version")],
                KindFault::OutOfRange {
                    what: "version",
                    min: 1,
                    max: u64::from(u32::MAX),
                },
            );
        }
        if self.kind.retention.days == 0 {
            let way = [Key("retention"), Key("days")];
            return self.fault(
                &way,
                KindFault::OutOfRange {
                    what: "retention in days",
                    min: 1,
                    max: u64::from(u32::MAX),
                },
            );
        }
        self.private_retention()?;
        self.label(&self.kind.label, &[Key("label")])?;
        self.said(&self.kind.purpose, "purpose", &[Key("purpose")])?;
        self.said(&self.kind.legal_basis, "legal_basis", &[Key("legal_basis")])?;
        self.said(&self.kind.retention.why, "why", &[Key("retention"), Key("why")])
    }

    /// A time of its own makes the private document go before the rest, never after it, and there must be one.
    fn private_retention(&self) -> Result<(), Fault> {
        let Some(days) = self.kind.retention.private_days else {
            return Ok(());
        };
        let way = [Key("retention"), Key("private_days")];
        if self.kind.fields_of(DocumentName::Private).next().is_none() {
            return self.fault(&way, KindFault::Missing("private field that private_days speaks of"));
        }
        let max = self.kind.retention.days.saturating_sub(1);
        if days == 0 || days > max {
            return self.fault(
                &way,
                KindFault::OutOfRange {
                    what: "private_days, which must be shorter than days:",
                    min: 1,
                    max: u64::from(max),
                },
            );
        }
        Ok(())
    }

    fn duplicates(&self) -> Result<(), Fault> {
        match duplicate::lacks(self.kind) {
            None => Ok(()),
            Some(Lack::Fields { way, code }) => self.fault(
                &[Key("duplicate_key"), At(way)],
                KindFault::Unknown {
                    what: "text, number, choice, date or reference in `facts` for a duplicate key:",
                    code,
                },
            ),
            Some(Lack::Act(what)) => self.fault(&[Key("duplicate_key")], KindFault::Missing(what)),
        }
    }

    fn title(&self) -> Result<(), Fault> {
        if self.kind.title.is_empty() {
            return self.fault(&[Key("title")], KindFault::Missing("title"));
        }
        for (index, code) in self.kind.title.iter().enumerate() {
            let way = [Key("title"), At(index)];
            let Some(field) = self.kind.field(code) else {
                return self.fault(
                    &way,
                    KindFault::Unknown {
                        what: "field",
                        code: code.clone(),
                    },
                );
            };
            let shown = !matches!(
                field.field_type,
                FieldType::List | FieldType::Files | FieldType::Track | FieldType::Place
            );
            if !shown || field.document == DocumentName::Private {
                return self.fault(
                    &way,
                    KindFault::Misplaced {
                        what: "a list, file, track, place or private field",
                        place: "a title".into(),
                    },
                );
            }
        }
        Ok(())
    }

    /// Checks fields that stand at `way` + `field`.
    pub(super) fn fields(&mut self, fields: &'k [Field], way: &[Step<'_>], among: Among<'k>) -> Result<(), Fault> {
        let scope = match among {
            Among::Record => Scope {
                kind: self.kind,
                this: None,
                item: None,
                act: None,
            },
            Among::Items(list) => Scope {
                kind: self.kind,
                this: None,
                item: Some(&list.fields),
                act: None,
            },
            Among::Values(values) => Scope {
                kind: self.kind,
                this: None,
                item: None,
                act: Some(values),
            },
        };
        let mut codes = BTreeSet::new();
        for (index, field) in fields.iter().enumerate() {
            let way = [way, &[Key("field"), At(index)]].concat();
            self.once(&mut codes, "field", &field.code, &join(&way, "code"))?;
            self.label(&field.label, &join(&way, "label"))?;
            self.said(&field.purpose, "purpose", &join(&way, "purpose"))?;
            if let Some(hint) = &field.hint {
                self.label(hint, &join(&way, "hint"))?;
            }
            check_field::check(self, field, among, &way)?;
            self.expressions_of(field, scope, &way)?;
            if field.field_type == FieldType::List {
                self.fields(&field.fields, &way, Among::Items(field))?;
            }
        }
        Ok(())
    }

    fn expressions_of(&mut self, field: &'k Field, scope: Scope<'k>, way: &[Step<'_>]) -> Result<(), Fault> {
        if let Some(source) = &field.relevant {
            self.expression(source, "relevant", scope, &join(way, "relevant"))?;
        }
        if let Some(source) = &field.required {
            self.expression(source, "required", scope, &join(way, "required"))?;
        }
        if let Some(source) = &field.constraint {
            self.expression(
                source,
                "constraint",
                Scope {
                    this: Some(field),
                    ..scope
                },
                &join(way, "constraint"),
            )?;
        }
        match (&field.constraint, &field.constraint_message) {
            (Some(_), Some(message)) => self.label(message, &join(way, "constraint_message")),
            (Some(_), None) => self.fault(&join(way, "constraint"), KindFault::Missing("constraint_message")),
            (None, Some(_)) => self.fault(
                &join(way, "constraint_message"),
                misplaced("constraint_message", "a field without constraint"),
            ),
            (None, None) => Ok(()),
        }
    }

    /// Checks rules that stand at `way`.
    pub(super) fn rules(&mut self, rules: &'k [Rule], way: &[Step<'_>], scope: Scope<'k>) -> Result<(), Fault> {
        let mut codes = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let way = [way, &[At(index)]].concat();
            self.once(&mut codes, "rule", &rule.code, &join(&way, "code"))?;
            self.label(&rule.message, &join(&way, "message"))?;
            self.expression(&rule.holds, "holds", scope, &join(&way, "holds"))?;
        }
        Ok(())
    }

    fn expression(&mut self, source: &str, field: &'static str, scope: Scope<'k>, way: &[Step<'_>]) -> Result<(), Fault> {
        let rehearsed = Expression::check(source, scope).and_then(|expression| {
            self.rehearsal
                .run(&expression, scope)
                .map_err(|message| ExpressionFault { row: 0, message })?;
            Ok(expression)
        });
        match rehearsed {
            Ok(expression) => {
                self.expressions.insert(source.to_owned(), expression);
                Ok(())
            }
            Err(ExpressionFault { row, message }) => {
                Err((self.lines.text_line(way) + row, KindFault::Expression { field, message }))
            }
        }
    }

    /// Checks a code and that it is the first of its sort.
    pub(super) fn once<'c>(
        &self,
        codes: &mut BTreeSet<&'c str>,
        what: &'static str,
        code: &'c str,
        way: &[Step<'_>],
    ) -> Result<(), Fault> {
        self.code(code, way)?;
        if what == "field" && (CEL_WORDS.contains(&code) || code == REMOVED) {
            return self.fault(way, KindFault::BadCode(code.to_owned()));
        }
        if codes.insert(code) {
            Ok(())
        } else {
            self.fault(
                way,
                KindFault::Duplicate {
                    what,
                    code: code.to_owned(),
                },
            )
        }
    }

    fn code(&self, code: &str, way: &[Step<'_>]) -> Result<(), Fault> {
        let well_formed = code.len() <= 40
            && code.starts_with(|first: char| first.is_ascii_lowercase())
            && code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if well_formed {
            Ok(())
        } else {
            self.fault(way, KindFault::BadCode(code.to_owned()))
        }
    }

    pub(super) fn label(&self, label: &Label, way: &[Step<'_>]) -> Result<(), Fault> {
        self.said(&label.zh, "the Chinese text", way)?;
        self.said(&label.en, "the English text", way)
    }

    pub(super) fn said(&self, text: &str, what: &'static str, way: &[Step<'_>]) -> Result<(), Fault> {
        if text.trim().is_empty() {
            self.fault(way, KindFault::Missing(what))
        } else {
            Ok(())
        }
    }

    pub(super) fn fault<T>(&self, way: &[Step<'_>], fault: KindFault) -> Result<T, Fault> {
        Err((self.lines.line(way), fault))
    }
}

/// Words that a field could not be named by in an expression (CEL specification, "Syntax").
const CEL_WORDS: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

pub(super) fn join<'a>(way: &[Step<'a>], key: &'a str) -> Vec<Step<'a>> {
    [way, &[Key(key)]].concat()
}

pub(super) fn misplaced(what: &'static str, place: &str) -> KindFault {
    KindFault::Misplaced {
        what,
        place: place.to_owned(),
    }
}
