//! Whom the machine believes, and what it does when the station's history is another.

use beatbook_protocol::wire::Verdict;

use super::*;
use crate::store::outbox;
use crate::sync::WaitingBecause;

#[test]
fn the_word_of_another_station_is_not_believed() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    station.key = beatbook_protocol::ledger::StationKey::from_bytes(&[8; 32]);
    assert!(matches!(phone.sync(&mut station), Err(SyncError::Reply(_))));
    assert!(matches!(
        phone.sync_by(|_| Outcome::Reply(b"<html>".to_vec())),
        Err(SyncError::Reply(_))
    ));
    let status = status(&phone.core).unwrap();
    assert_eq!(status.waiting, 1);
    assert!(matches!(status.why, Some(WaitingBecause::Failed { .. })));
    station.key = beatbook_protocol::ledger::StationKey::from_bytes(&[7; 32]);
    assert!(phone.sync(&mut station).unwrap().complete);
}

#[test]
fn a_ledger_that_was_rewritten_or_rolled_back_is_noticed_and_nothing_is_taken_over() {
    for rewritten in [false, true] {
        let mut station = Station::new();
        station.write("one");
        station.write("two");
        let phone = Phone::enrolled(&mut station);
        phone.sync(&mut station).unwrap();
        station.restore(1, false);
        if rewritten {
            station.write("another two");
            station.write("three");
        }
        phone.write(10);
        let before = phone.core.read(sync_state::exchanged).unwrap().cursor;
        assert!(matches!(phone.sync(&mut station), Err(SyncError::StationChanged(_))));
        assert_eq!(phone.core.read(sync_state::exchanged).unwrap().cursor, before);
        let unknown = Refusal::new(&RefusalCode::Other("unknown_history".into()), "not ours");
        assert!(matches!(
            phone.sync_by(|_| refuse(&unknown)),
            Err(SyncError::StationChanged(_))
        ));
        assert_eq!(status(&phone.core).unwrap().waiting, 1);
    }
}

#[test]
fn a_restored_station_gets_back_what_it_lost_of_ours_as_it_was() {
    for (kept, whole) in [(1, false), (3, true)] {
        let mut station = Station::new();
        station.write("of another");
        let phone = Phone::enrolled(&mut station);
        let mut written = vec![phone.write(10)];
        phone.sync(&mut station).unwrap();
        written.push(phone.write(10));
        phone.sync(&mut station).unwrap();
        let pages = station.pages();
        station.restore(kept, true);
        station.write("after");
        written.push(phone.write(10));
        let report = phone.sync(&mut station).unwrap();
        assert!(report.complete, "{report:?}");
        assert!(report.events.contains(&SyncEvent::StationRestored { epoch: 1 }));
        assert_eq!(station.accepted(), written);
        assert_eq!(station.pages()[..2], pages);
        assert_eq!(report.pages, if whole { 1 } else { 3 });
        assert_eq!(phone.sync(&mut station).unwrap().requests, 1);
    }
}

#[test]
fn what_two_restores_lost_is_sent_again_though_a_life_between_grew_as_long() {
    let mut station = Station::new();
    station.write("of another");
    let phone = Phone::enrolled(&mut station);
    let written = vec![phone.write(10)];
    phone.sync(&mut station).unwrap();
    station.restore(1, true);
    station.write("after");
    // The phone never met the life between, and nothing was written since.
    station.restore(2, true);
    assert_eq!(station.accepted(), []);
    let report = phone.sync(&mut station).unwrap();
    assert!(report.complete, "{report:?}");
    assert_eq!((station.accepted(), report.pages, report.feed_entries), (written, 1, 2));
}

#[test]
fn what_a_restored_station_refuses_is_parked() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let edit = |address: &str| beatbook_protocol::document::Edit::new().field("address", address);
    let record = phone.core.begin("household", &edit("1")).unwrap();
    phone.sync(&mut station).unwrap();
    phone.core.edit(record, &edit("2"), None).unwrap();
    // So many that they are in a snapshot.
    for number in 3..80 {
        phone.core.edit(record, &edit(&number.to_string()), None).unwrap();
    }
    phone.sync(&mut station).unwrap();
    assert_eq!(phone.core.record(record).unwrap().row.waiting, 0);
    let sent: Vec<Hash> = station.accepted().split_off(1);
    station.restore(1, true);
    station.write("after");
    for entry in sent {
        let refused = Verdict::Refused {
            code: "forbidden".into(),
            text: "no longer".into(),
            state_met: None,
        };
        station.verdicts.insert(entry, refused);
    }
    let report = phone.sync(&mut station).unwrap();
    assert!(report.complete, "{report:?}");
    let view = phone.core.record(record).unwrap();
    assert_eq!((view.row.waiting, view.row.refused), (0, 78));
    assert_eq!(view.facts.fields["address"], beatbook_protocol::facts::Value::from("1"));
}

#[test]
fn entries_leave_the_phone_only_when_the_station_has_them_in_a_backup() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    phone.sync(&mut station).unwrap();
    phone.write(10);
    phone.sync(&mut station).unwrap();
    let held = |hash: &Hash| phone.core.read(|tx| pages::entries_in(tx, hash)).unwrap().is_some();
    let pages = station.pages();
    assert_eq!(pages.iter().map(held).collect::<Vec<_>>(), [true, true]);
    station.backed_up_to = Some(1);
    phone.sync(&mut station).unwrap();
    assert_eq!(pages.iter().map(held).collect::<Vec<_>>(), [false, true]);
    phone.write(10);
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(phone.core.read(outbox::waiting).unwrap(), outbox::Waiting::default());
}

#[test]
fn a_backup_counts_no_further_than_the_ledger_that_was_shown() {
    let mut station = Station::new();
    (0..3).for_each(|leaf| station.write(&leaf.to_string()));
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    station.leaves_in_reply = 1;
    station.backed_up_to = Some(1_000);
    let mut machine = phone.machine();
    let reply = station.exchange(&sent(machine.next(phone.now()).unwrap()));
    machine.receive(phone.now(), reply).unwrap();
    let page = station.pages()[0];
    let held = || phone.core.read(|tx| pages::entries_in(tx, &page)).unwrap().is_some();
    assert!(held());
    assert!(phone.sync(&mut station).unwrap().complete);
    assert!(!held());
}
