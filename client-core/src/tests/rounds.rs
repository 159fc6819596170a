//! What a day's round begins with: what is due, and what lies near.

use std::sync::atomic::Ordering;

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::place::Place;

use super::Station;
use crate::query::{Filter, Mark};

const HOUR: i64 = 3_600_000;

#[test]
fn what_is_due_begins_with_the_oldest_however_many_there_are() {
    let mut station = Station::new("due");
    let li = station.phone("Li", &["officer"]);
    let opened: Vec<RecordId> = (1..=8)
        .map(|number| {
            li.core
                .begin("incident", &Edit::new().field("title", format!("路灯{number}")))
                .unwrap()
        })
        .collect();
    let due = li.core.due(100).unwrap();
    assert_eq!(due.iter().map(|due| due.row.record).collect::<Vec<_>>(), opened);
    assert!(due.iter().all(|due| due.clock == "first_report" && !due.is_late));
    assert!(due.iter().all(|due| due.until.since(due.row.opened_at) == 20 * 60_000));
    // More than one look takes: the oldest is the most pressing still.
    assert_eq!(li.core.due(1).unwrap()[0].row.record, opened[0]);
    station.world.0.0.fetch_add(HOUR, Ordering::Relaxed);
    assert!(li.core.due(100).unwrap().iter().all(|due| due.is_late));
}

#[test]
fn a_clock_starts_with_the_act_that_led_to_its_state() {
    let mut station = Station::new("clocks");
    let li = station.phone("Li", &["officer"]);
    let patrol = li.core.patrol_start(&Edit::new()).unwrap();
    assert!(
        li.core.due(100).unwrap().is_empty(),
        "nothing is to be handed in while it goes on"
    );
    station.world.0.0.fetch_add(HOUR, Ordering::Relaxed);
    li.core.patrol_finish(&Edit::new()).unwrap();
    let due = li.core.due(100).unwrap();
    assert_eq!(
        due.iter().map(|due| (due.row.record, &*due.clock)).collect::<Vec<_>>(),
        [(patrol, "hand_in")]
    );
    assert!(due[0].since.since(due[0].row.opened_at) >= HOUR);
    assert_eq!(due[0].until.since(due[0].since), 24 * HOUR);
}

#[test]
fn what_lies_near_is_shown_with_the_nearest_first_and_nothing_beyond() {
    let mut station = Station::new("near");
    let li = station.phone("Li", &["officer"]);
    let at = |lat: &str| {
        let place = format!("geo:{lat},116.440000");
        li.core
            .begin("household", &Edit::new().field("place", place).field("address", lat))
            .unwrap()
    };
    let (far, near, nearest) = (at("39.990000"), at("39.971000"), at("39.970100"));
    li.household("without a place");
    let here = Place::parse("geo:39.970000,116.440000").unwrap();
    let found = li.core.nearby("household", &here, 500.0, 10).unwrap();
    assert_eq!(found.iter().map(|near| near.row.record).collect::<Vec<_>>(), [nearest, near]);
    assert!((10.0..13.0).contains(&found[0].metres), "{}", found[0].metres);
    assert_eq!(li.core.nearby("household", &here, 500.0, 1).unwrap().len(), 1);
    assert_eq!(li.core.nearby("household", &here, 5_000.0, 10).unwrap()[2].row.record, far);
    assert!(li.core.nearby("no_such_kind", &here, 500.0, 1).is_err());
}

#[test]
fn a_place_in_a_list_goes_through_text_and_other_text_is_none() {
    let mut station = Station::new("marks");
    let li = station.phone("Li", &["officer"]);
    for number in 1..=3 {
        li.household(&format!("知春路{number}号"));
    }
    let limit = Some(2);
    let first = li
        .core
        .list(&Filter {
            limit,
            ..Filter::default()
        })
        .unwrap();
    let after: Option<Mark> = first.next.map(|mark| mark.to_string().parse().unwrap());
    assert_eq!(after, first.next);
    assert_eq!(
        li.core
            .list(&Filter {
                after,
                limit,
                ..Filter::default()
            })
            .unwrap()
            .rows
            .len(),
        1
    );
    for wrong in ["", ".", "1", "1.x", "1.2.3", "next"] {
        assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
    }
}
