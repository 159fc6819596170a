//! Parcels between two phones and a station that keeps its ledger in memory.

use beatbook_protocol::limits::PARCELS_CARRIED_MAX;
use beatbook_protocol::parcel::{Answer, AnswerContent, Parcel, ParcelFault};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Receipt, Verdict, receipt_root};

use super::*;
use crate::store::sync_state;
use crate::sync::testing::{Phone, Station};
use crate::sync::{StoreVault, SyncReport, WaitingBecause, status};
use crate::transport::{Outcome, TransportFault};

/// A carrier, an author who has synced once, and their station.
fn post() -> (Station, Phone, Phone) {
    let mut station = Station::new();
    let carrier = Phone::enrolled(&mut station);
    let author = Phone::enrolled(&mut station);
    author.sync(&mut station).unwrap();
    (station, carrier, author)
}

fn packed(author: &Phone) -> Vec<ParcelMade> {
    make(&author.core, &StoreVault(&author.core), 0).unwrap()
}

fn delivered(carrier: &Phone, station: &mut Station) -> Deliveries {
    let mut delivery = Delivery::open(&carrier.core).unwrap();
    while let Some(request) = delivery.next_request().unwrap() {
        let outcome = station.deliver(&request);
        delivery.receive(carrier.now(), outcome).unwrap();
    }
    delivery.report()
}

/// Carries a parcel to the station and its answer home.
fn round(author: &Phone, carrier: &Phone, station: &mut Station, parcel: &ParcelMade) -> AnswerTaken {
    carry_in(&carrier.core, &parcel.file).unwrap();
    delivered(carrier, station);
    let answer = carry_out(&carrier.core, parcel.parcel).unwrap();
    take_answer(&author.core, &answer).unwrap()
}

