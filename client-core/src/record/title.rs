//! What a record is called in lists, and which of its words a search may find. Both follow the kind's file.

use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::kind::{DocumentName, Field, FieldType, Kind, Label, UTC_OFFSET_MINUTES};

use crate::query::segment;

/// The record's title from its title fields. References are left out: lists put the other record's title before this one's.
pub(crate) fn title(kind: &Kind, facts: &Facts) -> Label {
    let said: Vec<Label> = kind
        .title
        .iter()
        .filter_map(|code| kind.field(code))
        .filter_map(|field| label_of(field, facts.fields.get(&field.code)?))
        .collect();
    let join = |pick: fn(&Label) -> &String| said.iter().map(pick).map(String::as_str).collect::<Vec<_>>().join(" · ");
    Label {
        zh: join(|label| &label.zh),
        en: join(|label| &label.en),
    }
}

/// The texts of searchable fields and of the title, with a barrier between each two.
pub(crate) fn search_text(kind: &Kind, title: &Label, facts: &Facts, private: &Facts) -> String {
    let mut text = format!("{}{}{}", title.zh, segment::BARRIER, title.en);
    let mut add = |said: &str| {
        if !said.is_empty() {
            text.push(segment::BARRIER);
            text.push_str(said);
        }
    };
    for field in &kind.fields {
        let facts = match field.document {
            DocumentName::Facts => facts,
            DocumentName::Private => private,
        };
        match field.field_type {
            FieldType::List => {
                let items = facts.lists.get(&field.code).into_iter().flatten();
                for (_, item) in items.filter(|(_, item)| !item.removed) {
                    for field in field.fields.iter().filter(|field| field.searchable) {
                        add(item.fields.get(&field.code).and_then(Value::as_text).unwrap_or_default());
                    }
                }
            }
            _ if !field.searchable => {}
            FieldType::Note => add(facts.notes.get(&field.code).map_or("", String::as_str)),
            _ => add(facts.fields.get(&field.code).and_then(Value::as_text).unwrap_or_default()),
        }
    }
    text
}

fn label_of(field: &Field, value: &Value) -> Option<Label> {
    let both = |text: String| {
        Some(Label {
            zh: text.clone(),
            en: text,
        })
    };
    match (field.field_type, value) {
        (FieldType::Reference | FieldType::User | FieldType::Place, _) | (_, Value::Null) => None,
        (FieldType::Choice | FieldType::Choices, Value::Text(codes)) => {
            let labels: Vec<&Label> = codes
                .split_whitespace()
                .filter_map(|code| field.choices.iter().find(|choice| choice.code == code))
                .map(|choice| &choice.label)
                .collect();
            let join = |pick: fn(&Label) -> &String, between: &str| {
                labels
                    .iter()
                    .map(|label| pick(label).as_str())
                    .collect::<Vec<_>>()
                    .join(between)
            };
            (!labels.is_empty()).then(|| Label {
                zh: join(|label| &label.zh, "、"),
                en: join(|label| &label.en, ", "),
            })
        }
        (FieldType::Time, Value::Int(millis)) => both(minute_of(*millis)),
        (_, Value::Text(text)) if !text.trim().is_empty() => both(text.trim().to_owned()),
        (_, Value::Int(number)) => both(number.to_string()),
        (_, Value::Decimal(number)) => both(number.to_string()),
        (_, Value::Text(_) | Value::Bool(_)) => None,
    }
}

/// Day and minute in the station's time, `2026-11-23 09:10` (days from civil, after Howard Hinnant's `chrono`-compatible algorithms).
fn minute_of(millis: i64) -> String {
    let minutes = millis.div_euclid(60_000).saturating_add(i64::from(UTC_OFFSET_MINUTES));
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::minute_of;

    #[test]
    fn times_in_titles_are_the_stations() {
        assert_eq!(minute_of(0), "1970-01-01 08:00");
        assert_eq!(minute_of(1_709_222_340_000), "2024-02-29 23:59");
        assert_eq!(minute_of(1_709_222_400_000), "2024-03-01 00:00");
        assert_eq!(minute_of(-1), "1970-01-01 07:59");
    }
}
