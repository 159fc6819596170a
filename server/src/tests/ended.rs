//! How a phone is put out: the end of a book at every step of an exchange, who may order it, and that nothing brings it back.

use std::sync::{Arc, Mutex};

use beatbook_protocol::id::BookId;
use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::page::{BookKey, SealedPage, Signer, header_hash};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Challenged, ExchangeResponse, Refusal, RefusalCode, exchange_message, pack, read, unpack};

use crate::environment::{Environment, Steps};
use crate::error::StationError;
use crate::station::Station;
use crate::testing::{Phone, World, enrol_request, visit};

pub(super) fn receipt_key(phone: &Phone) -> StationPublicKey {
    StationPublicKey::from_bytes(&phone.enrolled.receipt_key.clone().try_into().unwrap()).unwrap()
}

/// What came of a request that a phone signed.
pub(super) struct Told(Result<Vec<u8>, Refusal>);

impl Told {
    pub(super) fn reply(self) -> ExchangeResponse {
        read("reply", &unpack(&self.0.unwrap()).unwrap()).unwrap()
    }

    fn refusal(self) -> Refusal {
        self.0.unwrap_err()
    }

    /// Whether these bytes stand in the reply, once it is unpacked.
    fn holds(&self, bytes: &[u8]) -> bool {
        let reply = unpack(self.0.as_ref().unwrap()).unwrap();
        reply.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Sends what a phone has, signed where the station asks for it.
pub(super) fn signed(world: &World, phone: &Phone, pages: Vec<SealedPage>) -> Told {
    let packed = pack(&phone.request(pages)).unwrap();
    let first = world.station.exchange(&packed, Some(&phone.enrolled.token), None);
    let Err(Refusal {
        challenge: Some(challenge),
        ..
    }) = first
    else {
        return Told(first);
    };
    let signature = phone.key.sign(&exchange_message(&challenge, &packed)).unwrap();
    let challenged = Challenged { challenge, signature };
    Told(world.station.exchange(&packed, None, Some(&challenged)))
}

/// A page with a visit, finished and submitted.
pub(super) fn evening(world: &World, phone: &mut Phone) -> (beatbook_protocol::id::RecordId, SealedPage) {
    let record = world.record_id();
    let entries = vec![
        phone.write(record, Some(world.unit), visit()),
        phone.act(record, "finish", None),
        phone.act(record, "submit", None),
    ];
    (record, phone.seal(entries))
}

pub(super) fn end(world: &World, phone: &Phone) {
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
    assert_eq!(
        world.station.deliver(&[], Some(&token)).unwrap_err().code(),
        RefusalCode::SignIn
    );
    let (_, page) = evening(&world, &mut phone);
    let reply = signed(&world, &phone, vec![page.clone()]).reply();
    let order = reply.wipe.unwrap();
    assert!(order.is_for(phone.book, &phone.enrolled.origin, &receipt_key(&phone)));
    assert_eq!(order.why, "lost");
    let held = reply.held.unwrap();
    assert!(held.is_for(phone.book, &phone.enrolled.origin, &receipt_key(&phone)));
    assert_eq!(
        (held.pages.as_slice(), held.refused.len()),
        ([header_hash(&page.header)].as_slice(), 0)
    );
    assert!(reply.feed.is_empty() && reply.fill.is_none() && reply.token.is_none() && reply.checkpoint.is_none());
    assert!(reply.answers.is_empty() && reply.kinds.is_none() && reply.sealing.is_none());
    let again = signed(&world, &phone, vec![page]).reply();
    assert_eq!(again.held.unwrap().pages, held.pages, "asked again, the same is said");
    let thief = BookKey::from_secret(&[8; 32]).unwrap();
    let stolen = Phone { key: thief, ..phone };
    assert_eq!(signed(&world, &stolen, vec![]).refusal().code(), RefusalCode::SignIn);
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
    assert!(matches!(
        station.end_book(Some(&colleague), phone.book, "lost"),
        Err(StationError::NotFound(_))
    ));
    assert!(matches!(
        station.end_book(Some(&world.chief), phone.book, "broken"),
        Err(StationError::Invalid(_))
    ));
    for unknown in [BookId::from_bytes([9; 16]), station.book] {
        assert!(matches!(
            station.end_book(Some(&world.chief), unknown, "lost"),
            Err(StationError::NotFound(_))
        ));
    }
    let elsewhere = station.add_unit(Some(&world.chief), "东", Some(world.unit)).unwrap();
    let stranger = station
        .add_user(Some(&world.chief), "赵所长", &["chief".into()], elsewhere)
        .unwrap();
    assert!(
        matches!(
            station.end_book(Some(&session(stranger)), phone.book, "lost"),
            Err(StationError::NotFound(_))
        ),
        "to a chief of other people there is no such book"
    );
    station
        .end_book(Some(&session(phone.enrolled.user)), phone.book, "retired")
        .unwrap();
    assert!(matches!(
        station.end_book(Some(&world.chief), phone.book, "lost"),
        Err(StationError::Invalid(_))
    ));
    let view = station.book(&world.chief, phone.book).unwrap().ended.unwrap();
    assert_eq!((view.why.as_str(), view.by.unwrap().user), ("retired", phone.enrolled.user));
    assert!(matches!(station.book(&colleague, phone.book), Err(StationError::NotFound(_))));
    let mut blocked = world.phone("刘警官", "officer");
    world.sync(&mut blocked, None);
    assert_eq!(station.end_books(Some(&world.chief), blocked.enrolled.user).unwrap(), 1);
    assert_eq!(signed(&world, &blocked, vec![]).reply().wipe.unwrap().why, "blocked");
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
            Ok(reply) => {
                phone.receive(&reply);
            }
            Err(refusal) => assert!(refusal.challenge.is_some(), "{step}"),
        }
        assert_eq!(
            phone.heard_of(theirs.as_bytes()),
            is_composed,
            "{step}: what a colleague wrote goes down before the end alone"
        );
        let on_ledger = world.station.record(&world.chief, record).unwrap().is_some();
        assert_eq!(on_ledger, !is_before, "{step}");
        let told = signed(&world, &phone, vec![page.clone()]);
        assert!(!told.holds(theirs.as_bytes()), "{step}: nor with the order");
        let again = told.reply();
        assert!(again.wipe.is_some() && again.feed.is_empty(), "{step}");
        let (answered, held) = (again.answers.len(), again.held.unwrap().pages.len());
        assert_eq!((answered, held), if is_before { (0, 1) } else { (1, 0) }, "{step}");
        assert!(world.station.verify_ledger().unwrap().holds(), "{step}");
    }
}

