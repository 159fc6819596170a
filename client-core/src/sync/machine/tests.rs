//! The machine's way through a sync: what it sends, what a broken line or a kill costs, and how far a feed goes.

use beatbook_protocol::id::Hash;
use beatbook_protocol::page::{BookPublicKey, KeyError};

use super::super::testing::{Phone, Station, opened, refuse};
use super::super::{StoreVault, status};
use super::*;

mod restored;
mod verdicts;
mod waits;

fn failed() -> Outcome {
    Outcome::Failed(TransportFault::TimedOut)
}

fn sent(step: Step) -> OutgoingRequest {
    match step {
        Step::Send(request) => request,
        other => panic!("expected a request, not {other:?}"),
    }
}

#[test]
fn a_day_goes_up_in_one_request_and_then_nothing_waits() {
    let mut station = Station::new();
    station.write("of another");
    let phone = Phone::enrolled(&mut station);
    assert!(!status(&phone.core).unwrap().synced);
    let written: Vec<Hash> = (0..20).map(|_| phone.write(100)).collect();
    let report = phone.sync(&mut station).unwrap();
    assert_eq!((report.requests, report.pages, report.entries), (1, 1, 20));
    assert_eq!((report.accepted, report.refused, report.feed_entries), (20, 0, 1));
    assert!(report.complete && report.fault.is_none());
    assert_eq!(station.accepted(), written);
    assert!(status(&phone.core).unwrap().synced);
    let idle = phone.sync(&mut station).unwrap();
    assert_eq!((idle.requests, idle.pages, idle.complete), (1, 0, true));
    phone.write(1);
    assert!(!status(&phone.core).unwrap().synced);
}

#[test]
fn a_lost_request_or_reply_costs_a_repetition_and_nothing_else() {
    for reaches in [false, true] {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let written = phone.write(10);
        let mut lost = false;
        let report = phone.sync_by(|request| {
            if std::mem::replace(&mut lost, true) {
                return station.exchange(request);
            }
            if reaches {
                station.exchange(request);
            }
            failed()
        });
        let report = report.unwrap();
        assert_eq!((report.requests, report.accepted, report.complete), (2, 1, true));
        assert_eq!(station.accepted(), [written]);
        assert_eq!(station.size(), 1);
    }
}

#[test]
fn a_phone_killed_between_request_and_reply_sends_the_same_page_again() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let first = sent(phone.machine().next(phone.now()).unwrap());
    station.exchange(&first);
    phone.write(10);
    let second = sent(phone.machine().next(phone.now()).unwrap());
    assert_eq!(opened(&second).pages[..1], opened(&first).pages[..]);
    phone.sync(&mut station).unwrap();
    assert_eq!(station.size(), 2);
}

#[test]
fn a_reply_that_comes_twice_changes_nothing() {
    let mut station = Station::new();
    station.write("of another");
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let mut machine = phone.machine();
    let reply = station.exchange(&sent(machine.next(phone.now()).unwrap()));
    machine.receive(phone.now(), reply.clone()).unwrap();
    let before = phone.core.read(sync_state::exchanged).unwrap();
    assert_eq!(machine.receive(phone.now(), reply.clone()).unwrap(), []);
    let mut machine = phone.machine();
    sent(machine.next(phone.now()).unwrap());
    machine.receive(phone.now(), reply).unwrap();
    assert_eq!(phone.core.read(sync_state::exchanged).unwrap(), before);
    let Step::Done(report) = machine.next(phone.now()).unwrap() else {
        panic!("done")
    };
    assert_eq!((report.entries, report.feed_entries), (0, 0));
    assert!(report.complete);
}

/// A keystore that is locked.
struct Locked(BookPublicKey);

impl Signer for Locked {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Refused("locked".into()))
    }

    fn public_key(&self) -> BookPublicKey {
        self.0
    }
}

impl KeyVault for Locked {
    fn store(&self, _: &str, _: &[u8; 32]) -> Result<Box<dyn Signer + Send>, SyncError> {
        Err(SyncError::KeyLost)
    }

    fn load(&self, _: &str) -> Result<Box<dyn Signer + Send>, SyncError> {
        Ok(Box::new(Self(self.0)))
    }
}

#[test]
fn a_crash_between_header_and_signature_gives_the_same_page() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let key = StoreVault(&phone.core)
        .load(&phone.core.read(sync_state::own_book).unwrap().unwrap().key_handle)
        .unwrap()
        .public_key();
    let mut locked = SyncMachine::open(&phone.core, &Locked(key), Budget::default()).unwrap();
    assert!(matches!(locked.next(phone.now()), Err(SyncError::Key(_))));
    let stored = phone.core.read(pages::unsigned).unwrap();
    phone.write(10);
    phone.pass(5_000);
    let request = opened(&sent(phone.machine().next(phone.now()).unwrap()));
    assert_eq!(request.pages[0].header, stored[0].header);
    let header = request.pages[0].header().unwrap();
    assert_eq!((header.sequence, header.entries), (0, 1));
    assert_eq!(request.pages[1].header().unwrap().sequence, 1);
    assert!(phone.sync(&mut station).unwrap().complete);
}

#[test]
fn a_page_holds_256_entries_or_128_kib() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    for _ in 0..257 {
        phone.write(10);
    }
    for _ in 0..4 {
        phone.write(50_000);
    }
    let request = opened(&sent(phone.machine().next(phone.now()).unwrap()));
    let counts: Vec<usize> = request.pages.iter().map(|page| page.entries.len()).collect();
    assert_eq!(counts, [256, 4, 1]);
    assert_eq!(phone.sync(&mut station).unwrap().accepted, 261);
}

#[test]
fn pages_are_dated_before_the_phone_learns_what_others_did() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.sync(&mut station).unwrap();
    station.write("of another");
    let mut machine = phone.machine();
    let request = sent(machine.next(phone.now()).unwrap());
    phone.write(10);
    machine.receive(phone.now(), station.exchange(&request)).unwrap();
    let next = opened(&sent(machine.next(phone.now()).unwrap()));
    assert_eq!(next.pages[0].header().unwrap().stamp.checkpoint.unwrap().size, 0);
    assert_eq!(next.cursor.unwrap().position.size, 1);
}

#[test]
fn a_long_feed_comes_in_parts_and_goes_on_where_it_stopped() {
    let mut station = Station::new();
    (0..25).for_each(|leaf| station.write(&leaf.to_string()));
    station.leaves_in_reply = 10;
    let phone = Phone::enrolled(&mut station);
    let mut machine = phone.machine();
    let request = sent(machine.next(phone.now()).unwrap());
    machine.receive(phone.now(), station.exchange(&request)).unwrap();
    assert!(!status(&phone.core).unwrap().synced);
    let report = phone.sync(&mut station).unwrap();
    assert_eq!((report.requests, report.feed_entries, report.complete), (2, 15, true));
}

#[test]
fn a_request_that_is_too_large_is_sent_in_parts() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    (0..8).for_each(|_| _ = phone.write(90_000));
    let report = phone.sync_by(|request| {
        if opened(request).pages.len() > 1 {
            return refuse(&Refusal::new(&RefusalCode::TooLarge, "too large"));
        }
        station.exchange(request)
    });
    let report = report.unwrap();
    assert_eq!((report.accepted, report.complete), (8, true));
}
