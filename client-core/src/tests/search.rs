//! Search as people type.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId};

use super::{Phone, Station, visit};

fn found(phone: &Phone, text: &str) -> Vec<RecordId> {
    phone.core.search(text, 20).unwrap().iter().map(|row| row.record).collect()
}

#[test]
fn chinese_words_english_words_and_initials_are_found() {
    let mut station = Station::new("search");
    let li = station.phone("Li", &["officer"]);
    let street = li.household("中关村大街27号 Science Park");
    let lane = li.household("五道口华清嘉园");
    let met = li
        .core
        .begin(
            "visit",
            &visit(lane)
                .item("people_met", ItemId::from_bytes([1; 16]), [("name", "欧阳明".into())])
                .note("notes", "楼道堆放杂物，Fire door blocked"),
        )
        .unwrap();
    for (text, expected) in [
        ("中关", vec![street]),
        ("关村", vec![street]),
        ("村关", vec![]),
        ("大街27", vec![street]),
        ("science", vec![street]),
        ("SCIENCE pa", vec![street]),
        ("中关 park", vec![street]),
        ("zgc", vec![street]),
        ("ZGCDJ", vec![street]),
        ("zc", vec![]),
        ("wdk", vec![lane]),
        ("华清", vec![lane]),
        ("欧阳", vec![met]),
        ("oym", vec![met]),
        ("杂物", vec![met]),
        ("blocked fire", vec![met]),
        ("明楼", vec![]),
        ("例行", vec![met]),
        ("routine", vec![met]),
    ] {
        assert_eq!(found(&li, text), expected, "{text}");
    }
}

#[test]
fn a_changed_word_is_found_and_the_old_one_is_not() {
    let mut station = Station::new("changed");
    let li = station.phone("Li", &["officer"]);
    let first = li.household("成府路1号");
    let second = li.household("成府路2号");
    assert_eq!(found(&li, "成府"), [second, first], "the record that came last is first");
    li.core
        .edit(first, &Edit::new().field("address", "成府路3号院"), None)
        .unwrap();
    assert_eq!(found(&li, "成府"), [second, first]);
    assert_eq!(found(&li, "3号院"), [first]);
    assert_eq!(found(&li, "1号"), []);
    assert_eq!(li.core.search("成府", 1).unwrap().len(), 1);
}

#[test]
fn whatever_is_typed_is_a_question() {
    let mut station = Station::new("typed");
    let li = station.phone("Li", &["officer"]);
    let record = li.household("o'Brien's \"near\" OR NOT AND 住处");
    for text in [
        "\"", "'", "*", "(", "NEAR(", "a OR", "-x", "^", "words:", "{", "\\", "%", "NOT", "😀", "\u{0}", "\u{e000}", "", "   ",
    ] {
        li.core.search(text, 5).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
    assert_eq!(found(&li, "o'brien"), [record]);
    assert_eq!(found(&li, "or not"), [record]);
    assert_eq!(found(&li, "\"near\""), [record]);
    assert_eq!(found(&li, "*"), []);
    assert!(li.core.search(&"长".repeat(5_000), 5).unwrap().is_empty());
}
