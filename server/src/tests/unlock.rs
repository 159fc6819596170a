//! Shares of phones' keys and unlock codes, at a station in one process.

use beatbook_protocol::entry::{BookEndEvent, RegistryEvent};
use beatbook_protocol::id::{BookId, UserId};
use beatbook_protocol::page::{BookKey, Signer};
use beatbook_protocol::parcel::{SealingKey, SealingPublicKey};
use beatbook_protocol::wire::{
    ExchangeRequest, ExchangeResponse, KeyShare, LEASE_MS, Refusal, RefusalCode, UnlockRequest, UnlockResponse, WIRE_VERSION,
    code_letters, pack, read, share_name, unlock_message, unpack,
};

use crate::error::StationError;
use crate::registry::{tokens, write_events};
use crate::station::Session;
use crate::testing::{Phone, World};

const SHARE: [u8; 32] = [77; 32];

fn exchange(world: &World, phone: &mut Phone, request: &ExchangeRequest) -> ExchangeResponse {
    let reply = world
        .station
        .exchange(&pack(request).unwrap(), Some(&phone.enrolled.token), None);
    phone.receive(&reply.unwrap())
}

/// Hands a share over in an exchange.
fn hand_over(world: &World, phone: &mut Phone, share: &[u8; 32]) -> ExchangeResponse {
    let to = SealingPublicKey::from_bytes(phone.enrolled.sealing.as_ref().unwrap().key);
    let sealed = KeyShare::seal(share, &world.station.origin, phone.book, &to, &[5; 32]);
    let mut request = phone.request(Vec::new());
    request.share = Some(sealed.unwrap());
    exchange(world, phone, &request)
}

fn request(world: &World, book: BookId, key: &BookKey, code: &str, reply: &SealingKey) -> UnlockRequest {
    let reply_key = *reply.public_key().as_bytes();
    UnlockRequest {
        version: WIRE_VERSION,
        book,
        code: code.to_owned(),
        reply_key,
        signature: key
            .sign(&unlock_message(&world.station.origin, book, code, &reply_key))
            .unwrap(),
    }
}

fn ask(world: &World, request: &UnlockRequest) -> Result<UnlockResponse, Refusal> {
    let packed = pack(request).map_err(|fault| Refusal::new(&RefusalCode::Internal, fault.to_string()))?;
    world.station.unlock(&packed).map(|reply| unlocked(&reply))
}

fn unlocked(reply: &[u8]) -> UnlockResponse {
    read("unlock", &unpack(reply).unwrap()).unwrap()
}

fn code_of(world: &World, user: UserId) -> String {
    world.station.unlock_code(Some(&world.chief), user).unwrap().code
}

pub(super) fn audit(world: &World) -> Vec<String> {
    let lines = world.station.store.read(|tx| tx.audit_from(1, 1_000)).unwrap();
    lines.into_iter().map(|line| line.what).collect()
}

#[test]
fn a_share_comes_back_to_its_own_phone_with_a_code_of_its_person_once() {
    let world = World::new();
    let (mut phone, other) = (world.phone("李", "officer"), world.phone("张", "officer"));
    assert_eq!(hand_over(&world, &mut phone, &SHARE).share, Some(share_name(&SHARE)));
    let reply = SealingKey::from_bytes(&[1; 32]);
    let code = code_of(&world, phone.enrolled.user);
    let refused = |request: &UnlockRequest| ask(&world, request).unwrap_err().code;
    assert_eq!(
        refused(&request(&world, phone.book, &phone.key, "WRONG-WRONG", &reply)),
        "unlock_code"
    );
    assert_eq!(
        refused(&request(&world, other.book, &other.key, &code, &reply)),
        "unlock_code",
        "another's code"
    );
    assert_eq!(
        refused(&request(&world, phone.book, &other.key, &code, &reply)),
        "malformed",
        "not signed by the book"
    );
    assert_eq!(
        refused(&request(&world, BookId::from_bytes([9; 16]), &phone.key, &code, &reply)),
        "unknown_book"
    );
    // As people type it.
    let typed = code.to_lowercase().replace('-', " ");
    let asked = request(&world, phone.book, &phone.key, &typed, &reply);
    let open = |response: &UnlockResponse| {
        response.open(
            &world.station.origin,
            phone.book,
            &reply,
            &world.station.keys.receipt.verifying_key(),
        )
    };
    assert_eq!(open(&ask(&world, &asked).unwrap()), Some(SHARE.to_vec()));
    assert_eq!(
        open(&ask(&world, &asked).unwrap()),
        Some(SHARE.to_vec()),
        "a lost reply comes again"
    );
    let again = request(&world, phone.book, &phone.key, &code, &SealingKey::from_bytes(&[2; 32]));
    assert_eq!(refused(&again), "unlock_code", "a used code serves no other request");
    let lines = audit(&world);
    assert_eq!(lines.iter().filter(|what| *what == "unlock.share").count(), 2);
    assert_eq!(lines.iter().filter(|what| *what == "unlock.refused").count(), 3);
    assert!(lines.contains(&"unlock.code".to_owned()));
}

