//! Old copies of a phone's file, and stations that were restored from an old backup.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::Hash;
use beatbook_protocol::wire::{Refusal, RefusalCode, Verdict};

use super::agreement::{address, count, heard, refused, shown, written};
use crate::sync::testing::{Phone, Station, opened, refuse};
use crate::sync::{Step, SyncEvent, status};
use crate::transport::{Outcome, TransportFault};

#[test]
fn a_station_that_was_restored_amid_a_first_sync_is_asked_from_the_beginning() {
    let mut station = Station::new();
    let (writer, _) = written(&mut station, 4);
    for number in 4..8 {
        writer.core.begin("household", &address(&number.to_string())).unwrap();
        writer.sync(&mut station).unwrap();
    }
    station.fill_by = Some(2);
    let phone = Phone::enrolled(&mut station);
    let mut machine = phone.machine();
    let Step::Send(request) = machine.next(phone.now()).unwrap() else {
        panic!("a request")
    };
    machine.receive(phone.now(), station.exchange(&request)).unwrap();
    station.restore(4, true);
    station.write("after");
    let (report, asked) = heard(&phone, &mut station);
    assert!(report.events.contains(&SyncEvent::StationRestored { epoch: 1 }));
    assert!(asked[1].cursor.is_none(), "half a fill is of no use on another ledger");
    assert!(station.record_count() >= 7);
    assert_eq!(count(&phone), station.record_count());
    assert!(status(&phone.core).unwrap().synced, "{report:?}");
}

#[test]
fn an_old_copy_of_a_phone_begins_a_new_life_and_nothing_is_lost_or_doubled() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 2);
    phone.core.edit(records[0], &address("waits in both"), None).unwrap();
    let copy = phone.copy();
    phone.sync(&mut station).unwrap();
    phone
        .core
        .edit(records[0], &Edit::new().note("notes", "after the copy"), None)
        .unwrap();
    phone.sync(&mut station).unwrap();
    copy.core.edit(records[1], &address("by the copy"), None).unwrap();
    let (report, asked) = heard(&copy, &mut station);
    assert!(report.complete && report.events.contains(&SyncEvent::OldCopy), "{report:?}");
    assert_ne!(asked[0].incarnation, asked[1].incarnation);
    let header = asked[1].pages[0].header().unwrap();
    let follows = header.follows.unwrap();
    assert_eq!((header.sequence, follows.incarnation), (0, asked[0].incarnation));
    assert_eq!(follows.reason, "old_copy");
    // Both go on, each in its own life.
    phone.sync(&mut station).unwrap();
    phone
        .core
        .edit(records[1], &Edit::new().note("notes", "by the first"), None)
        .unwrap();
    copy.core
        .edit(records[0], &Edit::new().field("structure", "simple"), None)
        .unwrap();
    for _ in 0..2 {
        assert!(phone.sync(&mut station).unwrap().complete);
        assert!(copy.sync(&mut station).unwrap().complete);
    }
    for record in records {
        let (one, other) = (phone.core.record(record).unwrap(), copy.core.record(record).unwrap());
        assert_eq!((&one.facts, &one.conflicts), (&other.facts, &other.conflicts));
        assert_eq!((one.row.unreadable, one.row.waiting, other.row.waiting), (None, 0, 0));
        let writes = |phone: &Phone| phone.core.history(record).unwrap().len();
        assert_eq!(writes(&phone), writes(&copy));
    }
    assert!(status(&phone.core).unwrap().synced && status(&copy.core).unwrap().synced);
    let mut taken = station.accepted();
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), all, "no entry is on the ledger twice");
}

#[test]
fn what_others_wrote_is_given_back_to_a_station_that_lost_it() {
    let mut station = Station::new();
    let (_, records) = written(&mut station, 3);
    let phone = Phone::enrolled(&mut station);
    phone.sync(&mut station).unwrap();
    assert_eq!(count(&phone), 3);
    let mine = phone.core.begin("household", &address("mine")).unwrap();
    phone.sync(&mut station).unwrap();
    let signed = phone.core.read(crate::store::sync_state::exchanged).unwrap().checkpoint;
    station.restore(0, true);
    station.write("after");
    let (report, asked) = heard(&phone, &mut station);
    let given: Vec<_> = asked.iter().filter(|request| request.given.is_some()).collect();
    assert_eq!((given.len(), given[0].given.as_ref().unwrap().len()), (1, 3), "{report:?}");
    assert_eq!(given[0].witness, signed);
    let told = status(&phone.core).unwrap();
    assert!(report.complete && told.synced && told.to_give_back == 0, "{told:?}");
    assert!(phone.core.record(mine).unwrap().row.waiting == 0);
    let third = Phone::enrolled(&mut station);
    third.sync(&mut station).unwrap();
    assert_eq!(count(&third), 4);
    for record in records {
        assert_eq!(shown(&third, record), shown(&phone, record));
    }
}

