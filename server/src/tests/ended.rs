//! How a phone is put out: the end of a book at every step of an exchange, what is held of it, who decides, and that nothing brings it back.

use std::sync::{Arc, Mutex};

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::BookId;
use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::page::{BookKey, SealedPage, Signer, header_hash};
use beatbook_protocol::parcel::{Parcel, ParcelContent, SealingKey};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    Challenged, DeliverRequest, ExchangeResponse, Refusal, RefusalCode, WIRE_VERSION, WipeReceipt, WipedRequest,
    exchange_message, pack, read, unpack,
};

use crate::environment::{Environment, Steps};
use crate::error::StationError;
use crate::station::{HeldChoice, Session, Station};
use crate::testing::{Phone, World, enrol_request, visit};

fn receipt_key(phone: &Phone) -> StationPublicKey {
    StationPublicKey::from_bytes(&phone.enrolled.receipt_key.clone().try_into().unwrap()).unwrap()
}

/// What a phone is told that signs what it sends.
fn signed(world: &World, phone: &Phone, pages: Vec<SealedPage>) -> Result<ExchangeResponse, Refusal> {
    let packed = pack(&phone.request(pages)).unwrap();
    let token = phone.enrolled.token.clone();
    let challenge = match world.station.exchange(&packed, Some(&token), None) {
        Ok(reply) => return Ok(read("reply", &unpack(&reply).unwrap()).unwrap()),
        Err(refusal) => refusal.challenge.clone().ok_or(refusal)?,
    };
    let signature = phone.key.sign(&exchange_message(&challenge, &packed)).unwrap();
    let reply = world.station.exchange(&packed, None, Some(&Challenged { challenge, signature }))?;
    Ok(read("reply", &unpack(&reply).unwrap()).unwrap())
}

/// A page with a visit, finished and submitted.
fn evening(world: &World, phone: &mut Phone) -> (beatbook_protocol::id::RecordId, SealedPage) {
    let record = world.record_id();
    let entries = vec![
        phone.write(record, Some(world.unit), visit()),
        phone.act(record, "finish", None),
        phone.act(record, "submit", None),
    ];
    (record, phone.seal(entries))
}

fn all_of(pages: &[&SealedPage], reason: &str) -> HeldChoice {
    HeldChoice {
        pages: pages.iter().map(|page| header_hash(&page.header)).collect(),
        entries: Vec::new(),
        reason: reason.into(),
    }
}

fn end(world: &World, phone: &Phone) {
    world.station.end_book(Some(&world.chief), phone.book, "lost").unwrap();
}

