//! CEL expressions of kind files: compiled once, with every name checked against the kind, every loop bounded, and nothing that could
//! differ between a phone and the station. Knows no values; `judged` evaluates them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, SelectExpr};

use super::model::{DocumentName, Field, FieldType, Kind};
use crate::limits::{EXPRESSION_CHARS_MAX, EXPRESSION_LOOPS_MAX};

/// A compiled expression of a kind.
#[derive(Debug)]
pub struct Expression {
    pub(super) ast: IdedExpr,
    reaches_private: bool,
}

/// What is wrong with an expression, and in which of its rows (from 0).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpressionFault {
    pub(super) row: usize,
    pub(super) message: String,
}

/// The names that an expression may use besides `facts`, `record`, `user`, `now` and `today`.
#[derive(Clone, Copy)]
pub(super) struct Scope<'k> {
    pub(super) kind: &'k Kind,
    /// The field judged as `this`.
    pub(super) this: Option<&'k Field>,
    /// The fields of the list item judged as `item`.
    pub(super) item: Option<&'k [Field]>,
    /// The fields of the values that go with an act, as `act`.
    pub(super) act: Option<&'k [Field]>,
}

/// Parts of `record`.
pub(super) const RECORD_PARTS: [&str; 7] = ["id", "kind", "version", "state", "unit", "opened_at", "opened_by"];
/// Parts of a place.
pub(super) const PLACE_PARTS: [&str; 5] = ["lat", "lon", "accuracy_m", "fixed_at", "is_mock"];

/// Operators and functions that give the same answer everywhere and cost no more than their arguments are long.
const FUNCTIONS: [&str; 25] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "@in",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "date_of",
    "days_between",
];

/// Brackets within brackets of an expression; what people write has fewer than ten.
const BRACKETS_MAX: u16 = 40;
/// Levels of a compiled expression: a chain of sums is as deep as it is long, and a phone's background thread has half a megabyte of stack.
const DEPTH_MAX: usize = 100;

impl Expression {
    /// Compiles an expression and checks every name in it.
    pub(super) fn check(source: &str, scope: Scope<'_>) -> Result<Self, ExpressionFault> {
        if source.chars().count() > EXPRESSION_CHARS_MAX {
            let message = format!("it is longer than {EXPRESSION_CHARS_MAX} characters; split it into several rules");
            return Err(ExpressionFault { row: 0, message });
        }
        let (ast, info) = compile(source)?;
        let mut walk = Walk {
            scope,
            locals: Vec::new(),
            loops: 0,
            depth: 0,
            reaches_private: false,
        };
        match walk.plain(&ast) {
            Ok(_) => Ok(Self {
                ast,
                reaches_private: walk.reaches_private,
            }),
            Err((id, message)) => {
                let before = info.offset_for(id).map_or(0, |(start, _)| start as usize);
                Err(ExpressionFault {
                    row: source.chars().take(before).filter(|c| *c == '\n').count(),
                    message,
                })
            }
        }
    }

    /// Whether it names a field of the `private` document, so that who does not hold that document cannot judge it.
    #[must_use]
    pub const fn reaches_private(&self) -> bool {
        self.reaches_private
    }
}

fn compile(source: &str) -> Result<(IdedExpr, cel::common::ast::SourceInfo), ExpressionFault> {
    // The parser is generated code over an ANTLR runtime that may panic on odd input; a kind file must answer with a line instead.
    let parser = || {
        cel::parser::Parser::new()
            .max_recursion_depth(BRACKETS_MAX)
            .parse_with_source_info(source)
    };
    match catch_unwind(AssertUnwindSafe(parser)) {
        Ok(Ok(parsed)) => Ok(parsed),
        Ok(Err(errors)) => {
            let first = errors.errors.first();
            let row = first.and_then(|error| usize::try_from(error.pos.0 - 1).ok()).unwrap_or(0);
            let message = first.map_or_else(|| "it is not CEL".to_owned(), |error| plainly(&error.msg));
            Err(ExpressionFault { row, message })
        }
        Err(_) => Err(ExpressionFault {
            row: 0,
            message: "the CEL parser gave up on it; write it more simply".to_owned(),
        }),
    }
}

/// The parser's message without the innards that it prints for its own limit.
fn plainly(message: &str) -> String {
    if message.contains("Recursion limit") {
        return format!("brackets are nested deeper than {BRACKETS_MAX}");
    }
    message.to_owned()
}

