//! What becomes of pages and entries that phones send.

use beatbook_protocol::document::{Edit, FieldPath};
use beatbook_protocol::entry::{Entry, RegistryEvent, UserEvent};
use beatbook_protocol::id::{IncarnationId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::{RefusalCode, Verdict, pack, verdict_of};

use crate::testing::{World, code, enrol_request, visit};

#[test]
fn a_page_is_taken_in_once_however_often_it_is_sent() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    let entry = phone.write(record, Some(world.unit), visit());
    let page = phone.seal(vec![entry]);
    let first = world.send(&mut phone, vec![page.clone()]);
    let again = world.send(&mut phone, vec![page.clone(), page]);
    assert_eq!(first.answers[0].verdicts[0].verdict, 0);
    assert_eq!(again.answers, [first.answers[0].clone(), first.answers[0].clone()]);
    assert_eq!(first.cursor, again.cursor);
    assert_eq!(world.station.status().unwrap().records, 1);
}

#[test]
fn an_entry_that_comes_again_in_another_page_is_a_duplicate() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let entry = phone.write(world.record_id(), Some(world.unit), visit());
    assert_eq!(
        world.verdicts(&mut phone, vec![entry.clone(), entry.clone()]),
        [Verdict::Accepted, Verdict::Duplicate]
    );
    phone.incarnation = IncarnationId::from_bytes([9; 16]);
    (phone.next, phone.previous) = (0, beatbook_protocol::id::Hash::from_bytes([0; 32]));
    assert_eq!(world.verdicts(&mut phone, vec![entry]), [Verdict::Duplicate]);
}

#[test]
fn one_bad_entry_stops_no_other() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (one, two) = (world.record_id(), world.record_id());
    let good = phone.write(one, Some(world.unit), visit());
    let unopened = phone.write(two, None, visit());
    let registry = Entry::Registry(RegistryEvent::User(UserEvent {
        user: UserId::from_bytes([1; 16]),
        name: "me".into(),
        roles: vec!["chief".into()],
        unit: world.unit,
        blocked: None,
        on_behalf: None,
    }));
    let act = phone.act(one, "finish", None);
    let no_comment = phone.act(one, "comment", None);
    let unknown = phone.act(one, "fly", None);
    let not_his = phone.act(one, "approve", None);
    let sent = vec![
        good,
        b"junk".to_vec(),
        unopened,
        registry.to_bytes(),
        vec![0x82, 9, 0],
        act,
        no_comment,
        unknown,
        not_his,
    ];
    let verdicts = world.verdicts(&mut phone, sent);
    assert_eq!(verdicts[0], Verdict::Accepted);
    assert_eq!(verdicts[5], Verdict::Accepted);
    let codes: Vec<&str> = [1, 2, 3, 4, 6, 7, 8].into_iter().map(|at| code(&verdicts[at])).collect();
    assert_eq!(
        codes,
        [
            "malformed",
            "unknown_record",
            "forbidden",
            "not_understood",
            "comment_required",
            "unknown_act",
            "forbidden"
        ]
    );
}

#[test]
fn a_late_edit_is_allowed_by_what_its_author_could_know() {
    let world = World::new();
    let (mut author, mut other) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let record = world.submitted_visit(&mut author);
    world.send(&mut other, vec![]);
    // Written while the visit was still submitted, as far as this phone knew; approved before it was sent.
    let late = other.write(record, None, Edit::new().field("duration_min", 5_i64));
    let late = other.seal(vec![late]);
    let order = crate::station::ActOrder {
        code: "approve".into(),
        if_match: world.version(record),
        ..Default::default()
    };
    world.station.act(&world.chief, record, &order).unwrap();
    let reply = world.send(&mut other, vec![late]);
    assert_eq!(verdict_of(&reply.answers[0].verdicts, 0), Some(Verdict::Accepted));
    // Now he has heard of the approval, and only the chief may write.
    world.send(&mut other, vec![]);
    let later = other.write(record, None, Edit::new().field("duration_min", 6_i64));
    let verdicts = world.verdicts(&mut other, vec![later]);
    assert_eq!(code(&verdicts[0]), "forbidden");
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert!(page.pinned);
    assert_eq!(page.pending.len(), 1);
    assert!(!page.official.fields.contains_key("duration_min"));
}

#[test]
fn another_books_author_mark_is_refused() {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("赵警官", "officer"));
    let first = one.write(world.record_id(), Some(world.unit), visit());
    world.verdicts(&mut one, vec![first]);
    two.actor = one.actor;
    let second = two.write(world.record_id(), Some(world.unit), visit());
    assert_eq!(code(&world.verdicts(&mut two, vec![second])[0]), "foreign_actor");
}