#[test]
fn from_its_end_on_no_token_of_a_book_opens_anything_and_its_key_gets_the_order_alone() {
    let world = World::new();
    let (mut phone, mut other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    world.sync(&mut phone, None);
    world.submitted_visit(&mut other);
    let token = phone.enrolled.token.clone();
    end(&world, &phone);
    let packed = pack(&phone.request(vec![])).unwrap();
    let refusal = world.station.exchange(&packed, Some(&token), None).unwrap_err();
    assert_eq!(refusal.code(), RefusalCode::SignIn);
    assert!(world.station.hint_scope(&token).is_none());
    assert!(crate::blobs::bearer_of(&world.station, &token).unwrap().is_none());
    assert_eq!(world.station.deliver(&[], Some(&token)).unwrap_err().code(), RefusalCode::SignIn);
    let (_, page) = evening(&world, &mut phone);
    let reply = signed(&world, &phone, vec![page.clone()]).unwrap();
    let order = reply.wipe.unwrap();
    assert!(order.is_for(phone.book, &phone.enrolled.origin, &receipt_key(&phone)));
    assert_eq!(order.why, "lost");
    let held = reply.held.unwrap();
    assert!(held.is_for(phone.book, &phone.enrolled.origin, &receipt_key(&phone)));
    assert_eq!((held.pages.as_slice(), held.refused.len()), ([header_hash(&page.header)].as_slice(), 0));
    assert!(reply.feed.is_empty() && reply.fill.is_none() && reply.token.is_none() && reply.checkpoint.is_none());
    assert!(reply.answers.is_empty() && reply.kinds.is_none() && reply.sealing.is_none());
    let again = signed(&world, &phone, vec![page]).unwrap();
    assert_eq!(again.held.unwrap().pages, held.pages, "asked again, the same is said");
    let thief = BookKey::from_secret(&[8; 32]).unwrap();
    let stolen = Phone { key: thief, ..phone };
    assert_eq!(signed(&world, &stolen, vec![]).unwrap_err().code(), RefusalCode::SignIn);
}

#[test]
fn who_may_end_a_book_is_its_chief_its_person_and_nobody_else_and_only_once() {
    let world = World::new();
    let phone = world.phone("李警官", "officer");
    let session = |user| {
        let token = world.station.issue_token(Some(&world.chief), user).unwrap();
        world.station.session(&token).unwrap()
    };
    let colleague = session(world.phone("张警官", "officer").enrolled.user);
    let station = &world.station;
    assert!(matches!(station.end_book(Some(&colleague), phone.book, "lost"), Err(StationError::Forbidden(_))));
    assert!(matches!(station.end_book(Some(&world.chief), phone.book, "broken"), Err(StationError::Invalid(_))));
    for unknown in [BookId::from_bytes([9; 16]), station.book] {
        assert!(matches!(station.end_book(Some(&world.chief), unknown, "lost"), Err(StationError::NotFound(_))));
    }
    let elsewhere = station.add_unit(Some(&world.chief), "东", Some(world.unit)).unwrap();
    let stranger = station.add_user(Some(&world.chief), "赵所长", &["chief".into()], elsewhere).unwrap();
    assert!(station.end_book(Some(&session(stranger)), phone.book, "lost").is_err(), "a chief of other people");
    station.end_book(Some(&session(phone.enrolled.user)), phone.book, "retired").unwrap();
    assert!(matches!(station.end_book(Some(&world.chief), phone.book, "lost"), Err(StationError::Invalid(_))));
    let view = station.book(&world.chief, phone.book).unwrap().ended.unwrap();
    assert_eq!((view.why.as_str(), view.by.unwrap().user), ("retired", phone.enrolled.user));
    assert!(matches!(station.book(&colleague, phone.book), Err(StationError::NotFound(_))));
    let mut blocked = world.phone("刘警官", "officer");
    world.sync(&mut blocked, None);
    assert_eq!(station.end_books(Some(&world.chief), blocked.enrolled.user).unwrap(), 1);
    assert_eq!(signed(&world, &blocked, vec![]).unwrap().wipe.unwrap().why, "blocked");
}

/// Ends a book from another process when the station comes to a step.
#[derive(Default)]
struct EndsAt(Mutex<Option<(&'static str, Station, BookId)>>);

impl std::fmt::Debug for EndsAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EndsAt")
    }
}

impl Steps for EndsAt {
    fn passes(&self, step: &'static str) {
        let armed = self.0.lock().unwrap().take_if(|(at, _, _)| *at == step);
        if let Some((_, station, book)) = armed {
            station.end_book(None, book, "lost").unwrap();
        }
    }
}

#[test]
fn a_book_that_ends_at_any_step_of_its_exchange_gets_nothing_more_and_its_pages_are_on_the_ledger_or_held() {
    for step in ["token issued", "pages taken in", "checkpoint signed", "reply ready"] {
        let mut world = World::new();
        let mut phone = world.phone("李警官", "officer");
        let mut other = world.phone("张警官", "officer");
        world.sync(&mut phone, None);
        let theirs = world.submitted_visit(&mut other);
        let steps = Arc::new(EndsAt::default());
        let env = Environment {
            steps: steps.clone(),
            ..world.env.clone()
        };
        let plain = world.env.clone();
        world.station = Station::open(&world.data(), &world.keys(), &[], env).unwrap();
        let beside = Station::open(&world.data(), &world.keys(), &[], plain).unwrap();
        *steps.0.lock().unwrap() = Some((step, beside, phone.book));
        let (record, page) = evening(&world, &mut phone);
        let packed = pack(&phone.request(vec![page.clone()])).unwrap();
        let first = world.station.exchange(&packed, Some(&phone.enrolled.token), None);
        assert!(steps.0.lock().unwrap().is_none(), "{step}");
        let is_before = step == "token issued";
        let is_composed = matches!(step, "checkpoint signed" | "reply ready");
        match first {
            // The reply was made before the end; from then on nothing.
            Ok(_) => assert!(is_composed, "{step}"),
            Err(refusal) => {
                assert!(!is_composed, "{step}");
                assert!(refusal.challenge.is_some());
            }
        }
        let on_ledger = world.station.record(&world.chief, record).unwrap().is_some();
        assert_eq!(on_ledger, !is_before, "{step}");
        let again = signed(&world, &phone, vec![page.clone()]).unwrap();
        assert!(again.wipe.is_some() && again.feed.is_empty(), "{step}");
        let (answered, held) = (again.answers.len(), again.held.unwrap().pages.len());
        assert_eq!((answered, held), if is_before { (0, 1) } else { (1, 0) }, "{step}");
        assert!(!is_before || !phone.heard_of(theirs.as_bytes()), "{step}: what a colleague wrote went down after the end");
        assert!(world.station.verify_ledger().unwrap().holds(), "{step}");
    }
}

#[test]
fn what_is_held_is_shown_to_its_chief_admitted_with_his_name_and_reaches_the_colleagues() {
    let mut world = World::new();
    let (mut phone, mut other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    let before = world.submitted_visit(&mut phone);
    world.sync(&mut phone, None);
    world.sync(&mut other, None);
    let (record, page) = evening(&world, &mut phone);
    let rejected = phone.write(before, None, Edit::new().field("outcome", "no_answer"));
    let second = phone.seal(vec![rejected]);
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone(), second.clone()]).unwrap();
    assert!(world.station.record(&world.chief, record).unwrap().is_none(), "nothing is taken in of itself");

    let view = world.station.quarantine(&world.chief, false).unwrap();
    assert_eq!((view.records.len(), view.others.len()), (2, 0));
    let shown = &view.records[0];
    assert_eq!((shown.record, shown.is_here, shown.kind.as_deref()), (record, false, Some("visit")));
    assert!(shown.title.as_deref().is_some_and(|title| !title.is_empty()));
    assert_eq!(shown.facts.as_ref().unwrap().fields["purpose"], "routine".into());
    let lines: Vec<_> = shown.entries.iter().map(|line| (line.sort.as_str(), line.code.as_deref(), line.state.as_str())).collect();
    assert_eq!(
        lines,
        [("change", None, "open"), ("act", Some("finish"), "open"), ("act", Some("submit"), "open")]
    );
    assert_eq!(shown.entries[0].author.name, "李警官");
    let stranger = colleague(&world, &other);
    assert!(world.station.quarantine(&stranger, true).unwrap().records.is_empty(), "an officer sees none of it");
    let choice = all_of(&[&page], "当晚的走访, 核实无误");
    assert!(world.station.admit_held(&stranger, &choice).is_err());
    assert!(world.station.admit_held(&world.chief, &all_of(&[&page], " ")).is_err(), "without a reason");

    let told = world.station.admit_held(&world.chief, &choice).unwrap();
    assert!(told.iter().all(|line| line.state == "admitted" && line.code.is_none()), "{told:?}");
    assert_eq!(world.state(record), "submitted");
    let opened = world.station.record(&world.chief, record).unwrap().unwrap();
    let admitted = &opened.recovered[0];
    assert_eq!(
        (admitted.author.name.as_str(), admitted.admitted_by.as_ref().unwrap().user),
        ("李警官", world.chief.user)
    );
    let told = world.station.refuse_held(&world.chief, &all_of(&[&second], "不是他写的")).unwrap();
    assert_eq!(told[0].state, "refused");
    assert!(world.station.admit_held(&world.chief, &all_of(&[&second], "x")).unwrap().is_empty(), "it is decided");
    let one = HeldChoice {
        entries: vec![(header_hash(&second.header), 0)],
        reason: "x".into(),
        ..HeldChoice::default()
    };
    assert!(matches!(world.station.admit_held(&world.chief, &one), Err(StationError::Invalid(_))));
    assert!(world.station.quarantine(&world.chief, false).unwrap().records.is_empty());
    let kept = world.station.quarantine(&world.chief, true).unwrap();
    assert_eq!(kept.records[1].entries[0].reason.as_deref(), Some("不是他写的"), "what was refused stays");

    world.sync(&mut other, None);
    assert!(other.heard_of(record.as_bytes()), "it shows on the colleagues' phones");
    assert_eq!(world.station.status().unwrap().recovered, 0, "it rests on no giver's word");
    let dump = world.station.dump().unwrap();
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
    assert_eq!(world.station.dump().unwrap(), dump);
    assert!(world.station.verify_ledger().unwrap().holds());
    world.reopen();
    let lines = world.station.store.read(|tx| tx.audit_from(1, 100)).unwrap();
    let said: Vec<&str> = lines.iter().map(|line| line.what.as_str()).filter(|what| !what.starts_with("enrol")).collect();
    assert_eq!(said, ["book.end", "quarantine.admit", "quarantine.refuse"], "and nothing for what was decided before");
    assert_eq!(lines.iter().find(|line| line.what == "quarantine.admit").unwrap().reason.as_deref(), Some("当晚的走访, 核实无误"));
}

