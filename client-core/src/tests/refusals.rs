//! What the station does not take in: it is parked where its author sees it, blocks nothing else, and its values can be saved again.

use beatbook_protocol::document::{Edit, FieldPath, Said};
use beatbook_protocol::entry::Entry;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::BookId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::{Station, outbox, visit};
use crate::error::{CoreError, Fault};
use crate::query::{CameBackWhy, RefusedWhat};
use crate::store::intake::FeedItem;

pub(super) fn refused(code: &str) -> Verdict {
    Verdict::Refused {
        code: code.into(),
        text: "not so".into(),
        state_met: None,
    }
}

#[test]
fn a_refused_change_takes_its_descendants_along_and_offers_its_values_again() {
    let mut station = Station::new("descendants");
    let mut li = station.phone("Li", &["officer"]);
    let record = li.household("清华东路1号");
    station.sync(&mut li);
    li.core
        .edit(record, &Edit::new().field("address", "清华东路2号"), None)
        .unwrap();
    li.core.edit(record, &Edit::new().note("notes", "三楼"), None).unwrap();
    assert_eq!(li.core.record(record).unwrap().row.waiting, 2);

    let mut first = true;
    station.sync_judged(&mut li, |_| {
        if std::mem::take(&mut first) {
            refused("constraint")
        } else {
            refused("descendant")
        }
    });
    let view = li.core.record(record).unwrap();
    assert_eq!(
        view.facts.fields["address"],
        Value::from("清华东路1号"),
        "the document is as the station has it"
    );
    assert!(view.facts.notes.is_empty());
    assert_eq!((view.row.waiting, view.row.refused), (0, 2));
    let parked = li.core.refused().unwrap();
    assert_eq!(
        parked.iter().map(|entry| entry.code.as_str()).collect::<Vec<_>>(),
        ["constraint", "descendant"]
    );
    let said = RefusedWhat::Values(vec![(FieldPath::Field("address".into()), Said::Value("清华东路2号".into()))]);
    assert_eq!(parked[0].what, said);
    assert!(matches!(li.core.came_back().unwrap()[0].why, CameBackWhy::Refused { ref text, .. } if text == "not so"));

    for entry in &parked {
        let draft = li.core.offer_again(&entry.entry).unwrap();
        assert_eq!(li.core.draft_commit(draft).unwrap(), record);
    }
    let view = li.core.record(record).unwrap();
    assert_eq!(view.facts.fields["address"], Value::from("清华东路2号"));
    assert_eq!(view.facts.notes["notes"], "三楼");
    assert!(li.core.refused().unwrap().is_empty());
    station.sync(&mut li);
    assert_eq!(li.core.record(record).unwrap().row.waiting, 0);
}

#[test]
fn what_was_built_on_a_refused_change_is_parked_before_it_is_sent() {
    let mut station = Station::new("unsent");
    let mut li = station.phone("Li", &["officer"]);
    let record = li.household("清华东路1号");
    let other = li.household("清华东路9号");
    station.sync(&mut li);
    li.core
        .edit(record, &Edit::new().field("address", "清华东路2号"), None)
        .unwrap();
    let sent = outbox(&li.core);
    li.core
        .edit(record, &Edit::new().field("address", "清华东路3号"), None)
        .unwrap();
    li.core
        .edit(other, &Edit::new().field("address", "清华东路8号"), None)
        .unwrap();
    // The verdict on the first comes while the others have not been sent.
    li.core
        .write(|records| records.settle_own(&sent[0].0, 9, 0, &refused("constraint")))
        .unwrap();
    let view = li.core.record(record).unwrap();
    assert_eq!(view.facts.fields["address"], Value::from("清华东路1号"));
    assert_eq!(view.row.refused, 2);
    let untouched = li.core.record(other).unwrap();
    assert_eq!(
        (untouched.facts.fields["address"].clone(), untouched.row.waiting),
        (Value::from("清华东路8号"), 1)
    );
    // The phone writes on at once, under numbers that the refused changes have not used.
    li.core
        .edit(record, &Edit::new().field("address", "清华东路4号"), None)
        .unwrap();
    assert_eq!(
        li.core.record(record).unwrap().facts.fields["address"],
        Value::from("清华东路4号")
    );
}

