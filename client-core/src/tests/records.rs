//! Records on several phones: conflicts, settlements, acts, official and later facts, lists.

use beatbook_protocol::document::{Edit, FieldPath, Said};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::limits::ACT_BYTES_MAX;
use beatbook_protocol::wire::Verdict;

use super::{MORNING, Phone, Station, outbox, visit};
use crate::error::CoreError;
use crate::query::{CameBackWhy, Filter};
use crate::store::records::Records;
use crate::store::write::ActOrder;

/// Two phones that hold the same visit.
fn shared_visit(name: &str) -> (Station, Phone, Phone, RecordId) {
    let mut station = Station::new(name);
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let household = li.household("中关村大街27号");
    let record = li.core.begin("visit", &visit(household).field("duration_min", 5)).unwrap();
    station.sync(&mut li);
    station.sync(&mut wang);
    (station, li, wang, record)
}

fn both(station: &mut Station, li: &mut Phone, wang: &mut Phone) {
    station.sync(li);
    station.sync(wang);
    station.sync(li);
}

fn duration() -> FieldPath {
    FieldPath::Field("duration_min".into())
}

#[test]
fn two_values_stand_with_their_authors_on_both_phones_until_one_is_settled() {
    let (mut station, mut li, mut wang, record) = shared_visit("both");
    li.core.edit(record, &Edit::new().field("duration_min", 10), None).unwrap();
    wang.core.edit(record, &Edit::new().field("duration_min", 20), None).unwrap();
    both(&mut station, &mut li, &mut wang);
    for phone in [&li, &wang] {
        let conflicts = phone.core.conflicts().unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts, phone.core.record(record).unwrap().conflicts);
        let mut claims: Vec<_> = conflicts[0]
            .claims
            .iter()
            .map(|claim| (claim.value.clone(), claim.by.name.as_str()))
            .collect();
        claims.sort_by_key(|(_, name)| *name);
        assert_eq!(
            claims,
            [(Said::Value(Value::Int(10)), "Li"), (Said::Value(Value::Int(20)), "Wang")]
        );
        let refused = phone.core.edit(record, &Edit::new().field("duration_min", 30), None);
        assert!(matches!(refused, Err(CoreError::Conflicted { paths }) if paths == ["fields/duration_min"]));
    }
    wang.core.settle(record, &duration(), &Value::Int(20), None).unwrap();
    both(&mut station, &mut li, &mut wang);
    for phone in [&li, &wang] {
        let view = phone.core.record(record).unwrap();
        assert_eq!(
            (view.facts.fields["duration_min"].clone(), view.row.conflicts),
            (Value::Int(20), 0)
        );
        let history = phone.core.history(record).unwrap();
        let settled: Vec<_> = history
            .iter()
            .filter(|write| write.settles)
            .map(|write| write.by.name.as_str())
            .collect();
        assert_eq!(settled, ["Wang"]);
        assert_eq!(history.iter().filter(|write| write.path == duration()).count(), 4);
    }
}

#[test]
fn a_cleared_value_against_a_new_one_is_a_conflict() {
    let (mut station, mut li, mut wang, record) = shared_visit("clear");
    li.core.edit(record, &Edit::new().clear("duration_min"), None).unwrap();
    wang.core.edit(record, &Edit::new().field("duration_min", 20), None).unwrap();
    both(&mut station, &mut li, &mut wang);
    for phone in [&li, &wang] {
        let claims: Vec<Said> = phone.core.conflicts().unwrap()[0]
            .claims
            .iter()
            .map(|claim| claim.value.clone())
            .collect();
        assert!(
            claims.contains(&Said::Value(Value::Null)) && claims.contains(&Said::Value(Value::Int(20))),
            "{claims:?}"
        );
    }
}

#[test]
fn equal_values_of_two_people_are_no_conflict() {
    let (mut station, mut li, mut wang, record) = shared_visit("equal");
    for phone in [&li, &wang] {
        phone.core.edit(record, &Edit::new().field("duration_min", 15), None).unwrap();
    }
    both(&mut station, &mut li, &mut wang);
    assert!(li.core.conflicts().unwrap().is_empty() && wang.core.conflicts().unwrap().is_empty());
    assert_eq!(
        li.core.record(record).unwrap().row.version,
        wang.core.record(record).unwrap().row.version
    );
}