#[test]
fn an_older_copy_of_the_station_lets_no_book_in_again_that_had_ended() {
    let mut world = World::new();
    let user = world
        .station
        .add_user(Some(&world.chief), "李警官", &["officer".into()], world.unit)
        .unwrap();
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
    assert_eq!(
        world.station.exchange(&packed, Some(&token), None).unwrap_err().code(),
        RefusalCode::SignIn
    );
    assert_eq!(signed(&world, &phone, vec![]).reply().wipe.unwrap().why, "lost");
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
    assert!(signed(&world, &phone, vec![]).reply().wipe.is_some());
    let ends = |world: &World| {
        world
            .station
            .dump()
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("book_end|"))
            .count()
    };
    assert_eq!(ends(&world), 1);
    world.reopen();
    assert_eq!(ends(&world), 1);
}

#[test]
fn an_enrolment_that_is_asked_for_again_gives_no_token_to_a_book_that_has_ended() {
    let world = World::new();
    let user = world
        .station
        .add_user(Some(&world.chief), "李警官", &["officer".into()], world.unit)
        .unwrap();
    let code = world.station.enrolment_code(Some(&world.chief), user).unwrap();
    let key = BookKey::from_secret(&[5; 32]).unwrap();
    let request = enrol_request(&code.code, BookId::from_bytes([5; 16]), &key);
    world.station.enrol(&request).unwrap();
    world.station.end_book(Some(&world.chief), request.book, "lost").unwrap();
    assert_eq!(world.station.enrol(&request).unwrap_err().code(), RefusalCode::EnrolmentCode);
    assert_eq!(world.station.enrolment(&world.chief, code.id).unwrap().state, "ended");
}

#[test]
fn a_new_book_of_the_same_person_brings_what_was_written_under_the_old_ones_mark() {
    let world = World::new();
    let mut old = world.phone("李警官", "officer");
    let record = world.record_id();
    let first = old.write(record, Some(world.unit), visit());
    world.verdicts(&mut old, vec![first]);
    let mut new = world.phone_of(old.enrolled.user);
    // The same file: the same documents, under the same mark.
    (new.actor, new.documents) = (old.actor, std::mem::take(&mut old.documents));
    let more = new.write(
        record,
        None,
        beatbook_protocol::document::Edit::new().field("duration_min", 5_i64),
    );
    let other = new.write(world.record_id(), Some(world.unit), visit());
    assert_eq!(
        world.verdicts(&mut new, vec![more, other]),
        [
            beatbook_protocol::wire::Verdict::Accepted,
            beatbook_protocol::wire::Verdict::Accepted
        ]
    );
    assert!(world.station.verify_ledger().unwrap().holds());
}