#[test]
fn what_a_restored_station_would_not_have_back_is_kept_and_shown_no_longer() {
    let mut station = Station::new();
    written(&mut station, 2);
    let phone = Phone::enrolled(&mut station);
    phone.sync(&mut station).unwrap();
    station.restore(0, true);
    station.write("after");
    let mut first = true;
    let report = phone.sync_by(|request| {
        if let Some(given) = opened(request).given
            && std::mem::take(&mut first)
        {
            station
                .verdicts
                .insert(beatbook_protocol::entry::identity(&given[0].entry), refused());
        }
        station.exchange(request)
    });
    let report = report.unwrap();
    assert!(
        report
            .events
            .iter()
            .any(|event| matches!(event, SyncEvent::NotTakenBack { .. })),
        "{report:?}"
    );
    assert_eq!(count(&phone), 1);
    assert!(status(&phone.core).unwrap().synced);
    let kept = phone
        .core
        .read(|tx| Ok(tx.query_row("SELECT count(*) FROM change WHERE status = 6", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(kept.unwrap(), 1);
}

#[test]
fn a_station_that_does_not_know_its_own_history_is_shown_its_signature_once() {
    let mut station = Station::new();
    let (phone, _) = written(&mut station, 1);
    let signed = phone.core.read(crate::store::sync_state::exchanged).unwrap().checkpoint;
    let mut witnesses = Vec::new();
    let unknown = Refusal::new(&RefusalCode::Other("unknown_history".into()), "not ours");
    let outcome = phone.sync_by(|request| {
        witnesses.push(opened(request).witness);
        refuse(&unknown)
    });
    assert!(outcome.is_err());
    assert_eq!(witnesses, [None, signed]);
}

#[test]
fn what_own_work_is_built_on_is_given_back_before_that_work_goes_up() {
    let mut station = Station::new();
    let (_, records) = written(&mut station, 3);
    let phone = Phone::enrolled(&mut station);
    phone.sync(&mut station).unwrap();
    phone.core.edit(records[1], &address("by me"), None).unwrap();
    phone.sync(&mut station).unwrap();
    station.restore(0, true);
    station.write("after");
    let (report, asked) = heard(&phone, &mut station);
    let before = asked.iter().position(|request| !request.pages.is_empty()).unwrap();
    let given: Vec<usize> = asked[..before]
        .iter()
        .filter_map(|asked| asked.given.as_ref())
        .map(Vec::len)
        .collect();
    assert_eq!(given, [1], "the record that it edited, and no other: {report:?}");
    assert!(report.complete && status(&phone.core).unwrap().synced, "{report:?}");
}

#[test]
fn what_others_built_on_work_that_is_refused_after_a_restore_is_set_aside() {
    let mut station = Station::new();
    let (writer, records) = written(&mut station, 1);
    let phone = Phone::enrolled(&mut station);
    phone.sync(&mut station).unwrap();
    let kept = station.size();
    phone.core.edit(records[0], &address("by me"), None).unwrap();
    phone.sync(&mut station).unwrap();
    let mine = *station.accepted().last().unwrap();
    station.turn_to(&writer);
    writer.sync(&mut station).unwrap();
    writer
        .core
        .edit(records[0], &Edit::new().note("notes", "on top of it"), None)
        .unwrap();
    writer.sync(&mut station).unwrap();
    station.turn_to(&phone);
    let on_top = *station.accepted().last().unwrap();
    phone.sync(&mut station).unwrap();
    let change: [u8; 32] = phone
        .core
        .read(|tx| {
            Ok(
                tx.query_row("SELECT change_hash FROM change WHERE entry = ?1", [mine.as_bytes()], |row| {
                    row.get(0)
                })?,
            )
        })
        .unwrap();
    station.restore(kept, true);
    station.write("after");
    station.verdicts.insert(mine, refused());
    let changes = vec![Hash::from_bytes(change)];
    station.verdicts.insert(on_top, Verdict::Needs { changes });
    let (report, _) = heard(&phone, &mut station);
    let told = status(&phone.core).unwrap();
    assert_eq!((told.to_give_back, told.synced), (0, true), "{report:?}");
    let set_aside = |event: &SyncEvent| matches!(event, SyncEvent::NotTakenBack { entry, .. } if *entry == on_top);
    assert!(report.events.iter().any(set_aside), "{report:?}");
}

#[test]
fn what_is_lost_again_before_it_came_back_by_the_feed_is_given_once_more() {
    let mut station = Station::new();
    let (_, records) = written(&mut station, 3);
    let phone = Phone::enrolled(&mut station);
    phone.sync(&mut station).unwrap();
    for _ in 0..2 {
        station.restore(0, true);
        station.write("after");
        // What was given is taken in, and nothing is heard from then on.
        let mut gave = false;
        let report = phone.sync_by(|request| {
            if gave {
                return Outcome::Failed(TransportFault::TimedOut);
            }
            gave = opened(request).given.is_some();
            let leaves = station.leaves_in_reply;
            station.leaves_in_reply = if gave { 0 } else { leaves };
            let outcome = station.exchange(request);
            station.leaves_in_reply = leaves;
            outcome
        });
        assert!(gave && !report.unwrap().complete);
        assert!(!status(&phone.core).unwrap().synced);
    }
    phone.pass(3_600_000);
    let report = phone.sync(&mut station).unwrap();
    assert!(report.complete && status(&phone.core).unwrap().synced, "{report:?}");
    let third = Phone::enrolled(&mut station);
    third.sync(&mut station).unwrap();
    for record in records {
        assert_eq!(shown(&third, record), shown(&phone, record));
    }
    let noted = phone
        .core
        .read(|tx| Ok(tx.query_row("SELECT count(*) FROM give", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(noted.unwrap(), 0);
}
