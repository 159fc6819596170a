//! Enrolments whose answer is lost, whose code is refused, and that follow upon another.

use beatbook_protocol::wire::{self, EnrolRequest, Refusal, RefusalCode};

use crate::sync::testing::{Phone, Station, refuse};
use crate::sync::{Budget, EnrolError, Enrolment, Step, StoreVault, SyncError, SyncMachine};
use crate::transport::{Outcome, TransportFault};

#[test]
fn an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key() {
    let mut station = Station::new();
    let phone = Phone::new();
    assert!(matches!(
        SyncMachine::open(&phone.core, &StoreVault(&phone.core), Budget::default()),
        Err(SyncError::NotEnrolled)
    ));
    let begin = || Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code", "test").unwrap();
    let first = begin();
    station.enrol(&first.request());
    first
        .clone()
        .finish(&phone.core, Outcome::Failed(TransportFault::TimedOut))
        .unwrap_err();
    let second = begin();
    assert_eq!(second.request(), first.request());
    let enrolled = second.finish(&phone.core, station.enrol(&first.request())).unwrap();
    assert_eq!(enrolled.station, "Test");
    phone.write(10);
    assert!(phone.sync(&mut station).unwrap().complete);
}

#[test]
fn a_phone_whose_code_was_refused_begins_another_book() {
    let mut station = Station::new();
    let phone = Phone::new();
    let begin = |code: &str| Enrolment::begin(&phone.core, &StoreVault(&phone.core), code, "test").unwrap();
    let book = |enrolment: &Enrolment| {
        let bytes = wire::unpack(&enrolment.request().body).unwrap();
        wire::read::<EnrolRequest>("enrolment request", &bytes).unwrap().book
    };
    // Its answer is lost, and the chief ends that book before the phone has heard of it.
    let lost = begin("code");
    lost.clone()
        .finish(&phone.core, Outcome::Failed(TransportFault::TimedOut))
        .unwrap_err();
    let again = begin("code-2");
    assert_eq!(book(&again), book(&lost));
    let outcome = refuse(&Refusal::new(&RefusalCode::EnrolmentCode, "used"));
    assert!(matches!(again.finish(&phone.core, outcome), Err(EnrolError::Code(_))));
    let anew = begin("code-2");
    assert_ne!(book(&anew), book(&lost));
    let outcome = station.enrol(&anew.request());
    assert_eq!(anew.clone().finish(&phone.core, outcome).unwrap().book, book(&anew));
    phone.write(10);
    assert!(phone.sync(&mut station).unwrap().complete);
}

#[test]
fn a_phone_that_is_enrolled_again_takes_along_what_the_old_book_could_not_deliver() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let written = phone.write(10);
    assert!(matches!(phone.machine().next(phone.now()).unwrap(), Step::Send(_)));
    let enrolment = Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code-2", "test").unwrap();
    let outcome = station.enrol(&enrolment.request());
    enrolment.finish(&phone.core, outcome).unwrap();
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(station.accepted(), [written]);
}
