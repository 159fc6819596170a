//! How a phone is let in: codes, invitations, attestation, the digits that are compared, and what tries to get past them.

use std::net::IpAddr;
use std::sync::Arc;

use beatbook_protocol::id::{BookId, Hash, UserId};
use beatbook_protocol::page::{BookKey, Signer};
use beatbook_protocol::wire::{
    Attestation, EnrolRequest, EnrolResponse, Invitation, Refusal, RefusalCode, attestation_challenge, pack,
};

use crate::config::{AttestationRule, EnrolmentRules};
use crate::error::StationError;
use crate::station::{AttestationVerifier, EnrolmentCode, Station};
use crate::testing::{World, enrol_request, visit};

fn key(byte: u8) -> BookKey {
    BookKey::from_secret(&[byte; 32]).unwrap()
}

fn book(byte: u8) -> BookId {
    BookId::from_bytes([byte; 16])
}

fn person(world: &World) -> UserId {
    let roles = ["officer".to_owned()];
    world
        .station
        .add_user(Some(&world.chief), "李警官", &roles, world.unit)
        .unwrap()
}

fn issue(world: &World, user: UserId) -> EnrolmentCode {
    world.station.enrolment_code(Some(&world.chief), user).unwrap()
}

fn refused(answer: Result<EnrolResponse, Refusal>) -> RefusalCode {
    answer.unwrap_err().code()
}

/// The same world, its station under other rules.
fn under(mut world: World, rules: EnrolmentRules) -> World {
    world.station = Station::open(&world.data(), &world.keys(), &[], world.env.clone())
        .unwrap()
        .enrolling_by(rules);
    world
}

fn comparing() -> EnrolmentRules {
    EnrolmentRules {
        confirm: true,
        ..EnrolmentRules::default()
    }
}

#[test]
fn of_two_phones_with_one_code_at_once_one_is_let_in() {
    let world = World::new();
    let user = person(&world);
    for round in 0..8 {
        let code = issue(&world, user).code;
        let requests: Vec<EnrolRequest> = (1..=4)
            .map(|number| enrol_request(&code, book(16 * round + number), &key(16 * round + number)))
            .collect();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let station = &world.station;
            let begun: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(move || station.enrol(request)))
                .collect();
            begun.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}");
        for refusal in answers.into_iter().filter_map(Result::err) {
            assert_eq!(refusal.code(), RefusalCode::EnrolmentCode);
        }
    }
}

#[test]
fn a_code_lives_as_long_as_the_rules_say_and_a_blocked_person_has_none() {
    let world = under(
        World::new(),
        EnrolmentRules {
            code_minutes: 2,
            ..EnrolmentRules::default()
        },
    );
    let user = person(&world);
    let code = issue(&world, user);
    assert_eq!(code.code.len(), 11);
    world.clock.pass(3 * 60_000);
    assert_eq!(
        refused(world.station.enrol(&enrol_request(&code.code, book(1), &key(1)))),
        RefusalCode::EnrolmentCode
    );
    let view = world.station.enrolment(&world.chief, code.id).unwrap();
    assert_eq!((view.state.as_str(), view.book.is_none()), ("run_out", true));
    let late = issue(&world, user);
    block(&world, user);
    assert_eq!(
        refused(world.station.enrol(&enrol_request(&late.code, book(1), &key(1)))),
        RefusalCode::Blocked
    );
    assert!(matches!(
        world.station.enrolment_code(Some(&world.chief), user),
        Err(StationError::Invalid(_))
    ));
}

/// Blocks a person, as the registry does.
fn block(world: &World, user: UserId) {
    let station = &world.station;
    let event = beatbook_protocol::entry::RegistryEvent::User(beatbook_protocol::entry::UserEvent {
        user,
        name: "李警官".into(),
        roles: vec!["officer".into()],
        unit: world.unit,
        blocked: Some(true),
        on_behalf: None,
    });
    station
        .store
        .write(|tx| crate::registry::write_events(tx, &station.keys, &station.env, &station.kinds, vec![event]))
        .unwrap();
}

#[test]
fn wrong_codes_are_slowed_by_address_and_nobody_else_is_locked_out() {
    let world = World::new();
    let user = person(&world);
    let [attacker, honest]: [IpAddr; 2] = ["203.0.113.7", "203.0.113.8"].map(|text| text.parse().unwrap());
    let mut slowed = None;
    for number in 0..100_u8 {
        let guess = enrol_request(&format!("AAAAA-AAA{number:02}"), book(1), &key(1));
        let refusal = world.station.enrol_from(&guess, Some(attacker)).unwrap_err();
        if refusal.code() == RefusalCode::TryLater {
            slowed = Some((number, refusal.retry_after_ms));
            break;
        }
        assert_eq!(refusal.code(), RefusalCode::EnrolmentCode);
    }
    let (after, wait) = slowed.unwrap();
    assert!(after <= 30 && wait.is_some_and(|wait| wait > 0), "{after} {wait:?}");
    let code = issue(&world, user).code;
    let right = enrol_request(&code, book(2), &key(2));
    assert_eq!(
        world.station.enrol_from(&right, Some(attacker)).unwrap_err().code(),
        RefusalCode::TryLater
    );
    world.station.enrol_from(&right, Some(honest)).unwrap();
}

