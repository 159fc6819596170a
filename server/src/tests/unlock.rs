//! Shares of phones' keys, unlock codes, custodians' keys and emergency notes, at a station in one process.

use beatbook_protocol::entry::{BookEndEvent, RegistryEvent};
use beatbook_protocol::id::{BookId, UserId};
use beatbook_protocol::note::{NoteContent, NoteFile};
use beatbook_protocol::page::{BookKey, Signer};
use beatbook_protocol::parcel::{SealingKey, SealingPublicKey};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    ExchangeRequest, ExchangeResponse, KeyShare, LEASE_MS, NotesRequest, NotesResponse, Refusal, RefusalCode, UnlockRequest,
    UnlockResponse, WIRE_VERSION, pack, read, share_name, unlock_message, unpack,
};

use crate::registry::write_events;
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

fn audit(world: &World) -> Vec<String> {
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
    assert!(ask(&world, &request(&world, phone.book, &phone.key, &first, &reply)).is_err());
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
    assert!(world.station.unlock_code(Some(&officer), phone.enrolled.user).is_err());
    let elsewhere = world.station.add_unit(None, "别处", None).unwrap();
    let chief = Session {
        roles: vec!["chief".into()],
        unit: elsewhere,
        ..officer
    };
    assert!(world.station.unlock_code(Some(&chief), phone.enrolled.user).is_err());
    assert!(world.station.unlock_code(None, UserId::from_bytes([9; 16])).is_err());
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
    assert!(ask(&world, &request(&world, phone.book, &phone.key, &code, &reply)).is_err());
    assert!(station.store.read(|tx| tx.unlock_share(phone.book)).unwrap().is_none());
}

#[test]
fn no_share_and_no_code_lies_readable_in_the_database() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    hand_over(&world, &mut phone, &SHARE);
    let code = code_of(&world, phone.enrolled.user);
    for name in ["station.db", "station.db-wal"] {
        let bytes = std::fs::read(world.data().join(name)).unwrap_or_default();
        for needle in [&SHARE[..], code.as_bytes(), code.replace('-', "").as_bytes()] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{name}");
        }
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

pub(super) fn note(world: &World, phone: &Phone, text: &str, to: &[SealingKey]) -> Vec<u8> {
    let content = NoteContent {
        book: phone.book,
        unit: world.unit,
        text: text.into(),
        at: UnixMillis(5),
        place: None,
        app: "test".into(),
        nonce: [3; 16],
    };
    let to: Vec<_> = to.iter().map(SealingKey::public_key).collect();
    NoteFile::seal(&content, &world.station.origin, Some(&phone.key), &to, &[4; 32]).unwrap()
}

fn bring(world: &World, token: &str, notes: Vec<Vec<u8>>) -> Result<NotesResponse, Refusal> {
    let request = NotesRequest {
        version: WIRE_VERSION,
        notes: notes.into_iter().map(Into::into).collect(),
        signed: None,
    };
    carry(world, Some(token), &request)
}

pub(super) fn carry(world: &World, token: Option<&str>, request: &NotesRequest) -> Result<NotesResponse, Refusal> {
    let internal = |fault: String| Refusal::new(&RefusalCode::Internal, fault);
    let packed = pack(request).map_err(|fault| internal(fault.to_string()))?;
    let reply = world.station.take_notes(&packed, token)?;
    let reply = unpack(&reply).map_err(|fault| internal(fault.to_string()))?;
    read("notes", &reply).map_err(|fault| internal(fault.to_string()))
}