#[test]
fn a_code_lives_for_minutes_and_gives_way_to_the_next() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    let reply = SealingKey::from_bytes(&[1; 32]);
    let first = code_of(&world, phone.enrolled.user);
    let second = code_of(&world, phone.enrolled.user);
    assert_eq!(
        ask(&world, &request(&world, phone.book, &phone.key, &first, &reply))
            .unwrap_err()
            .code,
        "unlock_code",
        "the first one gave way"
    );
    world.clock.pass(15 * 60 * 1000 + 1);
    assert_eq!(
        ask(&world, &request(&world, phone.book, &phone.key, &second, &reply))
            .unwrap_err()
            .code,
        "unlock_code"
    );
}

#[test]
fn wrong_codes_are_counted_by_phone_across_restarts_and_lock_nobody_else_out() {
    let mut world = World::new();
    let (mut phone, mut other) = (world.phone("李", "officer"), world.phone("张", "officer"));
    hand_over(&world, &mut phone, &SHARE);
    hand_over(&world, &mut other, &[78; 32]);
    let reply = SealingKey::from_bytes(&[1; 32]);
    for _ in 0..5 {
        assert_eq!(
            ask(&world, &request(&world, phone.book, &phone.key, "AAAAA-AAAAA", &reply))
                .unwrap_err()
                .code,
            "unlock_code"
        );
    }
    world.reopen();
    let code = code_of(&world, phone.enrolled.user);
    let refusal = ask(&world, &request(&world, phone.book, &phone.key, &code, &reply)).unwrap_err();
    assert_eq!(refusal.code, "try_later");
    assert!(refusal.retry_after_ms.is_some_and(|ms| (1..=3_600_000).contains(&ms)));
    let others = code_of(&world, other.enrolled.user);
    assert!(ask(&world, &request(&world, other.book, &other.key, &others, &reply)).is_ok());
    world.clock.pass(60 * 60 * 1000);
    let code = code_of(&world, phone.enrolled.user);
    assert!(ask(&world, &request(&world, phone.book, &phone.key, &code, &reply)).is_ok());
}

#[test]
fn only_who_registers_people_issues_codes_and_only_in_his_units() {
    let world = World::new();
    let phone = world.phone("李", "officer");
    let officer = Session {
        user: phone.enrolled.user,
        name: "李".into(),
        roles: vec!["officer".into()],
        unit: world.unit,
        elsewhere: Vec::new(),
    };
    assert!(matches!(
        world.station.unlock_code(Some(&officer), phone.enrolled.user),
        Err(StationError::Forbidden(_))
    ));
    let elsewhere = world.station.add_unit(None, "别处", None).unwrap();
    let chief = Session {
        roles: vec!["chief".into()],
        unit: elsewhere,
        ..officer
    };
    for (by, whom) in [(Some(&chief), phone.enrolled.user), (None, UserId::from_bytes([9; 16]))] {
        let refused = world.station.unlock_code(by, whom).unwrap_err();
        assert!(matches!(refused, StationError::NotFound(_)), "{refused}");
    }
}

#[test]
fn an_ended_book_gets_no_share_whatever_its_code() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    let code = code_of(&world, phone.enrolled.user);
    let end = RegistryEvent::BookEnd(BookEndEvent {
        book: phone.book,
        why: "lost".into(),
        on_behalf: None,
    });
    let station = &world.station;
    station
        .store
        .write(|tx| write_events(tx, &station.keys, &station.env, &station.kinds, vec![end]))
        .unwrap();
    let reply = SealingKey::from_bytes(&[1; 32]);
    assert_eq!(
        ask(&world, &request(&world, phone.book, &phone.key, &code, &reply))
            .unwrap_err()
            .code,
        "unknown_book"
    );
    assert!(station.store.read(|tx| tx.unlock_share(phone.book)).unwrap().is_none());
}

