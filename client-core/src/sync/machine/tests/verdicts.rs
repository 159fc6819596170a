//! What each verdict on a page or an entry leads to.

use beatbook_protocol::wire::Verdict;

use super::*;
use crate::sync::WaitingBecause;

#[test]
fn what_is_refused_comes_back_and_blocks_nothing() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let (bad, good) = (phone.write(10), phone.write(10));
    let refused = Verdict::Refused {
        code: "forbidden".into(),
        text: "no".into(),
        state_met: None,
    };
    station.verdicts.insert(bad, refused);
    let report = phone.sync(&mut station).unwrap();
    assert_eq!((report.accepted, report.refused, report.complete), (1, 1, true));
    let came_back = |event: &SyncEvent| matches!(event, SyncEvent::CameBack { entry, .. } if *entry == bad);
    assert!(report.events.iter().any(came_back));
    assert_eq!(station.accepted(), [good]);
}

#[test]
fn what_needs_something_is_held_and_sent_again_in_a_later_page() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let waits = phone.write(10);
    let needs = Verdict::Needs {
        changes: vec![Hash::of(&[b"x"])],
    };
    station.verdicts.insert(waits, needs);
    let report = phone.sync(&mut station).unwrap();
    assert_eq!((report.requests, report.accepted, report.complete), (1, 0, false));
    assert_eq!(status(&phone.core).unwrap().why, Some(WaitingBecause::StationLacks));
    assert_eq!(phone.sync(&mut station).unwrap().pages, 0);
    station.verdicts.clear();
    station.write("news");
    let report = phone.sync(&mut station).unwrap();
    assert!(report.complete, "{report:?}");
    assert_eq!(station.accepted(), [waits]);
}

#[test]
fn what_needed_something_that_was_accepted_beside_it_goes_again_at_once() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let (waits, other) = (phone.write(10), phone.write(10));
    station.verdicts.insert(waits, Verdict::Needs { changes: vec![other] });
    let mut is_first = true;
    let report = phone.sync_by(|request| {
        let outcome = station.exchange(request);
        // Now it has what was lacking.
        if std::mem::take(&mut is_first) {
            station.verdicts.clear();
        }
        outcome
    });
    let report = report.unwrap();
    assert_eq!((report.requests, report.accepted, report.complete), (2, 2, true));
    assert_eq!(station.accepted(), [other, waits]);
}

#[test]
fn what_needs_something_is_tried_again_after_a_while_even_without_news() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let waits = phone.write(10);
    station.verdicts.insert(waits, Verdict::Needs { changes: Vec::new() });
    phone.sync(&mut station).unwrap();
    phone.pass(60_000);
    assert_eq!(phone.sync(&mut station).unwrap().pages, 1);
    phone.pass(60_000);
    assert_eq!(phone.sync(&mut station).unwrap().pages, 0);
}

#[test]
fn a_verdict_of_a_later_version_leaves_the_entry_waiting() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let waits = phone.write(10);
    station.verdicts.insert(waits, Verdict::Other(99));
    assert!(!phone.sync(&mut station).unwrap().complete);
    let told = status(&phone.core).unwrap();
    assert_eq!((told.waiting, told.synced), (1, false));
    station.verdicts.clear();
    station.write("news");
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(station.accepted(), [waits]);
}

#[test]
fn a_page_that_cannot_be_taken_in_is_sealed_again_in_a_new_incarnation() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let first = phone.write(10);
    phone.sync(&mut station).unwrap();
    let written: Vec<Hash> = (0..300).map(|_| phone.write(10)).collect();
    station.fault = Some("page_signature");
    let mut seen = Vec::new();
    let report = phone.sync_by(|request| {
        seen.push(opened(request));
        station.exchange(request)
    });
    let report = report.unwrap();
    assert!(report.complete && report.accepted == 300, "{report:?}");
    assert_ne!(seen[0].incarnation, seen[1].incarnation);
    let header = seen[1].pages[0].header().unwrap();
    let follows = header.follows.unwrap();
    assert_eq!(
        (header.sequence, follows.incarnation, follows.sequence),
        (0, seen[0].incarnation, 1)
    );
    assert_eq!(follows.reason, "page_signature");
    assert_eq!(station.accepted(), [vec![first], written].concat());
}

#[test]
fn a_station_that_takes_no_page_at_all_ends_the_sync() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let report = phone.sync_by(|request| {
        station.fault = Some("page_signature");
        station.exchange(request)
    });
    let report = report.unwrap();
    assert_eq!(report.fault, Some(SyncFault::TryLater(WaitReason::NoProgress)));
    assert_eq!(status(&phone.core).unwrap().waiting, 1);
    assert!(phone.sync(&mut station).unwrap().complete);
}