#[test]
fn a_devices_name_breaks_no_line_and_turns_no_text_around() {
    let world = World::new();
    let user = person(&world);
    let code = issue(&world, user).code;
    let named = |device: &str| EnrolRequest {
        device: device.to_owned(),
        ..enrol_request(&code, book(1), &key(1))
    };
    let long = "长".repeat(81);
    for hostile in ["a\nINFO let in", "\u{202e}txt.exe", "\u{200b}", "\0", long.as_str()] {
        assert_eq!(
            refused(world.station.enrol(&named(hostile))),
            RefusalCode::Malformed,
            "{hostile:?}"
        );
    }
    world.station.enrol(&named(&"长".repeat(80))).unwrap();
}

#[test]
fn an_invitation_leads_to_its_station_alone_and_is_drawn_for_a_camera() {
    let world = under(
        World::new(),
        EnrolmentRules {
            address: Some("https://station.example:7450".into()),
            ..EnrolmentRules::default()
        },
    );
    let code = issue(&world, person(&world));
    let read = Invitation::parse(&code.invitation).unwrap();
    assert_eq!(
        (read.code.as_str(), read.address.as_deref()),
        (code.code.as_str(), Some("https://station.example:7450"))
    );
    let answer = world.station.enrol(&enrol_request(&read.code, book(1), &key(1))).unwrap();
    assert!(read.is_to(&answer.origin, &answer.checkpoint_key, &answer.receipt_key));
    let other = World::new();
    let stranger = other.phone("张警官", "officer").enrolled;
    assert!(!read.is_to(&stranger.origin, &[9; 32], &[9; 32]));
    assert!(code.qr.starts_with("<?xml") && code.qr.contains("<svg"), "{}", code.qr);
    let drawn = crate::qr::as_text(&code.invitation).unwrap();
    assert!(drawn.lines().count() > 20, "{drawn}");
}

#[test]
fn both_ends_show_the_same_digits_and_another_key_shows_others() {
    let world = World::new();
    let code = issue(&world, person(&world));
    let request = enrol_request(&code.code, book(1), &key(1));
    let answer = world.station.enrol(&request).unwrap();
    let public = key(1).public_key().to_bytes();
    let shown = answer.check_digits(&code.code, book(1), &public).unwrap();
    let view = world.station.enrolment(&world.chief, code.id).unwrap();
    assert_eq!(view.state, "enrolled", "nobody has to compare them under these rules");
    assert_eq!(view.book.unwrap().check_digits.as_deref(), Some(shown.as_str()));
    let again = world.station.enrol(&request).unwrap();
    assert_eq!(
        again.check_digits(&code.code, book(1), &public),
        Some(shown),
        "asked again, they stay"
    );
    let theirs = key(2).public_key().to_bytes();
    assert_eq!(
        answer.check_digits(&code.code, book(1), &theirs),
        None,
        "the station's word is on the key that it has"
    );
    let mut forged = answer.clone();
    forged.nonce = Some([7; 16]);
    assert_eq!(forged.check_digits(&code.code, book(1), &public), None);
}

#[test]
fn a_book_is_taken_in_only_once_its_digits_were_compared_and_loses_nothing_by_waiting() {
    let world = under(World::new(), comparing());
    let mut phone = world.phone_of(person(&world));
    assert_eq!(phone.enrolled.awaits, Some(true));
    let opening = phone.write(world.record_id(), Some(world.unit), visit());
    let page = phone.seal(vec![opening]);
    let request = phone.request(vec![page]);
    let (packed, before) = (pack(&request).unwrap(), world.station.dump().unwrap());
    let token = phone.enrolled.token.clone();
    for token in [Some(token.as_str()), None] {
        let refusal = world.station.exchange(&packed, token, None).unwrap_err();
        assert_eq!(refusal.code(), RefusalCode::AwaitingConfirmation);
    }
    assert!(world.station.hint_scope(&token).is_none(), "no hints");
    let bearer = crate::blobs::bearer_of(&world.station, &token).unwrap();
    assert!(bearer.is_none(), "no blobs");
    let refusal = world.station.deliver(&[], Some(&token)).unwrap_err();
    assert_eq!(refusal.code(), RefusalCode::SignIn, "no parcels of others");
    assert_eq!(world.station.dump().unwrap(), before);
    let view = world.station.book(&world.chief, phone.book).unwrap();
    assert!(view.awaits);
    let digits = view.check_digits.unwrap().replace(' ', "");
    world
        .station
        .confirm_enrolment(Some(&world.chief), phone.book, &digits)
        .unwrap();
    let reply = world.ask(&mut phone, &request);
    assert_eq!(reply.answers[0].verdicts[0].verdict, 0);
    let view = world.station.book(&world.chief, phone.book).unwrap();
    assert_eq!(view.confirmed_by.unwrap().user, world.chief.user);
}

