//! What a record would say with an edit in it: for forms, which show what is typed before it is written. Writing itself is the document's.

use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Facts;

/// The facts with the edit's values in the place of theirs.
pub(crate) fn overlay(mut facts: Facts, edit: &Edit) -> Facts {
    facts.fields.extend(edit.fields.clone());
    facts.notes.extend(edit.notes.clone());
    facts.files.extend(edit.files.clone());
    facts.track.extend(edit.segments.clone());
    for given in &edit.items {
        let item = facts
            .lists
            .entry(given.list.clone())
            .or_default()
            .entry(given.item)
            .or_default();
        item.fields.extend(given.fields.clone());
        item.removed = given.removed.unwrap_or(item.removed);
    }
    facts
}

#[cfg(test)]
mod tests {
    use beatbook_protocol::facts::Value;
    use beatbook_protocol::id::ItemId;

    use super::*;

    #[test]
    fn what_is_typed_stands_over_what_is_there_and_the_rest_stays() {
        let (known, new) = (ItemId::from_bytes([1; 16]), ItemId::from_bytes([2; 16]));
        let before = overlay(
            Facts::default(),
            &Edit::new().field("outcome", "done").field("duration_min", 5_i64).item(
                "people_met",
                known,
                [("name", Value::from("王")), ("age", Value::from(30_i64))],
            ),
        );
        let typed = Edit::new()
            .clear("duration_min")
            .item("people_met", known, [("name", Value::from("王五"))])
            .item("people_met", new, [("name", Value::from("李"))])
            .remove("people_met", known);
        let after = overlay(before, &typed);
        assert_eq!(after.fields["outcome"], Value::from("done"));
        assert_eq!(after.fields["duration_min"], Value::Null);
        let people = &after.lists["people_met"];
        assert_eq!(people[&known].fields["name"], Value::from("王五"));
        assert_eq!(people[&known].fields["age"], Value::from(30_i64));
        assert!(people[&known].removed && !people[&new].removed);
    }
}