fn fault(result: Result<AnswerTaken, ParcelError>) -> ParcelFault {
    match result {
        Err(ParcelError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_waits_goes_along_in_a_parcel_and_its_verdicts_come_home() {
    let (mut station, carrier, author) = post();
    let entries = [author.write(10), author.write(20)];
    let refused = Verdict::Refused {
        code: "forbidden".into(),
        text: "no".into(),
        state_met: None,
    };
    station.verdicts.insert(entries[1], refused);
    let cursor = author.core.read(sync_state::exchanged).unwrap().cursor;
    let made = packed(&author);
    assert_eq!((made.len(), made[0].entries), (1, 2));
    assert_eq!(status(&author.core).unwrap().parcels.unanswered, 1);
    assert!(!carry_in(&carrier.core, &made[0].file).unwrap().already);
    assert!(carry_in(&carrier.core, &made[0].file).unwrap().already);
    assert!(matches!(
        carry_out(&carrier.core, made[0].parcel),
        Err(ParcelError::NotAnswered(_))
    ));
    assert_eq!(status(&carrier.core).unwrap().parcels.waiting, 1);
    assert_eq!(delivered(&carrier, &mut station).delivered, 1);
    assert_eq!(status(&carrier.core).unwrap().parcels.answered, 1);
    assert_eq!(
        delivered(&carrier, &mut station),
        Deliveries::default(),
        "nothing is delivered twice"
    );
    let answer = carry_out(&carrier.core, made[0].parcel).unwrap();
    let counts = status(&carrier.core).unwrap().parcels;
    assert_eq!((counts.carried, counts.answered, counts.handed), (1, 0, 1));

    let taken = take_answer(&author.core, &answer).unwrap();
    assert_eq!((taken.pages, taken.entries, taken.accepted, taken.refused), (1, 2, 1, 1));
    assert!(!taken.already && taken.events.len() == 1, "{:?}", taken.events);
    let after = status(&author.core).unwrap();
    assert_eq!((after.waiting, after.parcels.unanswered), (0, 0));
    assert_eq!(
        author.core.read(sync_state::exchanged).unwrap().cursor,
        cursor,
        "nothing of the feed came along"
    );
    let again = take_answer(&author.core, &answer).unwrap();
    let nothing = AnswerTaken {
        already: true,
        ..AnswerTaken::default()
    };
    assert_eq!(again, nothing);
    assert_eq!(station.accepted(), entries[..1]);
}

#[test]
fn what_lacked_something_that_came_in_the_same_parcel_goes_into_the_next() {
    let (mut station, carrier, author) = post();
    let (waits, other) = (author.write(10), author.write(10));
    station.verdicts.insert(waits, Verdict::Needs { changes: vec![other] });
    let made = packed(&author);
    assert_eq!(round(&author, &carrier, &mut station, &made[0]).accepted, 1);
    station.verdicts.clear();
    let made = packed(&author);
    assert_eq!(round(&author, &carrier, &mut station, &made[0]).accepted, 1);
    assert_eq!(station.accepted(), [other, waits]);
}

#[test]
fn an_author_who_synced_meanwhile_loses_nothing_and_doubles_nothing() {
    let (mut station, carrier, author) = post();
    let entries = [author.write(10), author.write(20)];
    let made = packed(&author);
    // Online first, the parcel after: the station says the same again.
    let report: SyncReport = author.sync(&mut station).unwrap();
    assert_eq!(report.accepted, 2);
    let taken = round(&author, &carrier, &mut station, &made[0]);
    assert_eq!((taken.pages, taken.already), (0, false));
    // The parcel first, online before the answer came home.
    let third = author.write(30);
    let made = packed(&author);
    carry_in(&carrier.core, &made[0].file).unwrap();
    delivered(&carrier, &mut station);
    assert_eq!(author.sync(&mut station).unwrap().accepted, 1);
    let answer = carry_out(&carrier.core, made[0].parcel).unwrap();
    assert_eq!(take_answer(&author.core, &answer).unwrap().pages, 0);
    assert_eq!(station.accepted(), [entries[0], entries[1], third]);
    assert!(status(&author.core).unwrap().synced);
    // Answered and in a backup: the pages have left, and the answer is harmless still.
    station.backed_up_to = Some(station.size() as u64);
    station.write("of another");
    author.sync(&mut station).unwrap();
    let again = take_answer(&author.core, &answer).unwrap();
    assert!(again.already && again.pages == 0);
}

#[test]
fn much_that_waits_goes_into_several_parcels_that_may_come_in_any_order() {
    let (mut station, carrier, author) = post();
    let mut written = Vec::new();
    for _ in 0..700 {
        written.push(author.write(4_000));
    }
    let made = packed(&author);
    assert!(made.len() >= 2, "{} parcel(s)", made.len());
    for parcel in made.iter().rev() {
        carry_in(&carrier.core, &parcel.file).unwrap();
    }
    let report = delivered(&carrier, &mut station);
    assert_eq!(report.delivered, made.len() as u64);
    assert!(
        u64::from(report.requests) > report.delivered,
        "the later one came too early at first"
    );
    for parcel in made.iter().rev() {
        let answer = carry_out(&carrier.core, parcel.parcel).unwrap();
        take_answer(&author.core, &answer).unwrap();
    }
    assert_eq!(status(&author.core).unwrap().waiting, 0);
    assert_eq!(station.accepted(), written);
}

#[test]
fn a_carrier_takes_whole_parcels_of_its_station_alone_and_a_bounded_number() {
    let (mut station, carrier, author) = post();
    author.write(10);
    let made = packed(&author);
    let file = &made[0].file;
    for cut in [0, 7, file.len() / 2, file.len() - 1] {
        let refused = carry_in(&carrier.core, &file[..cut]);
        assert!(
            matches!(refused, Err(ParcelError::Fault(ParcelFault::Unreadable(_)))),
            "{refused:?}"
        );
    }
    let mut elsewhere = Parcel::parse(file).unwrap();
    elsewhere.origin = "beatbook/elsewhere".into();
    let elsewhere = [b"BBPARCEL".as_slice(), &beatbook_protocol::codec::to_bytes(&elsewhere)].concat();
    let refused = carry_in(&carrier.core, &elsewhere);
    assert!(matches!(refused, Err(ParcelError::Fault(ParcelFault::OtherStation(_)))));
    for _ in 0..PARCELS_CARRIED_MAX {
        carry_in(&carrier.core, &packed(&author)[0].file).unwrap();
    }
    let one_more = packed(&author);
    let refused = carry_in(&carrier.core, &one_more[0].file);
    assert!(matches!(refused, Err(ParcelError::TooMany(PARCELS_CARRIED_MAX))));
    // What was handed back makes room; what was not stays.
    delivered(&carrier, &mut station);
    let first = carried(&carrier.core).unwrap()[0].parcel;
    carry_out(&carrier.core, first).unwrap();
    carry_in(&carrier.core, &one_more[0].file).unwrap();
    let here = carried(&carrier.core).unwrap();
    assert_eq!(here.len(), PARCELS_CARRIED_MAX);
    assert!(here.iter().all(|view| view.parcel != first));
    put_down(&carrier.core, here[0].parcel).unwrap();
    assert!(matches!(
        put_down(&carrier.core, here[0].parcel),
        Err(ParcelError::Unknown(_))
    ));
}

#[test]
fn a_parcel_that_is_refused_says_why_and_one_that_got_no_answer_waits() {
    let (mut station, carrier, author) = post();
    author.write(10);
    let made = packed(&author);
    let mut changed = made[0].file.clone();
    *changed.last_mut().unwrap() ^= 1;
    let bad = carry_in(&carrier.core, &changed).unwrap().parcel;
    carry_in(&carrier.core, &made[0].file).unwrap();
    let mut delivery = Delivery::open(&carrier.core).unwrap();
    delivery.next_request().unwrap().unwrap();
    delivery
        .receive(carrier.now(), Outcome::Failed(TransportFault::TimedOut))
        .unwrap();
    assert_eq!(
        delivery.next_request().unwrap(),
        None,
        "the line is down: the next sync tries again"
    );
    assert_eq!(status(&carrier.core).unwrap().parcels.waiting, 2);
    let report = delivered(&carrier, &mut station);
    assert_eq!((report.delivered, report.refused), (1, 1));
    let refused = carry_out(&carrier.core, bad);
    assert!(
        matches!(&refused, Err(ParcelError::Refused { code, .. }) if code == "parcel_sealed"),
        "{refused:?}"
    );
    assert!(carry_out(&carrier.core, made[0].parcel).is_ok(), "a bad one stops no other");
    assert_eq!(status(&author.core).unwrap().why, Some(WaitingBecause::NotSentYet));
}

#[test]
fn an_answer_is_taken_from_the_station_for_an_own_parcel_and_a_living_ledger_alone() {
    let (mut station, carrier, author) = post();
    author.write(10);
    let made = packed(&author);
    carry_in(&carrier.core, &made[0].file).unwrap();
    delivered(&carrier, &mut station);
    let answer = carry_out(&carrier.core, made[0].parcel).unwrap();
    let other = take_answer(&carrier.core, &answer);
    assert!(matches!(other, Err(ParcelError::NotOurs)), "{other:?}");
    assert!(matches!(
        fault(take_answer(&author.core, &answer[..50])),
        ParcelFault::Unreadable(_)
    ));
    let mut changed = answer.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(fault(take_answer(&author.core, &changed)), ParcelFault::Sealed);
    assert_eq!(status(&author.core).unwrap().waiting, 1, "nothing of that was believed");

    // The station loses what it has answered, and says so to the author before the answer comes home.
    let lost = station.size();
    station.restore(lost - 1, true);
    author.sync(&mut station).unwrap();
    let late = author.write(20);
    assert!(matches!(take_answer(&author.core, &answer), Err(ParcelError::Stale)));
    author.sync(&mut station).unwrap();
    assert_eq!(station.accepted().last(), Some(&late));
    assert_eq!(station.accepted().len(), 2);
}

#[test]
fn an_answer_of_nobodys_station_settles_nothing() {
    let (station, _, author) = post();
    author.write(10);
    let made = packed(&author);
    let opened = Parcel::parse(&made[0].file)
        .unwrap()
        .open("beatbook/test", &station.sealing)
        .unwrap();
    let author_key = opened.verify(&station.book_key()).unwrap().answer_key;
    let forger = beatbook_protocol::ledger::StationKey::from_bytes(&[66; 32]);
    let said = AnswerContent {
        parcel: made[0].parcel,
        server_time: UnixMillis(1),
        answers: Vec::new(),
        receipt: Receipt::sign(receipt_root(&[], &[], &[]), &forger),
        checkpoint: String::new(),
        backed_up_to: None,
        blobs: None,
    };
    let to = beatbook_protocol::parcel::SealingPublicKey::from_bytes(author_key);
    let forged = Answer::seal(&said, "beatbook/test", &forger, &to, &[1; 32]).unwrap();
    assert_eq!(fault(take_answer(&author.core, &forged)), ParcelFault::Signature);
    assert_eq!(status(&author.core).unwrap().waiting, 1);
}

#[test]
fn nothing_to_send_and_no_key_yet_are_said() {
    let mut station = Station::new();
    station.tells_sealing_key = false;
    let phone = Phone::enrolled(&mut station);
    let tried = make(&phone.core, &StoreVault(&phone.core), 0);
    assert!(matches!(tried, Err(ParcelError::NoKey)), "{tried:?}");
    station.tells_sealing_key = true;
    phone.sync(&mut station).unwrap();
    let tried = make(&phone.core, &StoreVault(&phone.core), 0);
    assert!(matches!(tried, Err(ParcelError::Nothing)), "{tried:?}");
    phone.write(10);
    assert_eq!(packed(&phone).len(), 1);
}