#[test]
fn only_the_right_digits_told_by_who_may_let_a_book_in_and_each_try_is_in_the_log() {
    let world = under(World::new(), comparing());
    let user = person(&world);
    let phone = world.phone_of(user);
    let confirm = |by, told: &str| world.station.confirm_enrolment(Some(by), phone.book, told);
    let view = world.station.book(&world.chief, phone.book).unwrap();
    let digits = view.check_digits.unwrap();
    let wrong = digits
        .replace('0', "x")
        .replace(|digit: char| digit.is_ascii_digit(), "0")
        .replace('x', "1");
    for told in [wrong.as_str(), "", "12"] {
        assert!(confirm(&world.chief, told).is_err(), "{told}");
    }
    let token = world.station.issue_token(Some(&world.chief), user).unwrap();
    let himself = world.station.session(&token).unwrap();
    assert!(matches!(confirm(&himself, &digits), Err(StationError::Forbidden(_))));
    confirm(&world.chief, &digits).unwrap();
    assert!(confirm(&world.chief, &digits).is_err(), "once");
    let lines = world.station.store.read(|tx| tx.audit_from(1, 100)).unwrap();
    let said: Vec<&str> = lines.iter().map(|line| line.what.as_str()).collect();
    let said: Vec<&str> = said.into_iter().filter(|what| what.starts_with("enrol.")).collect();
    let mismatch = "enrol.mismatch";
    assert_eq!(
        said,
        ["enrol.code", "enrol.book", mismatch, mismatch, mismatch, "enrol.confirm"]
    );
    let tells = |line: &crate::audit::Written| line.detail.contains(&digits);
    assert!(!lines.iter().any(tells), "no digits in the log");
}

/// Verifies a form that only this test speaks.
#[derive(Debug)]
struct Echo;

impl AttestationVerifier for Echo {
    fn format(&self) -> &str {
        "echo"
    }

    fn verify(&self, statement: &[u8], (_, key): (u8, &[u8]), challenge: &Hash) -> Result<(), String> {
        if statement == [challenge.as_bytes(), key].concat() {
            Ok(())
        } else {
            Err("not over this key and this challenge".into())
        }
    }
}

fn attested(code: &str, book: BookId, key: &BookKey, over: BookId) -> EnrolRequest {
    let challenge = attestation_challenge(code, over);
    EnrolRequest {
        attestation: Some(Attestation {
            format: "echo".into(),
            statement: [challenge.as_bytes().as_slice(), &key.public_key().to_bytes()].concat(),
        }),
        ..enrol_request(code, book, key)
    }
}

#[test]
fn where_attestation_is_required_only_a_verified_one_lets_in_and_none_is_built_in() {
    let required = EnrolmentRules {
        attestation: AttestationRule::Required,
        ..EnrolmentRules::default()
    };
    let world = under(World::new(), required.clone());
    let user = person(&world);
    let code = issue(&world, user).code;
    let sound = attested(&code, book(1), &key(1), book(1));
    for request in [enrol_request(&code, book(1), &key(1)), sound.clone()] {
        assert_eq!(
            refused(world.station.enrol(&request)),
            RefusalCode::Attestation,
            "no verifier is built in"
        );
    }
    let mut world = world;
    world.station = Station::open(&world.data(), &world.keys(), &[], world.env.clone())
        .unwrap()
        .enrolling_by(required)
        .verifying_by(Arc::new(Echo));
    let none = EnrolRequest {
        attestation: Some(Attestation {
            format: "none".into(),
            statement: Vec::new(),
        }),
        ..enrol_request(&code, book(1), &key(1))
    };
    let replayed = attested(&code, book(1), &key(1), book(2));
    let stripped = enrol_request(&code, book(1), &key(1));
    for request in [none, replayed, stripped] {
        assert_eq!(refused(world.station.enrol(&request)), RefusalCode::Attestation);
    }
    world.station.enrol(&sound).unwrap();
    let attested: Vec<String> = world
        .station
        .store
        .read(|tx| tx.audit_from(1, 100))
        .unwrap()
        .into_iter()
        .filter(|line| line.what == "enrol.book")
        .map(|line| line.detail)
        .collect();
    assert!(attested[0].ends_with("attested: echo"), "{attested:?}");
}