fn colleague(world: &World, phone: &Phone) -> Session {
    let token = world.station.issue_token(Some(&world.chief), phone.enrolled.user).unwrap();
    world.station.session(&token).unwrap()
}

#[test]
fn what_its_author_might_not_have_written_is_not_admitted_either() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    world.sync(&mut phone, None);
    let forged = phone.act(record, "approve", None);
    let page = phone.seal(vec![forged, vec![0x82, 0x18, 50, 0xa0], b"nonsense".to_vec()]);
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone()]).unwrap();
    let view = world.station.quarantine(&world.chief, false).unwrap();
    assert_eq!((view.records.len(), view.others.len()), (1, 2));
    let told = world.station.admit_held(&world.chief, &all_of(&[&page], "看看")).unwrap();
    let codes: Vec<_> = told.iter().map(|line| (line.state.as_str(), line.code.as_deref().unwrap())).collect();
    assert_eq!(codes, [("open", "forbidden"), ("open", "not_understood"), ("open", "malformed")]);
    assert_eq!(world.state(record), "submitted");
}

#[test]
fn a_flood_of_an_ended_book_fills_its_own_bounds_and_nothing_else() {
    let world = World::new();
    let (mut phone, mut other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    end(&world, &phone);
    let large: Vec<u8> = [vec![0x82, 0x18, 50, 0x5a, 0, 1, 0x80, 0], vec![7; 96 * 1024]].concat();
    let (mut held, mut refused) = (0, Vec::new());
    for _ in 0..19 {
        let pages: Vec<SealedPage> = (0..10).map(|_| phone.seal(vec![large.clone()])).collect();
        let reply = signed(&world, &phone, pages).unwrap().held.unwrap();
        held += reply.pages.len();
        refused.extend(reply.refused);
    }
    assert!((160..=175).contains(&held), "{held} of some 100 KB each");
    assert!(!refused.is_empty() && refused.iter().all(|page| page.code == "full" && !page.text.is_empty()));
    let mut forged = phone.seal(vec![large]);
    forged.signature[5] ^= 1;
    let reply = signed(&world, &phone, vec![forged]).unwrap().held.unwrap();
    assert_eq!(reply.refused[0].code, "page_signature");
    world.submitted_visit(&mut other);
    let bytes = std::fs::read(world.data().join("station.db")).unwrap();
    let wal = std::fs::read(world.data().join("station.db-wal")).unwrap_or_default();
    let needle = [7; 64];
    assert!(
        !bytes.windows(64).chain(wal.windows(64)).any(|window| window == needle),
        "what is held lies sealed"
    );
}

#[test]
fn an_older_copy_of_the_station_lets_no_book_in_again_that_had_ended() {
    let mut world = World::new();
    let user = world.station.add_user(Some(&world.chief), "李警官", &["officer".into()], world.unit).unwrap();
    let mut phone = world.phone_of(user);
    world.sync(&mut phone, None);
    let code = world.station.enrolment_code(Some(&world.chief), user).unwrap().code;
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let late_key = BookKey::from_secret(&[5; 32]).unwrap();
    let late = enrol_request(&code, BookId::from_bytes([5; 16]), &late_key);
    world.station.enrol(&late).unwrap();
    world.station.end_book(Some(&world.chief), late.book, "lost").unwrap();
    end(&world, &phone);
    let token = phone.enrolled.token.clone();
    let data = world.dir.path().join("restored");
    let report = Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    assert_eq!(report.books_ended_again, 1, "the other is not in this copy at all");
    world.reopen_at(&data);
    let packed = pack(&phone.request(vec![])).unwrap();
    assert_eq!(world.station.exchange(&packed, Some(&token), None).unwrap_err().code(), RefusalCode::SignIn);
    assert_eq!(signed(&world, &phone, vec![]).unwrap().wipe.unwrap().why, "lost");
    assert_eq!(
        world.station.enrol(&late).unwrap_err().code(),
        RefusalCode::EnrolmentCode,
        "nor by the code that this copy thinks unused"
    );
    assert!(world.station.verify_ledger().unwrap().holds());
}

#[test]
fn an_end_whose_step_failed_after_it_was_logged_is_carried_out_at_the_next_start() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.sync(&mut phone, None);
    let line = crate::keys::Revoked {
        book: phone.book,
        why: "lost".into(),
        at: UnixMillis(1),
    };
    world.station.keys.gone.revoke(&line).unwrap();
    world.reopen();
    assert!(signed(&world, &phone, vec![]).unwrap().wipe.is_some());
    let ends = |world: &World| world.station.dump().unwrap().lines().filter(|line| line.starts_with("book_end|")).count();
    assert_eq!(ends(&world), 1);
    world.reopen();
    assert_eq!(ends(&world), 1);
}

