//! Lists, filters, titles, and where the next visit starts.

use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{ItemId, RecordId};

use super::{Phone, Station, visit};
use crate::query::Filter;

#[test]
fn lists_filter_and_go_on_where_they_stopped() {
    let mut station = Station::new("pages");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let households: Vec<RecordId> = (1..=7).map(|number| li.household(&format!("知春路{number}号"))).collect();
    station.sync(&mut li);
    station.sync(&mut wang);
    wang.core
        .edit(households[2], &Edit::new().field("address", "知春路3号院"), None)
        .unwrap();

    let filter = Filter {
        kind: Some("household".into()),
        limit: Some(3),
        ..Filter::default()
    };
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = wang.core.list(&Filter { after, ..filter.clone() }).unwrap();
        pages.push(page.rows.iter().map(|row| row.record).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let mut all: Vec<RecordId> = pages.concat();
    assert_eq!(all[0], households[2], "the latest first");
    all.sort_unstable();
    assert_eq!(all, households);
}

#[test]
fn filters_ask_for_what_they_say_and_titles_name_the_household() {
    let mut station = Station::new("filters");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let households: Vec<RecordId> = (1..=7).map(|number| li.household(&format!("知春路{number}号"))).collect();
    let record = li.core.begin("visit", &visit(households[0])).unwrap();
    station.sync(&mut li);
    station.sync(&mut wang);
    wang.core
        .edit(households[2], &Edit::new().field("address", "知春路3号院"), None)
        .unwrap();
    let all = Filter::default;
    let ids = |phone: &Phone, filter: Filter| -> Vec<RecordId> {
        let rows = phone.core.list(&filter).unwrap().rows;
        rows.iter().map(|row| row.record).collect()
    };
    let mine = |phone: &Phone| ids(phone, Filter { mine: true, ..all() }).len();
    assert_eq!((mine(&li), mine(&wang)), (8, 0));
    assert_eq!(ids(&wang, Filter { waiting: true, ..all() }), [households[2]]);
    let state = Some("due".into());
    assert_eq!(ids(&li, Filter { state, ..all() }), [record]);
    let about = Some(households[0]);
    assert_eq!(ids(&li, Filter { about, ..all() }), [record]);
    let row = &li
        .core
        .list(&Filter {
            kind: Some("visit".into()),
            ..Filter::default()
        })
        .unwrap()
        .rows[0];
    assert_eq!(row.title.zh, "知春路1号 · 例行走访 · 已走访");
    assert_eq!(row.title.en, "知春路1号 · routine · done");
}

#[test]
fn the_last_visits_people_are_where_the_next_one_starts() {
    let mut station = Station::new("start");
    let li = station.phone("Li", &["officer"]);
    let household = li.household("学院路5号");
    assert_eq!(li.core.starting_point("visit", household).unwrap(), Default::default());
    let (here, gone) = (ItemId::from_bytes([1; 16]), ItemId::from_bytes([2; 16]));
    for name in ["张三", "李四"] {
        let edit = visit(household)
            .item("people_met", here, [("name", name.into())])
            .item("people_met", gone, [("name", "王五".into())])
            .note("notes", "狗");
        let record = li.core.begin("visit", &edit).unwrap();
        li.core.edit(record, &Edit::new().remove("people_met", gone), None).unwrap();
    }
    let start = li.core.starting_point("visit", household).unwrap();
    let people: Vec<_> = start.lists["people_met"]
        .values()
        .map(|item| item.fields["name"].clone())
        .collect();
    assert_eq!(people, [Value::from("李四")]);
    assert_eq!(start.fields.keys().collect::<Vec<_>>(), ["household"]);
    assert!(start.notes.is_empty(), "what does not carry over stays behind");
}
