//! What phone and station hold, and that they know whether it is the same: fills, records that leave, old copies, restored stations. The
//! station here is a small one of the tests; the real one is tried in the scenarios.

use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::wire::{ExchangeRequest, Refusal, RefusalCode, Verdict};

use crate::error::CoreError;
use crate::query::Filter;
use crate::sync::testing::{Phone, Station, opened, refuse};
use crate::sync::{Step, SyncEvent, SyncReport, status, verify};
use crate::transport::{Outcome, TransportFault};

fn address(text: &str) -> Edit {
    Edit::new().field("address", text)
}

fn shown(phone: &Phone, record: RecordId) -> Value {
    phone.core.record(record).unwrap().facts.fields["address"].clone()
}

fn count(phone: &Phone) -> usize {
    let filter = Filter {
        limit: Some(500),
        ..Filter::default()
    };
    phone.core.list(&filter).unwrap().rows.len()
}

/// A phone that wrote so many households, which the station has.
fn written(station: &mut Station, records: usize) -> (Phone, Vec<RecordId>) {
    let phone = Phone::enrolled(station);
    let records = (0..records).map(|number| phone.core.begin("household", &address(&number.to_string())).unwrap());
    let records = records.collect();
    assert!(phone.sync(station).unwrap().complete);
    (phone, records)
}

/// Syncs, and keeps what was asked.
fn heard(phone: &Phone, station: &mut Station) -> (SyncReport, Vec<ExchangeRequest>) {
    let mut asked = Vec::new();
    let report = phone.sync_by(|request| {
        asked.push(opened(request));
        station.exchange(request)
    });
    (report.unwrap(), asked)
}

#[test]
fn synced_is_said_only_when_both_digests_agree() {
    let mut station = Station::new();
    let (phone, _) = written(&mut station, 3);
    let told = status(&phone.core).unwrap();
    assert!(
        told.synced && told.agreed_at == told.contact_at && told.differs_since.is_none(),
        "{told:?}"
    );
    let (idle, asked) = heard(&phone, &mut station);
    assert_eq!((idle.requests, asked[0].digest.unwrap().records), (1, 3));
    station.lie = SetDigest {
        records: 1,
        ..SetDigest::default()
    };
    phone.pass(1_000);
    let report = phone.sync(&mut station).unwrap();
    assert!(
        report.complete && report.events.contains(&SyncEvent::DigestsDiffer),
        "{report:?}"
    );
    assert_eq!(report.requests, 4, "three rounds, and no more");
    let told = status(&phone.core).unwrap();
    assert_eq!((told.synced, told.differs_since), (false, Some(phone.now())));
    station.lie = SetDigest::default();
    phone.sync(&mut station).unwrap();
    let told = status(&phone.core).unwrap();
    assert!(told.synced && told.differs_since.is_none());
}

#[test]
fn what_waits_and_what_was_refused_is_in_no_digest() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 1);
    phone.core.edit(records[0], &address("refused"), None).unwrap();
    let before = station.pages().len();
    let report = phone.sync_by(|request| {
        let asked = opened(request);
        assert_eq!(asked.digest.unwrap().records, 1);
        let entry = beatbook_protocol::entry::identity(&asked.pages[0].entries[0]);
        station.verdicts.insert(entry, refused());
        station.exchange(request)
    });
    let report = report.unwrap();
    assert_eq!((report.requests, report.refused, station.pages().len()), (1, 1, before + 1));
    assert!(status(&phone.core).unwrap().synced, "the station does not have it either");
    assert_eq!(phone.core.refused().unwrap().len(), 1);
}

fn refused() -> Verdict {
    Verdict::Refused {
        code: "constraint".into(),
        text: "no".into(),
        state_met: None,
    }
}