#[test]
fn an_enrolment_that_is_asked_for_again_gives_no_token_to_a_book_that_has_ended() {
    let world = World::new();
    let user = world.station.add_user(Some(&world.chief), "李警官", &["officer".into()], world.unit).unwrap();
    let code = world.station.enrolment_code(Some(&world.chief), user).unwrap();
    let key = BookKey::from_secret(&[5; 32]).unwrap();
    let request = enrol_request(&code.code, BookId::from_bytes([5; 16]), &key);
    world.station.enrol(&request).unwrap();
    world.station.end_book(Some(&world.chief), request.book, "lost").unwrap();
    assert_eq!(world.station.enrol(&request).unwrap_err().code(), RefusalCode::EnrolmentCode);
    assert_eq!(world.station.enrolment(&world.chief, code.id).unwrap().state, "ended");
}

#[test]
fn a_parcel_of_a_book_that_has_ended_is_held_and_its_carrier_told() {
    let world = World::new();
    let (mut author, mut carrier) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    world.sync(&mut carrier, None);
    let (record, page) = evening(&world, &mut author);
    end(&world, &author);
    let to = author.enrolled.sealing.as_ref().unwrap().verify(&author.enrolled.origin, &receipt_key(&author)).unwrap();
    let content = ParcelContent {
        book: author.book,
        incarnation: author.incarnation,
        pages: vec![page.clone()],
        answer_key: *SealingKey::from_bytes(&[21; 32]).public_key().as_bytes(),
        made_at: UnixMillis(author.wall),
        app: "test".into(),
    };
    let file = Parcel::seal(&content, &author.enrolled.origin, &author.key, &to, &[4; 32]).unwrap();
    let request = pack(&DeliverRequest {
        version: WIRE_VERSION,
        parcel: file,
    })
    .unwrap();
    for _ in 0..2 {
        let refusal = world.station.deliver(&request, Some(&carrier.enrolled.token)).unwrap_err();
        assert_eq!(refusal.code, "parcel_ended");
    }
    let view = world.station.quarantine(&world.chief, false).unwrap();
    assert_eq!((view.records.len(), view.records[0].entries[0].carrier), (1, Some(carrier.book)));
    let told = world.station.admit_held(&world.chief, &all_of(&[&page], "托同事带来")).unwrap();
    assert!(told.iter().all(|line| line.state == "admitted"), "{told:?}");
    assert_eq!(world.state(record), "submitted");
    let reply = signed(&world, &author, vec![page]).unwrap();
    assert_eq!(reply.held.unwrap().pages.len(), 1, "and its own phone hears that it is held");
}