#[test]
fn a_note_is_read_by_the_chief_of_the_unit_alone_and_that_is_on_the_log() {
    let world = World::new();
    let phone = world.phone("李", "officer");
    let sealing = || world.station.keys.sealing.clone();
    let file = note(&world, &phone, "三号楼起火", &[sealing()]);
    for _ in 0..2 {
        let answers = bring(&world, &phone.enrolled.token, vec![file.clone()]).unwrap().answers;
        assert!(answers[0].code.is_none(), "{answers:?}");
    }
    let page = world.station.notes(&world.chief, None).unwrap();
    assert_eq!(page.notes.len(), 1, "the same note twice is one");
    let seen = &page.notes[0];
    assert_eq!(
        (seen.text.as_deref(), seen.user, seen.is_signed),
        (Some("三号楼起火"), phone.enrolled.user, true)
    );
    assert_eq!(audit(&world).iter().filter(|what| *what == "note.read").count(), 1);
    for role in [
        "officer",
        "admin",
        "auditor",
        "supervisor",
        "department",
        "mediator",
        "grid_worker",
    ] {
        let session = Session {
            roles: vec![role.into()],
            ..world.chief.clone()
        };
        assert!(world.station.notes(&session, None).is_err(), "{role}");
    }
    let elsewhere = world.station.add_unit(None, "别处", None).unwrap();
    let session = Session {
        unit: elsewhere,
        ..world.chief.clone()
    };
    assert!(world.station.notes(&session, None).unwrap().notes.is_empty());
    let database = std::fs::read(world.data().join("station.db-wal")).unwrap();
    let words = "三号楼起火".as_bytes();
    assert!(!database.windows(words.len()).any(|window| window == words));
}

#[test]
fn each_wrong_note_gets_its_own_answer_and_stops_no_other() {
    let world = World::new();
    let (phone, other) = (world.phone("李", "officer"), world.phone("张", "officer"));
    let sealing = || world.station.keys.sealing.clone();
    let custodian = SealingKey::from_bytes(&[8; 32]);
    let good = note(&world, &phone, "good", &[sealing()]);
    let mut foreign = NoteFile::parse(&good).unwrap();
    foreign.origin = "beatbook/other".into();
    let foreign = [b"BBEMNOTE".to_vec(), beatbook_protocol::codec::to_bytes(&foreign)].concat();
    let sent = vec![
        b"BBEMNOTE no note".to_vec(),
        note(&world, &other, "of another", &[sealing()]),
        foreign,
        note(&world, &phone, "for the custodian alone", &[custodian]),
        good,
    ];
    let answers = bring(&world, &phone.enrolled.token, sent).unwrap().answers;
    let codes: Vec<Option<&str>> = answers.iter().map(|answer| answer.code.as_deref()).collect();
    let expected = [
        Some("note_unreadable"),
        Some("note_other_author"),
        Some("note_other_station"),
        None,
        None,
    ];
    assert_eq!(codes, expected);
    let texts: Vec<Option<String>> = world
        .station
        .notes(&world.chief, None)
        .unwrap()
        .notes
        .into_iter()
        .map(|note| note.text)
        .collect();
    assert_eq!(
        texts,
        [Some("good".to_owned()), None],
        "what does not open here is shown as such"
    );
    assert_eq!(bring(&world, "no token", Vec::new()).unwrap_err().code, "sign_in");
    let many = vec![vec![0; 8]; 33];
    assert_eq!(bring(&world, &phone.enrolled.token, many).unwrap_err().code, "too_large");
}

#[test]
fn custodians_keys_are_on_the_ledger_and_rebuild_to_the_same_rows() {
    let world = World::new();
    let pair = world.station.add_unit_key(world.unit, "王所长").unwrap();
    assert!(world.station.add_unit_key(world.unit, "a\nb").is_err());
    let secret = crate::unlock::open_note(b"", &pair.secret).unwrap_err().to_string();
    assert!(secret.contains("no emergency note"), "{secret}");
    let other = world.station.add_unit_key(world.unit, "副所长").unwrap();
    world.station.end_unit_key(world.unit, &pair.key).unwrap();
    assert!(world.station.end_unit_key(world.unit, &pair.key).is_err(), "it has ended");
    let ended: Vec<(String, bool)> = world
        .station
        .unit_keys()
        .unwrap()
        .into_iter()
        .map(|row| (row.key, row.ended))
        .collect();
    assert!(ended.contains(&(pair.key, true)) && ended.contains(&(other.key, false)));
    let before = world.station.dump().unwrap();
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
    assert_eq!(world.station.dump().unwrap(), before);
    assert!(world.station.verify_ledger().unwrap().holds());
    for byte in 0..8 {
        let full = world.station.add_unit_key(world.unit, "x");
        assert_eq!(full.is_ok(), byte < 7, "a note is sealed to eight custodians and the station");
    }
}
