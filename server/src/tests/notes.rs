//! Emergency notes and custodians' keys; and the notes of a phone that was put out of use, whose token is no good any more.

use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::note::{NoteContent, NoteFile};
use beatbook_protocol::page::BookKey;
use beatbook_protocol::parcel::SealingKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{NotesRequest, NotesResponse, NotesSigned, Refusal, RefusalCode, WIRE_VERSION, pack, read, unpack};
use minicbor::bytes::ByteVec;

use super::unlock::audit;
use crate::station::Session;
use crate::store::NoteRow;
use crate::testing::{Phone, World};

fn note(world: &World, phone: &Phone, text: &str, to: &[SealingKey]) -> Vec<u8> {
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

fn carry(world: &World, token: Option<&str>, request: &NotesRequest) -> Result<NotesResponse, Refusal> {
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
    let holds = |words: &str| database.windows(words.len()).any(|window| window == words.as_bytes());
    assert!(holds("别处"), "the search finds what is there");
    assert!(!holds("三号楼起火"));
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

#[test]
fn the_notes_of_a_book_that_ended_are_taken_under_its_signature_alone() {
    let world = World::new();
    let (phone, other) = (world.phone("李", "officer"), world.phone("张", "officer"));
    let notes = vec![
        note(
            &world,
            &phone,
            "三号楼起火",
            std::slice::from_ref(&world.station.keys.sealing),
        )
        .into(),
    ];
    let signed = |book, notes: &Vec<ByteVec>, origin: &str, key: &BookKey| NotesRequest {
        version: WIRE_VERSION,
        notes: notes.clone(),
        signed: Some(NotesSigned::sign(book, notes, origin, key).unwrap()),
    };
    let origin = world.station.origin.clone();
    let sound = signed(phone.book, &notes, &origin, &phone.key);
    let is_refused = |token, request: &NotesRequest| matches!(carry(&world, token, request), Err(refusal) if refusal.code() == RefusalCode::SignIn);
    assert!(is_refused(None, &sound), "while it is written in its token is asked for");
    world.station.end_book(Some(&world.chief), phone.book, "lost").unwrap();
    let swapped = NotesRequest {
        notes: vec![note(&world, &phone, "another", std::slice::from_ref(&world.station.keys.sealing)).into()],
        ..sound.clone()
    };
    let unsigned = NotesRequest {
        signed: None,
        ..sound.clone()
    };
    for forged in [
        &signed(phone.book, &notes, &origin, &other.key),
        &signed(other.book, &notes, &origin, &other.key),
        &signed(phone.book, &notes, "beatbook/other", &phone.key),
        &signed(BookId::from_bytes([3; 16]), &notes, &origin, &phone.key),
        &swapped,
        &unsigned,
    ] {
        assert!(is_refused(None, forged));
    }
    assert!(
        is_refused(Some(&phone.enrolled.token), &sound),
        "the token is no good any more"
    );
    assert!(world.station.notes(&world.chief, None).unwrap().notes.is_empty());
    for _ in 0..2 {
        let answers = carry(&world, None, &sound).unwrap().answers;
        assert!(answers[0].code.is_none(), "{answers:?}");
    }
    let page = world.station.notes(&world.chief, None).unwrap();
    assert_eq!((page.notes.len(), page.notes[0].text.as_deref()), (1, Some("三号楼起火")));
    assert_eq!((page.notes[0].user, page.notes[0].is_signed), (phone.enrolled.user, true));
}

const DAY_MS: i64 = 86_400_000;

#[test]
fn a_phone_that_was_loud_once_is_heard_again_after_thirty_days() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    let sealing = || world.station.keys.sealing.clone();
    let row = |number: u64| NoteRow {
        number: 0,
        note: Hash::of(&[&number.to_be_bytes()]),
        book: phone.book,
        user: phone.enrolled.user,
        unit: world.unit,
        received_at: world.env.clock.now(),
        file: Vec::new(),
    };
    let rows: Vec<NoteRow> = (0..300).map(row).collect();
    world
        .station
        .store
        .write(|tx| rows.iter().try_for_each(|row| tx.put_note(row)))
        .unwrap();
    let file = note(&world, &phone, "三号楼起火", &[sealing()]);
    let answer = |phone: &Phone| {
        let mut answers = bring(&world, &phone.enrolled.token, vec![file.clone()]).unwrap().answers;
        answers.remove(0).code
    };
    assert_eq!(answer(&phone).as_deref(), Some("note_quota"));
    world.clock.pass(30 * DAY_MS);
    phone.sign_in(&world.station).unwrap();
    assert_eq!(answer(&phone), None);
}

#[test]
fn a_note_goes_ninety_days_after_it_was_read_and_not_before_anybody_has() {
    let world = World::new();
    let mut phone = world.phone("李", "officer");
    let sealing = || world.station.keys.sealing.clone();
    let due = || world.station.retention(None).unwrap().notes;
    let first = note(&world, &phone, "三号楼起火", &[sealing()]);
    bring(&world, &phone.enrolled.token, vec![first]).unwrap();
    world.clock.pass(200 * DAY_MS);
    assert_eq!(due(), 0, "nobody has read it");
    assert_eq!(world.station.notes(&world.chief, None).unwrap().notes.len(), 1);
    world.clock.pass(60 * DAY_MS);
    phone.sign_in(&world.station).unwrap();
    let second = note(&world, &phone, "已扑灭", &[sealing()]);
    bring(&world, &phone.enrolled.token, vec![second]).unwrap();
    // Reading it once more gives it no more time.
    assert_eq!(world.station.notes(&world.chief, None).unwrap().notes.len(), 2);
    world.clock.pass(29 * DAY_MS);
    assert_eq!(due(), 0);
    world.clock.pass(DAY_MS);
    let elsewhere = world.station.add_unit(None, "别处", None).unwrap();
    let stranger = world.person("赵所长", &["chief"], elsewhere);
    assert_eq!((due(), world.station.retention(Some(&stranger)).unwrap().notes), (1, 0));
    let done = world.station.apply_retention(None).unwrap();
    assert_eq!((done.notes, done.due), (1, 0));
    let left = world.station.notes(&world.chief, None).unwrap().notes;
    assert_eq!(
        left.iter().map(|note| note.text.as_deref()).collect::<Vec<_>>(),
        [Some("已扑灭")]
    );
    assert_eq!(audit(&world).iter().filter(|what| *what == "note.destroyed").count(), 1);
    assert_eq!(world.station.apply_retention(None).unwrap().notes, 0);
    assert_eq!(
        audit(&world).iter().filter(|what| *what == "note.destroyed").count(),
        1,
        "and no empty line"
    );
}

#[test]
fn a_custodians_name_hides_nothing() {
    let world = World::new();
    for name in ["", " ", "a\nb", "王\u{202e}所长", "王\u{200b}所长", &"长".repeat(81)] {
        assert!(world.station.add_unit_key(world.unit, name).is_err(), "{name:?}");
    }
    world.station.add_unit_key(world.unit, " 王所长 ").unwrap();
    assert_eq!(world.station.unit_keys().unwrap()[0].custodian, "王所长");
}