#[test]
fn a_first_sync_is_usable_after_its_first_page_and_goes_on_where_the_line_broke() {
    let mut station = Station::new();
    written(&mut station, 25);
    station.fill_by = Some(4);
    let phone = Phone::enrolled(&mut station);
    let mut machine = phone.machine();
    let Step::Send(request) = machine.next(phone.now()).unwrap() else {
        panic!("a request")
    };
    machine.receive(phone.now(), station.exchange(&request)).unwrap();
    assert_eq!(count(&phone), 4);
    assert!(!status(&phone.core).unwrap().synced);
    phone
        .core
        .edit(
            phone.core.list(&Filter::default()).unwrap().rows[0].record,
            &address("mine"),
            None,
        )
        .unwrap();
    let mut lost = false;
    let mut fills = Vec::new();
    let report = phone.sync_by(|request| {
        fills.push(opened(request).cursor.unwrap().fill);
        let reply = station.exchange(request);
        lost = !lost;
        if lost {
            Outcome::Failed(TransportFault::TimedOut)
        } else {
            reply
        }
    });
    assert!(report.unwrap().complete);
    assert!(fills.iter().all(Option::is_some), "it never began anew: {fills:?}");
    assert_eq!(count(&phone), 25);
    assert!(status(&phone.core).unwrap().synced);
}

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
fn a_record_that_left_goes_once_the_station_has_what_was_written_on_it() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 3);
    phone.core.edit(records[0], &address("written before he knew"), None).unwrap();
    station.leave(records[0]);
    let (report, asked) = heard(&phone, &mut station);
    assert_eq!(asked[0].pages.len(), 1, "his work goes up first");
    let left = SyncEvent::LeftScope {
        record: records[0],
        is_kept: false,
    };
    assert!(report.events.contains(&left), "{report:?}");
    assert!(matches!(phone.core.record(records[0]), Err(CoreError::UnknownRecord(_))));
    assert_eq!(count(&phone), 2);
    let kept = phone.core.read(|tx| {
        let sql = "SELECT (SELECT count(*) FROM change WHERE record = ?1) + (SELECT count(*) FROM snapshot WHERE record = ?1),
                   (SELECT count(*) FROM outbox WHERE record = ?1)";
        Ok(tx.query_row(sql, [records[0].as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?)
    });
    assert_eq!(
        kept.unwrap(),
        (0, 2),
        "nothing of it is here but what the station has in no backup yet"
    );
    assert!(status(&phone.core).unwrap().synced);
    assert_eq!(heard(&phone, &mut station).0.requests, 1);
}

#[test]
fn a_record_that_left_stays_as_long_as_own_work_hangs_on_it_and_takes_no_more() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 3);
    let mut draft = phone.core.draft_begin("household", Some(records[0])).unwrap();
    draft.edit = address("half a word");
    phone.core.draft_save(&draft).unwrap();
    phone.core.edit(records[1], &address("refused"), None).unwrap();
    station.leave(records[0]);
    station.leave(records[1]);
    let report = phone.sync_by(|request| {
        for entry in opened(request).pages.iter().flat_map(|page| &page.entries) {
            station.verdicts.insert(beatbook_protocol::entry::identity(entry), refused());
        }
        station.exchange(request)
    });
    let kept = |record| SyncEvent::LeftScope { record, is_kept: true };
    let events = report.unwrap().events;
    assert!(
        events.contains(&kept(records[0])) && events.contains(&kept(records[1])),
        "{events:?}"
    );
    let told = status(&phone.core).unwrap();
    assert_eq!(told.left.len(), 2);
    assert!(told.synced, "what left is in no digest: {told:?}");
    for met in [
        phone.core.edit(records[0], &address("more"), None).map(drop),
        phone.core.draft_commit(draft.id).map(drop),
    ] {
        assert!(matches!(met, Err(CoreError::LeftScope(of)) if of == records[0]), "{met:?}");
    }
    phone.core.draft_drop(draft.id).unwrap();
    phone.core.dismiss(&phone.core.refused().unwrap()[0].entry).unwrap();
    let events = phone.sync(&mut station).unwrap().events;
    for record in &records[..2] {
        let gone = SyncEvent::LeftScope {
            record: *record,
            is_kept: false,
        };
        assert!(events.contains(&gone), "{events:?}");
    }
    assert_eq!((count(&phone), status(&phone.core).unwrap().left.len()), (1, 0));
}

