//! What the phone makes of the station's certificate: which word about its keys it keeps, and what a sync does that meets a stranger. The handshakes
//! themselves are tried in the scenarios.

use beatbook_protocol::id::Hash;
use beatbook_protocol::ledger::StationKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Invitation, PinsOffer};

use crate::sync::testing::{Phone, Station};
use crate::sync::{EnrolError, Enrolment, StoreVault, SyncFault, is_enrolled, pins, scanned, status};
use crate::transport::{Mistrust, Outcome, TransportFault, Trust};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn key(of: u8) -> Hash {
    Hash::from_bytes([of; 32])
}

fn said(station: &mut Station, at: UnixMillis, keys: &[Hash]) {
    station.pins = Some(PinsOffer::sign(keys, "beatbook/test", at, &station.key));
}

#[test]
fn only_a_newer_word_of_the_station_about_its_keys_is_kept() {
    let mut station = Station::new();
    let silent = Phone::enrolled(&mut station);
    assert_eq!(pins(&silent.core).unwrap(), None);
    assert!(silent.sync(&mut station).unwrap().complete);
    assert_eq!(pins(&silent.core).unwrap(), None);

    let phone = Phone::new();
    let noon = phone.now();
    said(&mut station, noon, &[key(1), key(2)]);
    let phone = Phone::enrolled(&mut station);
    assert_eq!(pins(&phone.core).unwrap(), Some(vec![key(1), key(2)]), "with the enrolment");
    let mut hear = |at, keys: &[Hash]| {
        said(&mut station, at, keys);
        station.write("moves the ledger");
        phone.sync(&mut station).unwrap();
        pins(&phone.core).unwrap()
    };
    assert_eq!(hear(noon.plus(1), &[key(2), key(3)]), Some(vec![key(2), key(3)]));
    assert_eq!(
        hear(noon, &[key(1), key(2)]),
        Some(vec![key(2), key(3)]),
        "an old word, played back"
    );
    assert_eq!(hear(noon.plus(2), &[]), Some(vec![]), "the roots alone");
    assert_eq!(
        hear(noon.plus(30 * DAY_MS), &[key(4)]),
        Some(vec![key(4)]),
        "under a clock that was ahead"
    );
    assert_eq!(hear(noon.plus(3), &[key(5)]), Some(vec![key(5)]), "the clock was set right");
}

#[test]
fn what_somebody_scans_replaces_what_was_announced_and_a_newer_word_replaces_that() {
    let mut station = Station::new();
    let noon = Phone::new().now();
    said(&mut station, noon, &[key(1), key(2)]);
    let phone = Phone::enrolled(&mut station);
    let text = |pins| Trust::default().holding_to(Some(pins));
    scanned(&phone.core, &text(vec![key(8)])).unwrap();
    assert_eq!(pins(&phone.core).unwrap(), Some(vec![key(8)]));
    let mut hear = |at, keys: &[Hash]| {
        said(&mut station, at, keys);
        station.write("moves the ledger");
        phone.sync(&mut station).unwrap();
        pins(&phone.core).unwrap()
    };
    assert_eq!(
        hear(noon, &[key(1), key(2)]),
        Some(vec![key(8)]),
        "the word of before, played back"
    );
    assert_eq!(hear(noon.plus(1), &[key(8), key(9)]), Some(vec![key(8), key(9)]));
    scanned(&phone.core, &text(Vec::new())).unwrap();
    assert_eq!(
        pins(&phone.core).unwrap(),
        Some(Vec::new()),
        "a text without keys leaves it to its roots"
    );

    let silent = Phone::enrolled(&mut Station::new());
    scanned(&silent.core, &text(vec![key(8)])).unwrap();
    assert_eq!(
        pins(&silent.core).unwrap(),
        None,
        "nothing was announced: the text itself holds"
    );
}

#[test]
fn a_word_about_keys_that_the_station_did_not_sign_is_not_believed() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let thief = StationKey::from_bytes(&[66; 32]);
    let forged = PinsOffer::sign(&[key(9)], "beatbook/test", phone.now(), &thief);
    station.pins = Some(forged);
    station.write("moves the ledger");
    let fault = phone.sync(&mut station).unwrap_err().to_string();
    assert!(fault.contains("keys are not signed"), "{fault}");
    assert_eq!(pins(&phone.core).unwrap(), None);
    station.pins = None;
    assert!(phone.sync(&mut station).unwrap().complete, "nothing of that reply was kept");
}

#[test]
fn an_invitation_that_is_scanned_for_an_enrolment_already_begun_is_held_to() {
    let mut station = Station::new();
    let phone = Phone::new();
    Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code", "test").unwrap();
    let invitation = Invitation {
        address: None,
        code: "code".into(),
        origin: "beatbook/other".into(),
        fingerprint: [7; 16],
    };
    let scanned = Enrolment::begin_by(&phone.core, &StoreVault(&phone.core), &invitation, "test", None).unwrap();
    let outcome = station.enrol(&scanned.request());
    assert!(matches!(scanned.finish(&phone.core, outcome), Err(EnrolError::OtherStation)));
    // The code alone takes nothing back.
    let typed = Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code", "test").unwrap();
    let outcome = station.enrol(&typed.request());
    assert!(matches!(typed.finish(&phone.core, outcome), Err(EnrolError::OtherStation)));
    assert!(!is_enrolled(&phone.core).unwrap());
}

#[test]
fn a_sync_that_meets_a_stranger_ends_at_once_and_keeps_what_waits() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    for why in [Mistrust::OtherKey, Mistrust::OtherIssuer, Mistrust::Dates, Mistrust::NoTls] {
        let report = phone
            .sync_by(|_| Outcome::Failed(TransportFault::Untrusted(why.clone())))
            .unwrap();
        assert_eq!((report.requests, report.fault), (1, Some(SyncFault::Untrusted(why.clone()))));
        let status = status(&phone.core).unwrap();
        assert_eq!((status.waiting, status.synced), (1, false));
        assert!(status.fault.unwrap().1.contains(&why.to_string()));
    }
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(status(&phone.core).unwrap().fault, None);
}
