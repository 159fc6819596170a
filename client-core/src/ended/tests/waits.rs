//! What a parting waits for and what it does not: a full station, a patrol that was going on, a key that is gone.

use beatbook_protocol::document::Edit;
use beatbook_protocol::track::{Fix, Source};

use super::*;
use crate::store::{ended as rows, pages, patrols};
use crate::sync::{EnrolError, Enrolment, WaitReason, status};

fn no_room(step: &PartingStep) -> bool {
    matches!(step, PartingStep::Later(WaitReason::Station(why)) if why.contains("no room"))
}

#[test]
fn what_the_station_could_not_hold_and_what_was_being_typed_is_counted_as_lost() {
    let (phone, mut ending) = told("retired");
    (ending.room, ending.code) = (1, "unreadable");
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    let said = last_word(&phone, &mut ending).note;
    assert_eq!((said.held_pages, said.held_entries + said.lost_entries), (1, 300));
    assert!(said.lost_entries > 0 && said.held_entries > 0, "{said:?}");
}

#[test]
fn a_lost_phone_without_a_network_parts_after_a_day_and_one_in_good_hands_waits() {
    let failed = || Outcome::Failed(TransportFault::TimedOut);
    for (why, parts) in [("lost", true), ("blocked", true), ("retired", false), ("transferred", false)] {
        let (phone, _) = told(why);
        assert!(matches!(handed_in(&phone, |_| failed()), PartingStep::Later(_)), "{why}");
        assert!(matches!(handed_in(&phone, unknown), PartingStep::Later(_)), "{why}");
        phone.pass(DAY_MS);
        let step = handed_in(&phone, |_| failed());
        assert_eq!(matches!(step, PartingStep::Ready), parts, "{why}");
        if parts {
            let said = word_of(&phone.core, phone.now(), |_| failed()).note;
            assert_eq!((said.held_pages, said.held_entries, said.lost_entries), (0, 0, 300));
        }
    }
}

#[test]
fn a_lost_phone_that_finds_the_network_after_days_hands_in_first() {
    let (phone, mut ending) = told("lost");
    phone.pass(3 * DAY_MS);
    // The station is busy at first: that is not yet the end of its day.
    let mut is_busy = true;
    let step = handed_in(&phone, |request| {
        if std::mem::take(&mut is_busy) {
            return refuse(&Refusal::new(&RefusalCode::TryLater, "later"));
        }
        ending.exchange(request)
    });
    assert_eq!(step, PartingStep::Ready);
    assert!(!ending.held.is_empty(), "what it wrote was handed in");
    let said = last_word(&phone, &mut ending).note;
    assert_eq!((said.held_entries, said.lost_entries), (300, 0));
}

#[test]
fn a_station_that_answers_an_ended_phone_as_ever_or_holds_nothing_makes_it_lose_nothing() {
    let (phone, ending) = told("lost");
    let mut parting = Parting::open(&phone.core, &StoreVault(&phone.core)).unwrap().unwrap();
    let PartingStep::Send(_) = parting.next(phone.now()).unwrap() else {
        panic!("something waits")
    };
    let plain = ExchangeResponse::plain(UnixMillis(9), beginning());
    let reply = Outcome::Reply(wire::pack(&plain).unwrap());
    assert!(matches!(parting.receive(phone.now(), reply), Err(SyncError::Reply(_))));
    let idle = ExchangeResponse {
        wipe: Some(ending.order()),
        ..plain
    };
    let step = handed_in(&phone, |_| Outcome::Reply(wire::pack(&idle).unwrap()));
    assert!(matches!(step, PartingStep::Later(_)), "{step:?}");
}

#[test]
fn what_the_station_has_no_room_for_waits_here_until_it_has() {
    let (phone, mut ending) = told("retired");
    ending.room = 1;
    let step = handed_in(&phone, |request| ending.exchange(request));
    assert!(no_room(&step), "{step:?}");
    phone.pass(2 * DAY_MS);
    assert!(
        no_room(&handed_in(&phone, |request| ending.exchange(request))),
        "for as long as it takes"
    );
    assert_eq!(ending.held.len(), 1);
    // The next start offers all of it again.
    ending.room = usize::MAX;
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    let said = last_word(&phone, &mut ending).note;
    assert_eq!((said.held_entries, said.lost_entries), (300, 0));
}

