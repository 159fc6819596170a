//! Refusals of the whole request, and how long the machine waits.

use super::*;

#[test]
fn a_token_that_ran_out_is_renewed_by_a_signed_challenge() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    station.token = "token-2".into();
    let report = phone.sync(&mut station).unwrap();
    assert_eq!((report.requests, report.accepted, report.complete), (2, 1, true));
    let stubborn = phone.sync_by(|_| {
        refuse(&Refusal {
            challenge: Some(b"other".to_vec()),
            ..Refusal::new(&RefusalCode::SignIn, "no")
        })
    });
    assert_eq!(stubborn.unwrap().fault, Some(SyncFault::SignInAgain));
}

#[test]
fn a_budget_ends_a_sync_and_the_next_one_goes_on() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    (0..3).for_each(|_| _ = phone.write(90_000));
    let budget = Budget {
        bytes_up_max: 1,
        requests_max: 1,
        ..Budget::default()
    };
    let mut machine = SyncMachine::open(&phone.core, &StoreVault(&phone.core), budget).unwrap();
    let request = sent(machine.next(phone.now()).unwrap());
    assert_eq!(opened(&request).pages.len(), 1);
    machine.receive(phone.now(), station.exchange(&request)).unwrap();
    let Step::Done(report) = machine.next(phone.now()).unwrap() else {
        panic!("done")
    };
    assert_eq!((report.fault, report.complete), (Some(SyncFault::BudgetUsed), false));
    assert_eq!(phone.sync(&mut station).unwrap().accepted, 1);
    assert!(status(&phone.core).unwrap().synced);
}

#[test]
fn a_busy_station_is_left_alone_as_long_as_it_asks() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let busy = Refusal {
        retry_after_ms: Some(90_000),
        ..Refusal::new(&RefusalCode::TryLater, "busy")
    };
    let mut machine = phone.machine();
    sent(machine.next(phone.now()).unwrap());
    machine.receive(phone.now(), refuse(&busy)).unwrap();
    for step in [machine.next(phone.now()).unwrap(), phone.machine().next(phone.now()).unwrap()] {
        let Step::Wait { until, why } = step else {
            panic!("it must wait")
        };
        assert_eq!((until.since(phone.now()), why), (90_000, WaitReason::Station("busy".into())));
    }
    assert!(phone.sync(&mut station).unwrap().complete);
}

#[test]
fn a_pause_that_the_station_asks_for_is_neither_haste_nor_silence() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    for (asked, kept) in [
        (None, None),
        (Some(0), Some(1_000)),
        (Some(60_000), Some(60_000)),
        (Some(u64::MAX), Some(3_600_000)),
    ] {
        let report = phone.sync_by(|request| match station.exchange(request) {
            Outcome::Reply(packed) => {
                let mut reply: ExchangeResponse = wire::read("reply", &wire::unpack(&packed).unwrap()).unwrap();
                reply.next_ms = asked;
                Outcome::Reply(wire::pack(&reply).unwrap())
            }
            outcome => outcome,
        });
        assert_eq!(report.unwrap().ask_again_ms, kept, "{asked:?}");
    }
}

#[test]
fn a_wait_that_was_stored_under_a_clock_that_was_ahead_silences_nobody() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let year = 31_536_000_000;
    phone.pass(year);
    let busy = Refusal {
        retry_after_ms: Some(90_000),
        ..Refusal::new(&RefusalCode::TryLater, "busy")
    };
    let mut machine = phone.machine();
    sent(machine.next(phone.now()).unwrap());
    machine.receive(phone.now(), refuse(&busy)).unwrap();
    phone.pass(-year);
    for mut machine in [machine, phone.machine()] {
        sent(machine.next(phone.now()).unwrap());
    }
    assert!(phone.sync(&mut station).unwrap().complete);
}

#[test]
fn a_line_that_breaks_after_so_many_bytes_still_brings_all() {
    let mut station = Station::new();
    for leaf in 0..60_u64 {
        // Nothing that packs.
        let text: String = (0..400)
            .map(|n| Hash::of(&[&leaf.to_be_bytes(), &[n as u8; 2]]).to_string())
            .collect();
        station.write(&text);
    }
    let phone = Phone::enrolled(&mut station);
    let report = phone.sync_by(|request| match station.exchange(request) {
        Outcome::Reply(bytes) if bytes.len() > 100_000 => failed(),
        outcome => outcome,
    });
    let report = report.unwrap();
    assert_eq!((report.feed_entries, report.complete), (60, true), "{report:?}");
    assert!(status(&phone.core).unwrap().synced);
}

#[test]
fn refusals_say_what_to_do_and_keep_everything() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    for (code, fault) in [
        (RefusalCode::UnknownBook, SyncFault::UnknownBook),
        (RefusalCode::Version, SyncFault::UpgradeRequired),
    ] {
        let report = phone.sync_by(|_| refuse(&Refusal::new(&code, "no"))).unwrap();
        assert_eq!((report.requests, report.fault), (1, Some(fault)));
    }
    let report = phone
        .sync_by(|_| refuse(&Refusal::new(&RefusalCode::Malformed, "no")))
        .unwrap();
    assert!(matches!(report.fault, Some(SyncFault::Refused { .. })));
    let report = phone.sync_by(|_| failed()).unwrap();
    assert_eq!(report.requests, 4);
    assert!(matches!(report.fault, Some(SyncFault::TryLater(WaitReason::Network(_)))));
    assert_eq!(status(&phone.core).unwrap().waiting, 1);
    assert!(phone.sync(&mut station).unwrap().complete);
}