#[test]
fn the_last_word_of_a_phone_is_taken_once_and_only_from_a_book_that_has_ended() {
    let world = World::new();
    let phone = world.phone("李警官", "officer");
    let receipt = WipeReceipt {
        book: phone.book,
        why: "lost".into(),
        wiped_at: UnixMillis(7),
        held_pages: 1,
        held_entries: 3,
        lost_entries: 2,
        lost_blobs: 1,
        lost_drafts: 0,
    };
    let said = |receipt: &WipeReceipt, key: &BookKey| WipedRequest::sign(receipt, &phone.enrolled.origin, key).unwrap();
    let sound = said(&receipt, &phone.key);
    assert_eq!(world.station.wiped(&sound).unwrap_err().code(), RefusalCode::Malformed, "it has not ended");
    end(&world, &phone);
    let other = BookKey::from_secret(&[8; 32]).unwrap();
    assert_eq!(world.station.wiped(&said(&receipt, &other)).unwrap_err().code(), RefusalCode::Malformed);
    let stranger = WipeReceipt {
        book: BookId::from_bytes([3; 16]),
        ..receipt.clone()
    };
    assert_eq!(world.station.wiped(&said(&stranger, &phone.key)).unwrap_err().code(), RefusalCode::UnknownBook);
    world.station.wiped(&sound).unwrap();
    let later = WipeReceipt {
        lost_entries: 0,
        ..receipt
    };
    world.station.wiped(&said(&later, &phone.key)).unwrap();
    let view = world.station.book(&world.chief, phone.book).unwrap().wiped.unwrap();
    assert_eq!((view.held_entries, view.lost_entries), (3, 2), "the first word stays");
    let lines = world.station.store.read(|tx| tx.audit_from(1, 100)).unwrap();
    assert_eq!(lines.iter().filter(|line| line.what == "wipe.receipt").count(), 1);
}