#[test]
fn a_refused_change_takes_its_descendants_along_and_nothing_else() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (bad, good) = (world.record_id(), world.record_id());
    let foreign = beatbook_protocol::id::UnitId::from_bytes([7; 16]);
    phone.kinds.insert(bad, "household".into());
    let opening = phone.write(bad, Some(foreign), Edit::new().field("address", "朝阳路12号"));
    let child = phone.write(bad, None, Edit::new().field("address_code", "5"));
    let private = phone.write_in(
        bad,
        DocumentName::Private,
        None,
        Edit::new().item(
            "contacts",
            beatbook_protocol::id::ItemId::from_bytes([1; 16]),
            [("phone", "1".into())],
        ),
    );
    let act = phone.act(bad, "archive", Some("x"));
    let sound = phone.write(good, Some(world.unit), visit());
    let verdicts = world.verdicts(&mut phone, vec![opening, child, private, act, sound]);
    let codes: Vec<&str> = verdicts[..4].iter().map(code).collect();
    assert_eq!(codes, ["out_of_scope", "descendant", "descendant", "descendant"]);
    assert_eq!(verdicts[4], Verdict::Accepted);
    // A page later there is still no such record.
    let grandchild = phone.write(bad, None, Edit::new().field("address_code", "6"));
    assert_eq!(code(&world.verdicts(&mut phone, vec![grandchild])[0]), "unknown_record");
}

#[test]
fn a_change_that_comes_before_what_it_builds_on_waits() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    let opening = phone.write(record, Some(world.unit), visit());
    let second = phone.write(record, None, Edit::new().field("duration_min", 5_i64));
    let third = phone.write(record, None, Edit::new().field("duration_min", 6_i64));
    let verdicts = world.verdicts(&mut phone, vec![opening, third.clone(), second]);
    assert!(
        matches!(&verdicts[1], Verdict::Needs { changes } if changes.len() == 1),
        "{verdicts:?}"
    );
    assert_eq!(verdicts[2], Verdict::Accepted);
    assert_eq!(world.verdicts(&mut phone, vec![third]), [Verdict::Accepted]);
}

#[test]
fn an_act_that_no_longer_fits_comes_back_with_the_state_it_met() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    let finish = phone.act(record, "finish", None);
    let verdicts = world.verdicts(&mut phone, vec![finish]);
    assert_eq!(code(&verdicts[0]), "state_met");
    assert!(matches!(&verdicts[0], Verdict::Refused { state_met: Some(met), .. } if met == "submitted"));
}

#[test]
fn a_submit_that_meets_submitted_is_an_offer_that_the_chief_takes_in() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    let more = phone.write(record, None, Edit::new().field("duration_min", 9_i64));
    let submit = phone.act(record, "submit", None);
    assert_eq!(
        world.verdicts(&mut phone, vec![more, submit]),
        [Verdict::Accepted, Verdict::Offered]
    );
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert!(page.header.offered);
    assert_eq!(page.pending[0].path, "fields/duration_min");
    assert_eq!(page.pending[0].author.name, "李警官");
    assert!(!page.official.fields.contains_key("duration_min"));
    let order = crate::station::ActOrder {
        code: "supplement".into(),
        if_match: page.header.version,
        ..Default::default()
    };
    world.station.act(&world.chief, record, &order).unwrap();
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert!(page.official.fields.contains_key("duration_min"));
    assert!(page.pending.is_empty() && !page.header.offered);
}

#[test]
fn what_two_phones_wrote_reaches_both_and_conflicts_are_seen_until_settled() {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let record = world.submitted_visit(&mut one);
    world.send(&mut two, vec![]);
    let first = one.write(record, None, Edit::new().field("outcome", "refused"));
    let second = two.write(record, None, Edit::new().field("outcome", "moved"));
    world.verdicts(&mut one, vec![first]);
    world.verdicts(&mut two, vec![second]);
    world.send(&mut one, vec![]);
    for phone in [&one, &two] {
        let view = phone.documents[&(record, DocumentName::Facts)].view().unwrap();
        assert_eq!(view.conflicts.len(), 1);
    }
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    let claims: Vec<&str> = page.conflicts[0]
        .claims
        .iter()
        .map(|claim| claim.author.name.as_str())
        .collect();
    assert_eq!(claims.len(), 2);
    assert!(claims.contains(&"李警官") && claims.contains(&"张网格"));
    let done = world
        .station
        .settle(
            &world.chief,
            record,
            "fields/outcome",
            &"refused".into(),
            &page.header.version,
        )
        .unwrap();
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert_eq!((page.conflicts.len(), page.header.version), (0, done.version));
    let settled: Vec<_> = page
        .history
        .iter()
        .filter(|line| line.path == "fields/outcome")
        .map(|line| line.author.name.as_str())
        .collect();
    assert_eq!(settled.last(), Some(&"王所长"), "{settled:?}");
    world.send(&mut two, vec![]);
    let view = two.documents[&(record, DocumentName::Facts)].view().unwrap();
    assert!(view.conflicts.is_empty());
    assert!(view.written.contains_key(&FieldPath::Field("outcome".into())));
}

