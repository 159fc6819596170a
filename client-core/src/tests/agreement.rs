//! What phone and station hold, and that they know whether it is the same: fills, records that leave, old copies, restored stations. The
//! station here is a small one of the tests; the real one is tried in the scenarios.

use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::wire::{ExchangeRequest, Verdict};

use crate::query::Filter;
use crate::store::write::ActOrder;
use crate::sync::testing::{Phone, Station, opened};
use crate::sync::{Step, SyncEvent, SyncReport, status, verify};
use crate::transport::{Outcome, TransportFault};

pub(super) fn address(text: &str) -> Edit {
    Edit::new().field("address", text)
}

pub(super) fn shown(phone: &Phone, record: RecordId) -> Value {
    phone.core.record(record).unwrap().facts.fields["address"].clone()
}

pub(super) fn count(phone: &Phone) -> usize {
    let filter = Filter {
        limit: Some(500),
        ..Filter::default()
    };
    phone.core.list(&filter).unwrap().rows.len()
}

/// A phone that wrote so many households, which the station has.
pub(super) fn written(station: &mut Station, records: usize) -> (Phone, Vec<RecordId>) {
    let phone = Phone::enrolled(station);
    let records = (0..records).map(|number| phone.core.begin("household", &address(&number.to_string())).unwrap());
    let records = records.collect();
    assert!(phone.sync(station).unwrap().complete);
    (phone, records)
}

/// Syncs, and keeps what was asked.
pub(super) fn heard(phone: &Phone, station: &mut Station) -> (SyncReport, Vec<ExchangeRequest>) {
    let mut asked = Vec::new();
    let report = phone.sync_by(|request| {
        asked.push(opened(request));
        station.exchange(request)
    });
    (report.unwrap(), asked)
}

pub(super) fn refused() -> Verdict {
    Verdict::Refused {
        code: "constraint".into(),
        text: "no".into(),
        state_met: None,
    }
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
fn an_older_act_that_is_missing_here_is_found_behind_a_newer_one() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let visit = phone.core.begin("visit", &Edit::new().field("outcome", "done")).unwrap();
    for text in ["first", "second"] {
        let version = phone.core.record(visit).unwrap().row.version;
        let order = ActOrder {
            code: "comment".into(),
            comment: Some(text.into()),
            values: vec![],
            version,
        };
        phone.core.act(visit, &order).unwrap();
    }
    assert!(phone.sync(&mut station).unwrap().complete);
    let said = || -> Vec<Option<String>> {
        let acts = phone.core.record(visit).unwrap().acts;
        acts.into_iter().map(|act| act.comment).collect()
    };
    let sql = "DELETE FROM act WHERE n = (SELECT min(n) FROM act)";
    phone
        .core
        .write(|records| Ok::<_, crate::error::Fault>(records.tx().execute_batch(sql)?))
        .unwrap();
    assert_eq!(said(), [Some("second".to_owned())]);
    verify(&phone.core).unwrap();
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(said(), [Some("first".to_owned()), Some("second".to_owned())]);
    assert!(status(&phone.core).unwrap().synced);
}

#[test]
fn a_comparison_goes_on_for_as_long_as_it_mends_something() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 8);
    let sql = "DELETE FROM change; DELETE FROM outbox WHERE 0";
    phone
        .core
        .write(|records| Ok::<_, crate::error::Fault>(records.tx().execute_batch(sql)?))
        .unwrap();
    station.buckets_in_reply = 1;
    verify(&phone.core).unwrap();
    let report = phone.sync(&mut station).unwrap();
    assert!(!report.events.contains(&SyncEvent::DigestsDiffer), "{report:?}");
    assert!(status(&phone.core).unwrap().synced, "{report:?}");
    assert!(report.requests > 6, "a bucket a round: {report:?}");
    assert_eq!(shown(&phone, records[7]), Value::from("7"));
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