#[test]
fn a_station_that_was_restored_to_before_it_held_anything_is_given_it_again() {
    let (phone, mut ending) = told("retired");
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    let all = std::mem::take(&mut ending.held);
    assert!(!all.is_empty());
    // It has no room for it any more: then this phone is the only one that has it.
    ending.room = 0;
    assert!(no_room(&handed_in(&phone, |request| ending.exchange(request))));
    ending.room = usize::MAX;
    let said = last_word(&phone, &mut ending).note;
    assert_eq!((said.held_entries, said.lost_entries), (300, 0));
    assert_eq!(ending.held, all);
}

fn unknown(_: &OutgoingRequest) -> Outcome {
    refuse(&Refusal::new(&RefusalCode::UnknownBook, "enrol again"))
}

fn begun(phone: &Phone, code: &str) -> Result<Enrolment, SyncError> {
    Enrolment::begin(&phone.core, &StoreVault(&phone.core), code, "test")
}

#[test]
fn where_a_restored_station_does_not_know_the_book_a_new_invitation_takes_its_end_back() {
    let (mut phone, _) = told("retired");
    assert_eq!(handed_in(&phone, unknown), PartingStep::Later(WaitReason::UnknownBook));
    phone.pass(2 * DAY_MS);
    assert_eq!(
        handed_in(&phone, unknown),
        PartingStep::Later(WaitReason::UnknownBook),
        "in good hands"
    );
    phone.reopen();
    assert!(ended(&phone.core).unwrap().unwrap().is_unknown);
    let spent = begun(&phone, "spent").unwrap();
    let refused = refuse(&Refusal::new(&RefusalCode::EnrolmentCode, "it was used"));
    assert!(matches!(spent.finish(&phone.core, refused), Err(EnrolError::Code(_))));
    assert!(matches!(phone.core.read(outbox::waiting), Err(CoreError::Ended)));
    let mut restored = Station::new();
    let enrolment = begun(&phone, "new").unwrap();
    let mut other = Station::new();
    other.key = StationKey::from_bytes(&[9; 32]);
    let outcome = other.enrol(&enrolment.request());
    let elsewhere = enrolment.clone().finish(&phone.core, outcome);
    assert!(
        matches!(elsewhere, Err(EnrolError::OtherStation)),
        "nobody but who ended it may take it back"
    );
    let outcome = restored.enrol(&enrolment.request());
    enrolment.finish(&phone.core, outcome).unwrap();
    assert_eq!(ended(&phone.core).unwrap(), None);
    let written = phone.write(10);
    phone.reopen();
    assert_eq!(phone.sync(&mut restored).unwrap().fault, None);
    assert_eq!(restored.accepted().len(), 301);
    assert_eq!(restored.accepted().last(), Some(&written));
    assert!(status(&phone.core).unwrap().synced);
}

#[test]
fn an_end_that_the_station_stands_by_is_taken_back_by_no_invitation() {
    let (phone, mut ending) = told("retired");
    assert!(matches!(begun(&phone, "new"), Err(SyncError::Core(CoreError::Ended))));
    assert!(matches!(handed_in(&phone, unknown), PartingStep::Later(_)));
    let enrolment = begun(&phone, "new").unwrap();
    // Meanwhile the right backup was found.
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    assert!(!ended(&phone.core).unwrap().unwrap().is_unknown);
    let outcome = Station::new().enrol(&enrolment.request());
    let finished = enrolment.finish(&phone.core, outcome);
    assert!(matches!(finished, Err(EnrolError::Sync(SyncError::Core(CoreError::Ended)))));
    assert!(matches!(phone.core.read(outbox::waiting), Err(CoreError::Ended)));
}