/// What a part of an expression is, as far as names below it go.
#[derive(Clone, Copy)]
enum Shape<'k> {
    Facts,
    Parts(&'static [&'static str]),
    User,
    /// An item of a list, or the values of an act.
    Fields(&'k [Field]),
    /// A list with no more elements than a record or this expression holds, and the fields of its items.
    List(Option<&'k [Field]>),
    Plain,
}

/// A fault with the node it is at.
type At = (u64, String);

struct Walk<'k> {
    scope: Scope<'k>,
    locals: Vec<(String, Shape<'k>)>,
    loops: usize,
    depth: usize,
    reaches_private: bool,
}

impl<'k> Walk<'k> {
    /// A part that is used as a value by itself.
    fn plain(&mut self, expr: &IdedExpr) -> Result<Shape<'k>, At> {
        let shape = self.shape(expr)?;
        match shape {
            Shape::Facts | Shape::User => Err((expr.id, "name one of its parts, as facts.outcome or user.id".to_owned())),
            Shape::Parts(_) | Shape::Fields(_) | Shape::List(_) | Shape::Plain => Ok(shape),
        }
    }

    fn shape(&mut self, expr: &IdedExpr) -> Result<Shape<'k>, At> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((expr.id, "it is too deep; split it into several rules".to_owned()));
        }
        let shape = self.shape_below(expr);
        self.depth -= 1;
        shape
    }

    fn shape_below(&mut self, expr: &IdedExpr) -> Result<Shape<'k>, At> {
        match &expr.expr {
            Expr::Literal(_) => Ok(Shape::Plain),
            Expr::Ident(name) => self
                .variable(name)
                .ok_or_else(|| (expr.id, format!("there is no variable {name:?} here"))),
            Expr::Select(select) => self.select(expr.id, select),
            Expr::Call(call) => self.call(expr.id, call),
            Expr::Comprehension(comprehension) => self.comprehension(expr.id, comprehension),
            Expr::List(list) => {
                for element in &list.elements {
                    self.plain(element)?;
                }
                Ok(Shape::List(None))
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err((expr.id, "maps and messages cannot be written here".to_owned()))
            }
        }
    }

    fn variable(&self, name: &str) -> Option<Shape<'k>> {
        if let Some((_, shape)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Some(*shape);
        }
        match name {
            "facts" => Some(Shape::Facts),
            "record" => Some(Shape::Parts(&RECORD_PARTS)),
            "user" => Some(Shape::User),
            "now" | "today" => Some(Shape::Plain),
            "this" => self.scope.this.map(shape_of),
            "item" => self.scope.item.map(Shape::Fields),
            "act" => self.scope.act.map(Shape::Fields),
            _ => None,
        }
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Result<Shape<'k>, At> {
        if select.test {
            return Err((
                id,
                "has() is not available: every part is there, and null when nothing is said".to_owned(),
            ));
        }
        let unknown = |what: &str| Err((id, format!("there is no {what} {:?}", select.field)));
        match self.shape(&select.operand)? {
            Shape::Facts => match self.scope.kind.fields.iter().find(|field| field.code == select.field) {
                Some(field) => {
                    self.reaches_private |= field.document == DocumentName::Private;
                    Ok(shape_of(field))
                }
                None => unknown("field"),
            },
            Shape::Fields(fields) => match fields.iter().find(|field| field.code == select.field) {
                Some(field) => Ok(shape_of(field)),
                None => unknown("field of the item"),
            },
            Shape::User if select.field == "id" => Ok(Shape::Plain),
            Shape::User if select.field == "roles" => Ok(Shape::List(None)),
            Shape::Parts(parts) if parts.contains(&select.field.as_str()) => Ok(Shape::Plain),
            Shape::User | Shape::Parts(_) | Shape::List(_) | Shape::Plain => unknown("part"),
        }
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Result<Shape<'k>, At> {
        if call.func_name == "has" {
            return Err((
                id,
                "has() is not available: every part is there, and null when nothing is said".to_owned(),
            ));
        }
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            return Err((id, format!("{} is not available", call.func_name)));
        }
        for part in call.target.as_deref().into_iter().chain(&call.args) {
            self.plain(part)?;
        }
        Ok(Shape::Plain)
    }

    fn comprehension(&mut self, id: u64, comprehension: &ComprehensionExpr) -> Result<Shape<'k>, At> {
        let Shape::List(items) = self.shape(&comprehension.iter_range)? else {
            return Err((id, "loops go over a list of the record, or one written here".to_owned()));
        };
        self.loops += 1;
        if self.loops > EXPRESSION_LOOPS_MAX || comprehension.iter_var2.is_some() {
            return Err((id, format!("no more than {EXPRESSION_LOOPS_MAX} loops within each other")));
        }
        let known = self.locals.len();
        let made = self.plain(&comprehension.accu_init)?;
        self.locals.push((comprehension.accu_var.clone(), Shape::Plain));
        self.locals
            .push((comprehension.iter_var.clone(), items.map_or(Shape::Plain, Shape::Fields)));
        for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
            self.plain(part)?;
        }
        self.locals.truncate(known);
        self.loops -= 1;
        // map and filter gather a list, no longer than the one they went over; all, exists and exists_one give one value.
        Ok(if matches!(made, Shape::List(_)) {
            Shape::List(None)
        } else {
            Shape::Plain
        })
    }
}

fn shape_of(field: &Field) -> Shape<'_> {
    match field.field_type {
        FieldType::List => Shape::List(Some(&field.fields)),
        FieldType::Choices | FieldType::Files => Shape::List(None),
        FieldType::Place => Shape::Parts(&PLACE_PARTS),
        FieldType::Text
        | FieldType::Note
        | FieldType::Integer
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Choice
        | FieldType::Reference
        | FieldType::User
        | FieldType::Track => Shape::Plain,
    }
}