#[test]
fn later_facts_stay_beside_the_official_view_until_the_chief_takes_them_in() {
    let (mut station, mut li, mut wang, record) = shared_visit("official");
    li.act(record, "finish").unwrap();
    let done = li.act(record, "submit").unwrap();
    assert_eq!(done.state, "submitted");
    wang.core.edit(record, &Edit::new().field("duration_min", 45), None).unwrap();
    both(&mut station, &mut li, &mut wang);
    let view = wang.core.record(record).unwrap();
    assert_eq!(view.row.state, "submitted");
    assert_eq!(view.facts.fields["duration_min"], Value::Int(45));
    assert_eq!(view.official.unwrap().fields["duration_min"], Value::Int(5));

    let mut chief = station.phone("Chief", &["chief"]);
    station.sync(&mut chief);
    chief.act(record, "supplement").unwrap();
    both(&mut station, &mut chief, &mut li);
    let view = li.core.record(record).unwrap();
    assert_eq!(view.official, None);
    assert_eq!(
        view.acts
            .iter()
            .map(|act| (act.code.as_str(), act.by.name.as_str()))
            .collect::<Vec<_>>(),
        [("finish", "Li"), ("submit", "Li"), ("supplement", "Chief")]
    );
}

#[test]
fn an_act_on_a_record_that_moved_is_turned_away() {
    let (mut station, mut li, mut wang, record) = shared_visit("moved");
    let seen = li.core.record(record).unwrap().row.version;
    wang.core
        .edit(record, &Edit::new().field("outcome", "refused"), None)
        .unwrap();
    both(&mut station, &mut wang, &mut li);
    let order = ActOrder {
        code: "finish".into(),
        version: seen.clone(),
        ..ActOrder::default()
    };
    let now = li.core.record(record).unwrap().row.version;
    assert!(matches!(li.core.act(record, &order), Err(CoreError::Moved { version, .. }) if version == now));
    let edited = li.core.edit(record, &Edit::new().field("duration_min", 1), Some(&seen));
    assert!(matches!(edited, Err(CoreError::Moved { .. })));
}

#[test]
fn what_hinders_an_act_is_said_and_nothing_is_written() {
    let mut station = Station::new("hindered");
    let li = station.phone("Li", &["officer"]);
    let household = li.household("成府路1号");
    let record = li
        .core
        .begin("visit", &Edit::new().field("household", household.to_string()))
        .unwrap();
    let waiting = li.core.record(record).unwrap().row.waiting;
    let Err(CoreError::Hindered { findings }) = li.act(record, "finish") else {
        panic!("it went through")
    };
    assert!(
        findings.iter().any(|finding| finding.code == "rule:outcome_done"),
        "{findings:?}"
    );
    assert!(matches!(li.act(record, "approve"), Err(CoreError::Forbidden { .. })));
    assert!(matches!(li.act(record, "dance"), Err(CoreError::Unknown { .. })));
    assert_eq!(li.core.record(record).unwrap().row.waiting, waiting);
}

#[test]
fn an_act_that_says_more_than_the_station_takes_is_turned_away_here() {
    let mut station = Station::new("long");
    let li = station.phone("Li", &["officer"]);
    let record = li.household("成府路1号");
    let other = li.household("成府路2号");
    let said = |comment: usize, name: &str| ActOrder {
        code: "merge_into".into(),
        comment: Some("x".repeat(comment)),
        values: vec![(name.to_owned(), Value::from(other.to_string()))],
        version: li.core.record(record).unwrap().row.version,
    };
    let waiting = li.core.record(record).unwrap().row.waiting;
    // The comment alone would pass.
    for (order, told) in [
        (said(ACT_BYTES_MAX - 10, "target"), "comment"),
        (said(10, "extra"), "values/extra"),
    ] {
        let refused = li.core.act(record, &order);
        assert!(
            matches!(&refused, Err(CoreError::InvalidInput { field, .. }) if field == told),
            "{refused:?}"
        );
    }
    assert_eq!(li.core.record(record).unwrap().row.waiting, waiting);
    li.core.act(record, &said(ACT_BYTES_MAX - 100, "target")).unwrap();
}