#[test]
fn a_record_whose_opening_was_refused_can_be_opened_anew() {
    let mut station = Station::new("opening");
    let mut li = station.phone("Li", &["officer"]);
    let record = li.household("五道口1号");
    station.sync_judged(&mut li, |_| refused("out_of_scope"));
    assert_eq!(li.core.record(record).unwrap().row.refused, 1);
    let parked = li.core.refused().unwrap();
    let draft = li.core.offer_again(&parked[0].entry).unwrap();
    let again = li.core.draft_commit(draft).unwrap();
    assert_ne!(again, record);
    assert_eq!(
        li.core.record(again).unwrap().facts.fields["address"],
        Value::from("五道口1号")
    );
    assert!(li.core.refused().unwrap().is_empty());
}

#[test]
fn nothing_is_built_on_a_record_whose_opening_was_refused() {
    let mut station = Station::new("unopened");
    let mut li = station.phone("Li", &["officer"]);
    let household = li.household("五道口1号");
    station.sync(&mut li);
    let record = li.core.begin("visit", &visit(household)).unwrap();
    let edit = Edit::new().field("outcome", "done");
    station.sync_judged(&mut li, |_| refused("out_of_scope"));
    let before = outbox(&li.core).len();
    for met in [
        li.core.edit(record, &edit, None).map(drop),
        li.act(record, "finish").map(drop),
    ] {
        assert!(matches!(met, Err(CoreError::OpeningRefused(of)) if of == record), "{met:?}");
        assert!(met.unwrap_err().to_string().contains("offer_again"));
    }
    assert_eq!(outbox(&li.core).len(), before);
}

#[test]
fn an_act_that_met_another_state_comes_back() {
    let mut station = Station::new("act");
    let mut li = station.phone("Li", &["officer"]);
    let household = li.household("五道口2号");
    let record = li.core.begin("visit", &visit(household)).unwrap();
    station.sync(&mut li);
    li.act(record, "finish").unwrap();
    assert_eq!(li.core.record(record).unwrap().row.state, "done", "shown at once");
    let met = Verdict::Refused {
        code: "state_met".into(),
        text: "it is".into(),
        state_met: Some("moved".into()),
    };
    station.sync_judged(&mut li, |_| met.clone());
    assert_eq!(li.core.record(record).unwrap().row.state, "due");
    let parked = li.core.refused().unwrap();
    assert_eq!(
        parked[0].what,
        RefusedWhat::Act {
            code: "finish".into(),
            comment: None
        }
    );
    assert_eq!(
        (parked[0].code.as_str(), parked[0].text.as_str()),
        ("state_met", "it is (moved)")
    );
    li.core.dismiss(&parked[0].entry).unwrap();
    assert!(li.core.refused().unwrap().is_empty() && li.core.came_back().unwrap().is_empty());
    assert!(li.core.dismiss(&parked[0].entry).is_err());
}

