//! Whether one value is of its field's type: form, length, range, membership. Knows no record and no rule.

use super::calendar::Day;
use super::model::{Field, FieldType, Label};
use super::validate::Finding;
use crate::facts::Value;
use crate::id::{RecordId, UserId};
use crate::limits::TEXT_CHARS_MAX;
use crate::place::Place;

/// A finding's code and what to say.
type Fault = (&'static str, Label);

/// Years within which days and times are meant: birth years of the living, deadlines of the foreseeable.
const YEARS: std::ops::RangeInclusive<i64> = 1900..=2200;

/// Checks a value that says something.
pub(super) fn check(field: &Field, value: &Value) -> Result<(), Fault> {
    match (field.field_type, value) {
        (FieldType::Text, Value::Text(text)) => {
            let max = field.chars_max.map_or(TEXT_CHARS_MAX, |max| max as usize);
            if text.chars().nth(max).is_some() {
                Err(("too_long", too_long(max)))
            } else {
                Ok(())
            }
        }
        (FieldType::Integer | FieldType::Decimal, Value::Int(_)) | (FieldType::Boolean, Value::Bool(_)) => Ok(()),
        (FieldType::Decimal, Value::Decimal(number)) if number.is_finite() => Ok(()),
        (FieldType::Date, Value::Text(text)) => match Day::parse(text) {
            Some(day) => in_range(day),
            None => Err((
                "type",
                Finding::label("不是有效日期（如 2026-11-23）", "is not a day (as 2026-11-23)"),
            )),
        },
        (FieldType::Time, Value::Int(millis)) => in_range(Day::of(*millis, 0)),
        (FieldType::Choice, Value::Text(code)) => chosen(field, code).map(|_| ()),
        (FieldType::Choices, Value::Text(codes)) => choices(field, codes),
        (FieldType::Place, Value::Text(uri)) => match Place::parse(uri) {
            Ok(_) => Ok(()),
            Err(error) => Err((
                "type",
                Label {
                    zh: "不是有效位置".to_owned(),
                    en: error.to_string(),
                },
            )),
        },
        // One form for one id: lower case, hyphens. Otherwise equal references would be conflicts.
        (FieldType::Reference, Value::Text(id)) if id.parse::<RecordId>().is_ok_and(|parsed| parsed.to_string() == *id) => Ok(()),
        (FieldType::User, Value::Text(id)) if id.parse::<UserId>().is_ok_and(|parsed| parsed.to_string() == *id) => Ok(()),
        _ => Err(("type", Finding::label("类型不符", "is of another type"))),
    }
}

/// What to say of a text beyond its limit.
pub(super) fn too_long(max: usize) -> Label {
    Label {
        zh: format!("超过{max}个字"),
        en: format!("is longer than {max} characters"),
    }
}

/// What to say of a list beyond its limit.
pub(super) fn too_many(max: usize) -> Label {
    Label {
        zh: format!("超过{max}项"),
        en: format!("has more than {max} items"),
    }
}

fn in_range(day: Day) -> Result<(), Fault> {
    if YEARS.contains(&day.year()) {
        Ok(())
    } else {
        Err((
            "range",
            Finding::label("日期超出1900至2200年", "is not between the years 1900 and 2200"),
        ))
    }
}

/// The place of a code among the field's choices.
fn chosen(field: &Field, code: &str) -> Result<usize, Fault> {
    let place = field.choices.iter().position(|choice| choice.code == code);
    place.ok_or_else(|| ("choice", Finding::label("不在可选项中", "is not among the choices")))
}

/// Codes in the kind's order, each once, one space between: equal choices are equal texts.
fn choices(field: &Field, codes: &str) -> Result<(), Fault> {
    let mut places = Vec::new();
    for code in codes.split(' ') {
        places.push(chosen(field, code)?);
    }
    if places.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err((
            "type",
            Finding::label("选项应按顺序且不重复", "must have its choices in order, each once"),
        ))
    }
}