#[test]
fn what_came_back_says_who_sent_it_and_why() {
    let (mut station, mut li, _, record) = shared_visit("back");
    li.act(record, "finish").unwrap();
    li.act(record, "submit").unwrap();
    station.sync(&mut li);
    let mut chief = station.phone("Chief", &["chief"]);
    station.sync(&mut chief);
    assert!(
        matches!(chief.act(record, "return"), Err(CoreError::Hindered { .. })),
        "a return says why"
    );
    chief.act_with(record, "return", Some("谁开的门？")).unwrap();
    station.sync(&mut chief);
    station.sync(&mut li);
    let back = li.core.came_back().unwrap();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].by.as_ref().unwrap().name, "Chief");
    assert_eq!(
        back[0].why,
        CameBackWhy::Act {
            code: "return".into(),
            comment: Some("谁开的门？".into())
        }
    );
    assert!(chief.core.came_back().unwrap().is_empty(), "it came back to its author");
    let listed = li
        .core
        .list(&Filter {
            came_back: true,
            ..Filter::default()
        })
        .unwrap()
        .rows;
    assert_eq!(listed.iter().map(|row| row.record).collect::<Vec<_>>(), [record]);
}

#[test]
fn nobody_writes_before_the_phone_is_enrolled_or_where_he_may_not() {
    let mut station = Station::new("enrolled");
    let core = station.open(&station.folder.file("new.db"));
    assert!(matches!(
        core.begin("visit", &Edit::new().field("started_at", MORNING)),
        Err(CoreError::NotEnrolled)
    ));
    let auditor = station.phone("Auditor", &["auditor"]);
    let begun = auditor.core.begin("visit", &Edit::new().field("started_at", MORNING));
    assert!(begun.is_ok(), "whoever opens a record is its author");
    let empty = auditor.core.begin("visit", &Edit::new());
    assert!(matches!(empty, Err(CoreError::InvalidInput { field, .. }) if field == "edit"));
    let unknown = auditor.core.begin("visit", &Edit::new().field("blood_type", "A"));
    assert!(matches!(unknown, Err(CoreError::InvalidInput { field, .. }) if field == "fields/blood_type"));
}

#[test]
fn a_long_document_goes_on_through_its_snapshot() {
    let mut station = Station::new("snapshot");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("双清路0号");
    for number in 1..150 {
        li.core
            .edit(record, &Edit::new().field("address", format!("双清路{number}号")), None)
            .unwrap();
    }
    station.sync(&mut li);
    station.sync(&mut wang);
    wang.core
        .edit(record, &Edit::new().field("structure", "brick"), None)
        .unwrap_or_default();
    wang.core.edit(record, &Edit::new().note("notes", "狗"), None).unwrap();
    station.restart(&mut wang);
    both(&mut station, &mut wang, &mut li);
    for phone in [&li, &wang] {
        let view = phone.core.record(record).unwrap();
        assert_eq!(view.facts.fields["address"], Value::from("双清路149号"));
        assert_eq!(view.facts.notes["notes"], "狗");
        assert!(phone.core.history(record).unwrap().len() >= 150);
    }
    assert_eq!(li.core.accepted_entries().unwrap(), wang.core.accepted_entries().unwrap());
}

#[test]
fn the_stations_yes_leaves_a_row_as_folding_anew_does() {
    let mut station = Station::new("yes");
    let mut li = station.phone("Li", &["officer"]);
    let household = li.household("中关村大街27号");
    station.sync(&mut li);
    let record = li.core.begin("visit", &visit(household)).unwrap();
    li.core.edit(record, &Edit::new().field("duration_min", 5), None).unwrap();
    li.act(record, "finish").unwrap();
    let sent = outbox(&li.core);
    let yes = |entry: usize| {
        let settle = |records: &mut Records<'_>| records.settle_own(&sent[entry].0, 100, 0, &Verdict::Accepted);
        li.core.write(settle).unwrap();
        li.core.record(record).unwrap().row
    };
    // No document is opened for these.
    let mut row = yes(0);
    assert_eq!(row.waiting, 2);
    row = yes(1);
    assert_eq!(row.waiting, 1, "the act waits");
    // Said once more it is no news, and the record is folded anew.
    assert_eq!(yes(0), row);
}