#[test]
fn a_duplicate_keeps_the_place_and_the_standing_it_has() {
    let mut station = Station::new("duplicate");
    let mut li = station.phone("Li", &["officer"]);
    let household = li.household("五道口2号");
    let record = li.core.begin("visit", &visit(household)).unwrap();
    station.sync(&mut li);
    li.act(record, "finish").unwrap();
    let act = outbox(&li.core)[0].0;
    let place = || {
        let sql = "SELECT leaf, position, offered FROM act WHERE entry = ?1";
        let row = li
            .core
            .read(|tx| Ok(tx.query_row(sql, [act.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?));
        row.unwrap()
    };
    let settle = |leaf, position, verdict| {
        let settled = li
            .core
            .write(|records| records.settle_own(&act, leaf, position, &verdict).map_err(Fault::from));
        settled.unwrap();
    };
    settle(7, 1, Verdict::Offered);
    settle(9, 2, Verdict::Duplicate);
    assert_eq!(place(), (7_i64, 1_i64, true));
    assert_eq!(li.core.record(record).unwrap().row.waiting, 0);
}

#[test]
fn what_the_station_needs_more_for_stays_waiting() {
    let mut station = Station::new("needs");
    let mut li = station.phone("Li", &["officer"]);
    let record = li.household("五道口3号");
    station.sync_judged(&mut li, |_| Verdict::Needs { changes: vec![] });
    assert_eq!(li.core.record(record).unwrap().row.waiting, 1);
    assert_eq!(outbox(&li.core).len(), 1);
    station.sync(&mut li);
    assert_eq!(li.core.record(record).unwrap().row.waiting, 0);
}

#[test]
fn bytes_that_cannot_be_read_are_kept_and_stop_nothing() {
    let mut station = Station::new("unread");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("五道口4号");
    station.sync(&mut li);
    let (book, good, _) = station.ledger.last().cloned().unwrap();
    let Entry::Change(change) = Entry::parse(&good).unwrap() else {
        panic!("a change")
    };
    let mut broken = change.clone();
    let middle = broken.change.len() / 2;
    broken.change[middle] ^= 0x55;
    broken.opens = None;
    station.ledger.push((book, Entry::Change(broken).to_bytes(), false));
    station.ledger.push((book, b"no entry".to_vec(), false));
    station.sync(&mut wang);
    let view = wang.core.record(record).unwrap();
    assert_eq!(view.facts.fields["address"], Value::from("五道口4号"));
    assert!(view.row.unreadable.is_some());
    let kept: i64 = wang
        .core
        .read(|tx| Ok(tx.query_row("SELECT count(*) FROM unread", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(kept, 1);
}

#[test]
fn a_change_that_comes_before_what_it_rests_on_waits_for_it() {
    let mut station = Station::new("order");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("五道口5号");
    li.core
        .edit(record, &Edit::new().field("address", "五道口6号"), None)
        .unwrap();
    let sent = outbox(&li.core);
    station.sync(&mut li);
    station.sync_judged(&mut wang, |_| Verdict::Accepted);
    let fresh = station.open(&station.folder.file("fresh.db"));
    for (leaf, (_, bytes)) in (0..).zip(sent.iter().rev()) {
        let item = FeedItem {
            leaf,
            position: 0,
            book: BookId::from_bytes([1; 16]),
            received: UnixMillis(0),
            bytes,
            offered: false,
        };
        fresh.write(|records| records.take_in(&item).map_err(Fault::from)).unwrap();
    }
    assert_eq!(fresh.record(record).unwrap().facts, wang.core.record(record).unwrap().facts);
}

#[test]
fn a_record_of_an_unknown_kind_waits_for_its_kind() {
    let mut station = Station::new("kind");
    let mut li = station.phone("Li", &["officer"]);
    let source = li
        .core
        .kinds()
        .newest("household")
        .unwrap()
        .source()
        .replacen("version = 1", "version = 2", 1);
    li.core.write(|records| records.put_kind("household", 2, &source)).unwrap();
    let record = li.household("五道口7号");
    assert_eq!(li.core.record(record).unwrap().row.kind_version, 2);
    station.sync(&mut li);
    let mut wang = station.phone("Wang", &["officer"]);
    station.sync(&mut wang);
    assert!(
        wang.core
            .record(record)
            .unwrap()
            .row
            .unreadable
            .unwrap()
            .contains("household")
    );
    wang.core.write(|records| records.put_kind("household", 2, &source)).unwrap();
    let view = wang.core.record(record).unwrap();
    assert_eq!(
        (view.row.unreadable, view.facts.fields["address"].clone()),
        (None, Value::from("五道口7号"))
    );
    assert_eq!(wang.core.kinds(), li.core.kinds());
}