#[test]
fn an_exchange_with_nothing_to_do_appends_nothing_and_says_little() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.send(&mut phone, vec![]);
    let before = world.station.status().unwrap().ledger;
    let packed = pack(&phone.request(vec![])).unwrap();
    let reply = world.station.exchange(&packed, Some(&phone.enrolled.token), None).unwrap();
    assert!(reply.len() < 150, "{} bytes", reply.len());
    let reply = phone.receive(&reply);
    assert!(reply.checkpoint.is_none() && reply.receipt.is_none() && reply.kinds.is_none() && reply.token.is_none());
    assert_eq!(world.station.status().unwrap().ledger, before);
}

#[test]
fn a_code_makes_one_book_and_the_same_again_gets_the_same_answer() {
    let world = World::new();
    let user = world
        .station
        .add_user(Some(&world.chief), "李警官", &["officer".into()], world.unit)
        .unwrap();
    let code = world.station.enrolment_code(Some(&world.chief), user).unwrap().code;
    let key = beatbook_protocol::page::BookKey::from_secret(&[5; 32]).unwrap();
    let other = beatbook_protocol::page::BookKey::from_secret(&[6; 32]).unwrap();
    let book = beatbook_protocol::id::BookId::from_bytes([1; 16]);
    let first = world.station.enrol(&enrol_request(&code, book, &key)).unwrap();
    let again = world.station.enrol(&enrol_request(&code, book, &key)).unwrap();
    assert_eq!((first.user, &first.user_name), (again.user, &again.user_name));
    assert_ne!(first.token, again.token);
    let refused = world.station.enrol(&enrol_request(&code, book, &other)).unwrap_err();
    assert_eq!(refused.code(), RefusalCode::EnrolmentCode);
    let late = world.station.enrolment_code(Some(&world.chief), user).unwrap().code;
    world.clock.pass(24 * 3_600_000);
    let another = beatbook_protocol::id::BookId::from_bytes([2; 16]);
    let refused = world.station.enrol(&enrol_request(&late, another, &other)).unwrap_err();
    assert_eq!(refused.code(), RefusalCode::EnrolmentCode);
}

#[test]
fn a_phone_without_a_token_signs_a_challenge_that_holds_once() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let reply = phone.sign_in(&world.station).unwrap();
    assert!(reply.token.is_some());
    let (packed, challenged) = phone.challenged(&world.station);
    assert!(world.station.exchange(&packed, None, Some(&challenged)).is_ok());
    assert_eq!(
        world.station.exchange(&packed, None, Some(&challenged)).unwrap_err().code(),
        RefusalCode::SignIn
    );
    let thief = beatbook_protocol::page::BookKey::from_secret(&[8; 32]).unwrap();
    phone.key = thief;
    assert_eq!(phone.sign_in(&world.station).unwrap_err().code(), RefusalCode::SignIn);
}

#[test]
fn a_long_feed_comes_in_pieces_that_each_stand_alone() {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("赵警官", "officer"));
    for _ in 0..5 {
        world.submitted_visit(&mut one);
    }
    let mut pieces = 0;
    loop {
        let mut request = two.request(vec![]);
        request.feed_bytes_max = Some(1);
        let reply = world
            .station
            .exchange(&pack(&request).unwrap(), Some(&two.enrolled.token), None)
            .unwrap();
        let reply = two.receive(&reply);
        pieces += 1;
        assert!(reply.feed.len() <= 1);
        if reply.more.is_none() {
            break;
        }
    }
    assert!(pieces > 5);
    assert_eq!(two.documents.len(), 5);
}

#[test]
fn a_history_that_the_station_never_had_is_refused() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.send(&mut phone, vec![]);
    if let Some(cursor) = &mut phone.cursor {
        cursor.position.size += 5;
    }
    let packed = pack(&phone.request(vec![])).unwrap();
    let refusal = world
        .station
        .exchange(&packed, Some(&phone.enrolled.token), None)
        .unwrap_err();
    assert_eq!(refusal.code, "unknown_history");
}

#[test]
fn an_act_that_repeats_another_is_the_records_last_act_all_the_same() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    let opening = phone.write(record, Some(world.unit), visit());
    let finish = phone.act(record, "finish", None);
    world.verdicts(&mut phone, vec![opening, finish]);
    let (before, state) = (world.version(record), world.state(record));
    let again = phone.act(record, "finish", None);
    assert_eq!(world.verdicts(&mut phone, vec![again]), [Verdict::Accepted]);
    assert_eq!(world.state(record), state);
    assert_ne!(
        world.version(record),
        before,
        "phones name the newest act, and so must the station"
    );
}