#[test]
fn a_record_that_left_and_comes_back_is_as_it_was_with_the_work_on_it() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 2);
    let mut draft = phone.core.draft_begin("household", Some(records[0])).unwrap();
    draft.edit = address("half a word");
    phone.core.draft_save(&draft).unwrap();
    station.leave(records[0]);
    station.leave(records[1]);
    phone.sync(&mut station).unwrap();
    assert_eq!((count(&phone), status(&phone.core).unwrap().left), (1, vec![records[0]]));
    station.enter(records[0]);
    station.enter(records[1]);
    phone.sync(&mut station).unwrap();
    let told = status(&phone.core).unwrap();
    assert!(told.synced && told.left.is_empty(), "{told:?}");
    assert_eq!(shown(&phone, records[1]), Value::from("1"));
    phone.core.draft_commit(draft.id).unwrap();
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(shown(&phone, records[0]), Value::from("half a word"));
}

#[test]
fn a_record_that_was_damaged_here_is_found_by_a_comparison_and_sent_whole() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 40);
    let damage = |sql: &str| {
        phone
            .core
            .write(|records| Ok::<_, crate::error::Fault>(records.tx().execute_batch(sql)?))
            .unwrap()
    };
    damage("DELETE FROM change WHERE n IN (SELECT n FROM change ORDER BY n LIMIT 2); DELETE FROM outbox WHERE 0");
    assert!(phone.sync(&mut station).unwrap().complete, "the sum does not show it");
    verify(&phone.core).unwrap();
    let (report, asked) = heard(&phone, &mut station);
    assert!(
        asked[0].buckets.is_some() && asked[1].wanted.as_ref().unwrap().len() == 2,
        "{report:?}"
    );
    assert_eq!(report.requests, 2);
    assert!(status(&phone.core).unwrap().synced);
    assert_eq!(shown(&phone, records[0]), Value::from("0"));
    assert!(heard(&phone, &mut station).1[0].buckets.is_none(), "once is enough");
    // A sum that is wrong without a record being so is counted anew.
    damage("UPDATE digest SET records = records + 7");
    let report = phone.sync(&mut station).unwrap();
    assert!(!report.events.contains(&SyncEvent::DigestsDiffer), "{report:?}");
    assert!(status(&phone.core).unwrap().synced);
}

#[test]
fn all_records_are_compared_once_a_week() {
    let mut station = Station::new();
    let (phone, _) = written(&mut station, 2);
    let mut compared = Vec::new();
    for _ in 0..16 {
        phone.pass(86_400_000);
        let (report, asked) = heard(&phone, &mut station);
        assert_eq!(report.requests, 1);
        compared.push(asked[0].buckets.is_some());
    }
    assert_eq!(compared.iter().filter(|compared| **compared).count(), 2, "{compared:?}");
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
fn what_an_older_app_could_not_read_is_read_again_by_a_newer_one() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 2);
    // As an older app would have left it: one entry unread, one refused by its guard, and no digest of either.
    phone
        .core
        .write(|records| {
            let sql = "UPDATE reader SET app = 'older'; UPDATE digest SET records = 0;
                       UPDATE change SET status = 3, code = 'newer', text = 'newer' WHERE n = (SELECT max(n) FROM change);
                       INSERT INTO unread (entry, bytes, book, leaf, position, why)
                       SELECT o.entry, o.bytes, c.book, c.leaf, c.position, 'newer' FROM outbox o JOIN change c ON c.entry = o.entry
                       WHERE c.n = (SELECT min(n) FROM change);
                       DELETE FROM change WHERE n = (SELECT min(n) FROM change)";
            Ok::<_, crate::error::Fault>(records.tx().execute_batch(sql)?)
        })
        .unwrap();
    let phone = phone.copy();
    for (number, record) in records.iter().enumerate() {
        assert_eq!(shown(&phone, *record), Value::from(number.to_string()));
        assert_eq!(phone.core.record(*record).unwrap().row.unreadable, None);
    }
    let (report, _) = heard(&phone, &mut station);
    assert_eq!(report.requests, 1);
    assert!(status(&phone.core).unwrap().synced);
}