#[test]
fn a_lost_phone_parts_after_a_day_with_what_a_full_station_did_not_take() {
    let (phone, mut ending) = told("lost");
    ending.room = 1;
    assert!(no_room(&handed_in(&phone, |request| ending.exchange(request))));
    phone.pass(DAY_MS);
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    let said = last_word(&phone, &mut ending).note;
    assert_eq!((said.held_pages, said.held_entries + said.lost_entries), (1, 300));
    assert!(said.lost_entries > 0);
}

#[test]
fn pages_that_find_no_room_hold_up_none_behind_them() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    // More than one request takes.
    for _ in 0..20 {
        phone.write(200_000);
    }
    let mut ending = Ending::of(&station, &phone, "retired");
    phone.sync_by(|request| ending.exchange(request)).unwrap();
    ending.is_mute = false;
    let all = phone.core.read_past_end(pages::sealed).unwrap();
    let step = handed_in(&phone, |request| {
        if ending.never.is_empty() {
            let first = opened(request).pages;
            ending.never = first.iter().map(|page| header_hash(&page.header)).collect();
        }
        ending.exchange(request)
    });
    assert!(no_room(&step), "{step:?}");
    assert!(ending.never.len() < all, "one request does not take all");
    assert_eq!(ending.held.len(), all - ending.never.len(), "those behind them are held");
}

#[test]
fn the_track_of_a_patrol_that_was_going_on_is_handed_in() {
    for has_network in [true, false] {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let start = Edit::new().field("patrol_kind", "foot").field("started_at", phone.now().0);
        phone.core.patrol_start(&start).unwrap();
        for step in 0..60 {
            phone.pass(5_000);
            let fix = Fix {
                at: phone.now(),
                lat_e6: 39_971_743 + step * 60,
                lon_e6: 116_441_827,
                accuracy_m: Some(5),
                source: Source::Gps,
                is_mock: false,
            };
            phone.core.patrol_add(&[fix]).unwrap();
        }
        let before = status(&phone.core).unwrap().waiting;
        let mut ending = Ending::of(&station, &phone, "lost");
        phone.sync_by(|request| ending.exchange(request)).unwrap();
        ending.is_mute = false;
        assert!(matches!(phone.core.patrol_active(), Err(CoreError::Ended)));
        phone.pass(if has_network { 0 } else { DAY_MS });
        let mut network = |request: &OutgoingRequest| match has_network {
            true => ending.exchange(request),
            false => Outcome::Failed(TransportFault::TimedOut),
        };
        assert_eq!(handed_in(&phone, &mut network), PartingStep::Ready);
        let said = word_of(&phone.core, phone.now(), network).note;
        let all = if has_network { (before + 1, 0) } else { (0, before + 1) };
        assert_eq!((said.held_entries, said.lost_entries), all, "the track is one entry more");
        assert!(phone.core.read_past_end(patrols::active).unwrap().is_none());
    }
}

#[test]
fn a_phone_whose_key_is_gone_waits_a_day_and_parts_without_a_signed_word() {
    for why in ["lost", "retired"] {
        let (phone, _) = told(why);
        phone
            .core
            .write_past_end(|records| rows::forget_secrets(records.tx()))
            .unwrap();
        let silent = |_: &OutgoingRequest| panic!("nothing can be signed");
        let step = handed_in(&phone, silent);
        assert!(
            matches!(&step, PartingStep::Later(WaitReason::Station(said)) if said.contains("key")),
            "{step:?}"
        );
        phone.pass(DAY_MS);
        assert_eq!(handed_in(&phone, silent), PartingStep::Ready, "{why}");
        let (core, database) = core_of(phone);
        let now = core.platform().clock.wall();
        let word = word_of(&core, now, silent);
        let farewell = shred(core, word, &KeysInFile).unwrap();
        let said = farewell.said();
        assert_eq!((said.is_unsigned, said.held_entries, said.lost_entries), (true, 0, 300));
        assert_eq!((farewell.state(), farewell.request()), (NoteState::Shredded, None));
        assert_eq!(left(&database), [".ended"]);
        assert!(farewell.dismiss().unwrap(), "there is nothing to be told");
        std::fs::remove_dir_all(database.parent().unwrap()).unwrap();
    }
}