#[test]
fn no_share_and_no_code_lies_readable_in_the_database() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    let code = code_of(&world, phone.enrolled.user);
    let bytes: Vec<u8> = ["station.db", "station.db-wal"]
        .iter()
        .flat_map(|name| std::fs::read(world.data().join(name)).unwrap())
        .collect();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    // What stands in the rows of share and code is found where it is.
    let kept = tokens::hash(code_letters(&code).as_bytes());
    for there in [
        share_name(&SHARE).as_bytes(),
        kept.as_bytes(),
        phone.book.as_bytes().as_slice(),
    ] {
        assert!(holds(there), "the search finds what is there");
    }
    for needle in [&SHARE[..], code.as_bytes(), code_letters(&code).as_bytes()] {
        assert!(!holds(needle), "{needle:?}");
    }
}

#[test]
fn a_share_is_replaced_by_the_next_and_one_that_does_not_open_changes_nothing() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    assert_eq!(hand_over(&world, &mut phone, &[78; 32]).share, Some(share_name(&[78; 32])));
    let mut broken = phone.request(Vec::new());
    broken.share = Some(KeyShare {
        encapsulated: vec![1; 32],
        sealed: vec![2; 48],
    });
    assert_eq!(exchange(&world, &mut phone, &broken).share, None);
    let row = world.station.store.read(|tx| tx.unlock_share(phone.book)).unwrap().unwrap();
    assert_eq!(row.name, share_name(&[78; 32]));
}

#[test]
fn the_lease_is_told_when_the_phone_does_not_know_it() {
    let mut world = World::new();
    let mut phone = world.phone("李", "officer");
    let told = |world: &World, phone: &mut Phone, knows| {
        let mut request = phone.request(Vec::new());
        request.lease_ms = knows;
        exchange(world, phone, &request).lease_ms
    };
    assert_eq!(told(&world, &mut phone, None), None, "seven days go without saying");
    world.reopen();
    let station = std::mem::replace(&mut world.station, World::new().station);
    world.station = station.leasing(86_400_000);
    assert_eq!(told(&world, &mut phone, None), Some(86_400_000));
    assert_eq!(told(&world, &mut phone, Some(86_400_000)), None);
    assert_eq!(told(&world, &mut phone, Some(LEASE_MS)), Some(86_400_000));
}

#[test]
fn a_phone_is_told_after_how_long_to_ask_again_when_the_station_wants_it() {
    let mut world = World::new();
    let mut phone = world.phone("李", "officer");
    let asked = |world: &World, phone: &mut Phone| {
        let request = phone.request(Vec::new());
        exchange(world, phone, &request).next_ms
    };
    assert_eq!(asked(&world, &mut phone), None, "that is its app's");
    world.reopen();
    let station = std::mem::replace(&mut world.station, World::new().station);
    world.station = station.asked_again_after(Some(60_000));
    assert_eq!(asked(&world, &mut phone), Some(60_000));
}

#[test]
fn a_blocked_person_gets_no_share_whatever_his_code() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    let code = code_of(&world, phone.enrolled.user);
    let asked = request(&world, phone.book, &phone.key, &code, &SealingKey::from_bytes(&[1; 32]));
    world.station.block(None, phone.enrolled.user, true).unwrap();
    assert_eq!(ask(&world, &asked).unwrap_err().code(), RefusalCode::Blocked);
    world.station.block(None, phone.enrolled.user, false).unwrap();
    assert!(ask(&world, &asked).is_ok(), "his code was not used up");
}

#[test]
fn an_ended_book_neither_hands_a_share_over_nor_gets_one_that_lies_here() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    let row = world.station.store.read(|tx| tx.unlock_share(phone.book)).unwrap().unwrap();
    let to = SealingPublicKey::from_bytes(phone.enrolled.sealing.as_ref().unwrap().key);
    let brought = KeyShare::seal(&SHARE, &world.station.origin, phone.book, &to, &[5; 32]).unwrap();
    let code = code_of(&world, phone.enrolled.user);
    world.station.end_book(Some(&world.chief), phone.book, "lost").unwrap();
    // Its exchange began before the end, and comes to the share after it.
    let late = crate::unlock::keep(&world.station, phone.book, &brought);
    assert!(matches!(late, Err(crate::error::StationError::Ended(book)) if book == phone.book));
    assert!(world.station.store.read(|tx| tx.unlock_share(phone.book)).unwrap().is_none());
    // As a share that an older copy of the station still had.
    let now = world.env.clock.now();
    let store = &world.station.store;
    store
        .write(|tx| tx.put_unlock_share(phone.book, &row.sealed, &row.name, now))
        .unwrap();
    let reply = SealingKey::from_bytes(&[1; 32]);
    let refusal = ask(&world, &request(&world, phone.book, &phone.key, &code, &reply)).unwrap_err();
    assert_eq!(refusal.code, "unknown_book");
    assert!(audit(&world).contains(&"unlock.refused".to_owned()));
    assert!(!audit(&world).contains(&"unlock.share".to_owned()));
}
