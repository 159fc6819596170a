//! What happens to what a restore lost, to old copies of phones, and to a history that is in doubt.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::ledger::Position;
use beatbook_protocol::wire::{Cursor, ExchangeRequest, GivenEntry, Refusal, Verdict, pack, verdict_of};

use crate::error::StationError;
use crate::station::{ActOrder, Station};
use crate::testing::{Phone, World, code, visit};

/// A station that was restored from before a visit that one wrote and two saw; what two holds of the lost part.
pub(super) struct Restored {
    pub(super) world: World,
    pub(super) one: Phone,
    pub(super) two: Phone,
    pub(super) record: RecordId,
    lost: beatbook_protocol::page::SealedPage,
    pub(super) given: Vec<GivenEntry>,
    pub(super) note: String,
}

pub(super) fn restored(acts: &[&str]) -> Restored {
    let mut world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    world.sync(&mut one, None);
    world.sync(&mut two, None);
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let record = world.record_id();
    let entries = vec![
        one.write(record, Some(world.unit), visit()),
        one.act(record, "finish", None),
        one.act(record, "submit", None),
    ];
    let lost = one.seal(entries);
    world.send(&mut one, vec![lost.clone()]);
    for code in acts {
        let order = ActOrder {
            code: (*code).into(),
            comment: Some("好".into()),
            if_match: world.version(record),
            ..ActOrder::default()
        };
        world.station.act(&world.chief, record, &order).unwrap();
    }
    world.sync(&mut two, None);
    let note = two.note.clone().unwrap();
    let mut held: Vec<_> = two.held.records.get(&record).unwrap().values().cloned().collect();
    held.sort_by_key(|held| held.place);
    let given = held
        .into_iter()
        .map(|held| GivenEntry {
            entry: held.bytes.into(),
            book: held.book,
            received: held.received,
        })
        .collect();
    let data = world.dir.path().join("restored");
    Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    world.reopen_at(&data);
    two.held.records.clear();
    one.sign_in(&world.station).unwrap();
    two.sign_in(&world.station).unwrap();
    Restored {
        world,
        one,
        two,
        record,
        lost,
        given,
        note,
    }
}

pub(super) fn give(world: &World, phone: &mut Phone, given: &[GivenEntry], witness: Option<&str>) -> Vec<Verdict> {
    let mut request = phone.request(vec![]);
    request.given = Some(given.to_vec());
    request.witness = witness.map(str::to_owned);
    let runs = world.ask(phone, &request).given.unwrap();
    (0..u32::try_from(given.len()).unwrap())
        .map(|at| verdict_of(&runs, at).unwrap())
        .collect()
}

fn refused(station: &Station, phone: &Phone, request: &ExchangeRequest) -> Refusal {
    let packed = pack(request).unwrap();
    station.exchange(&packed, Some(&phone.enrolled.token), None).unwrap_err()
}

#[test]
fn what_a_restore_lost_comes_back_from_a_colleague_marked_until_its_author_returns() {
    let Restored {
        mut world,
        mut one,
        mut two,
        record,
        lost,
        given,
        note,
    } = restored(&[]);
    assert_eq!(world.station.status().unwrap().records, 0);
    assert_eq!(
        give(&world, &mut two, &given, Some(&note)),
        [Verdict::Accepted, Verdict::Accepted, Verdict::Accepted]
    );
    assert_eq!(
        give(&world, &mut two, &given, Some(&note)),
        [Verdict::Duplicate, Verdict::Duplicate, Verdict::Duplicate]
    );
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert_eq!(page.header.state, "submitted");
    assert_eq!(page.header.author.name, "李警官");
    assert_eq!(page.recovered.len(), 3);
    assert!(
        page.recovered
            .iter()
            .all(|line| line.author.name == "李警官" && line.giver.name == "张网格")
    );
    assert_eq!(world.station.status().unwrap().recovered, 1);
    assert_eq!(world.sync(&mut two, None).digest, None, "the giver holds what it gave");
    assert!(world.station.verify_ledger().unwrap().holds());
    // He goes on where he was, on what was given back for him.
    let reply = world.send(&mut one, vec![lost.clone()]);
    assert_eq!(reply.answers[0].verdicts[0].verdict, 1, "duplicates: {reply:?}");
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert!(page.recovered.is_empty() && page.header.state == "submitted");
    assert_eq!(world.station.status().unwrap().recovered, 0);
    assert_eq!(world.sync(&mut one, None).digest, None);
    let edit = one.write(record, None, Edit::new().field("duration_min", 5_i64));
    assert_eq!(world.verdicts(&mut one, vec![edit]), [Verdict::Accepted]);
    world.sync(&mut two, None);
    assert_eq!(world.sync(&mut two, None).digest, None);
    let mut third = world.phone("周警官", "officer");
    world.sync(&mut third, None);
    assert_eq!(world.sync(&mut third, None).digest, None, "a new phone gets the same");
    let dump = world.station.dump().unwrap();
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
    assert_eq!(world.station.dump().unwrap(), dump);
    assert!(world.station.verify_ledger().unwrap().holds());
    let data = world.dir.path().join("restored");
    world.reopen_at(&data);
    assert!(Station::doctor(&data, &world.keys()).iter().all(|check| check.ok));
}

#[test]
fn the_chiefs_own_acts_come_back_too_and_an_author_who_was_first_needs_nobody() {
    let Restored {
        world,
        mut one,
        mut two,
        record,
        lost,
        given,
        note,
    } = restored(&["approve"]);
    assert_eq!(world.send(&mut one, vec![lost]).answers[0].verdicts[0].verdict, 0);
    let verdicts = give(&world, &mut two, &given, Some(&note));
    assert_eq!(
        verdicts,
        [Verdict::Duplicate, Verdict::Duplicate, Verdict::Duplicate, Verdict::Accepted]
    );
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    assert_eq!((page.header.state.as_str(), page.recovered.len()), ("approved", 1));
    assert_eq!(page.acts.last().unwrap().author.name, "王所长");
    for phone in [&mut one, &mut two] {
        world.sync(phone, None);
        assert_eq!(world.sync(phone, None).digest, None);
    }
}

#[test]
fn nothing_is_given_back_without_a_signed_witness_or_by_who_could_not_hold_it() {
    let Restored {
        world,
        mut one,
        mut two,
        given,
        note,
        ..
    } = restored(&[]);
    let fresh = two.note.clone().unwrap();
    for witness in [None, Some("nonsense"), Some(fresh.as_str())] {
        let verdicts = give(&world, &mut two, &given, witness);
        assert!(verdicts.iter().all(|verdict| code(verdict) == "unwitnessed"), "{witness:?}");
    }
    let forged = note.replacen("beatbook/station-", "beatbook/stations-", 1);
    assert_eq!(code(&give(&world, &mut two, &given, Some(&forged))[0]), "unwitnessed");
    let mut unknown = given.clone();
    unknown.iter_mut().for_each(|one| one.book = BookId::from_bytes([9; 16]));
    assert_eq!(code(&give(&world, &mut two, &unknown, Some(&note))[0]), "unknown_book");
    assert_eq!(
        code(&give(&world, &mut one, &given, Some(&note))[0]),
        "forbidden",
        "his own come in his pages"
    );
    let unit = world.station.add_unit(None, "远", None).unwrap();
    let far = world.station.add_user(None, "远", &["officer".into()], unit).unwrap();
    let mut far = world.phone_of(far);
    world.sync(&mut far, None);
    let verdicts = give(&world, &mut far, &given, Some(&note));
    assert!(verdicts.iter().all(|verdict| code(verdict) == "out_of_scope"), "{verdicts:?}");
    let status = world.station.status().unwrap();
    assert_eq!((status.records, status.recovered), (0, 0));
}

#[test]
fn an_invented_history_stops_nobody_but_one_that_was_signed_here_stops_the_station() {
    let mut world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    world.sync(&mut two, None);
    let mut invented = two.request(vec![]);
    invented.cursor = Some(Cursor {
        position: Position {
            epoch: 0,
            size: 3,
            root: Hash::from_bytes([7; 32]),
        },
        fill: None,
    });
    invented.witness = Some("beatbook/station-1/0\n3\nAAAA\n\n\u{2014} x y\n".into());
    assert_eq!(refused(&world.station, &two, &invented).code, "unknown_history");
    world.sync(&mut one, None);
    assert_eq!(world.station.status().unwrap().alarm, None);

    // A copy that runs elsewhere with the same keys: both go on, and a phone has met the other one.
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let elsewhere = world.dir.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::copy(&backup.file, elsewhere.join("station.db")).unwrap();
    let copy = Station::open(&elsewhere, &world.keys(), &[], world.env.clone()).unwrap();
    world.submitted_visit(&mut one);
    world.sync(&mut two, None);
    copy.add_user(None, "他处", &["officer".into()], world.unit).unwrap();
    let mut request = two.request(vec![]);
    let packed = pack(&request).unwrap();
    let answer = copy.exchange(&packed, None, None).unwrap_err();
    assert_eq!(answer.code, "sign_in");
    let met = two.challenged(&copy);
    assert_eq!(copy.exchange(&met.0, None, Some(&met.1)).unwrap_err().code, "unknown_history");
    assert_eq!(copy.status().unwrap().alarm, None, "a cursor proves nothing");
    request.witness.clone_from(&two.note);
    let refusal = show(&copy, &two, &request);
    assert_eq!(refusal.code, "history_alarm");
    let status = copy.status().unwrap();
    assert!(status.alarm.unwrap().contains(&two.book.to_string()));
    assert!(matches!(copy.checkpoint(), Err(StationError::OtherHistory)));
    let other = show(&copy, &one, &one.request(vec![]));
    assert_eq!(
        other.code, "history_alarm",
        "nobody is answered until the operator has looked"
    );
    let doubtful = copy.backup(&world.dir.path().join("doubtful")).unwrap();
    drop(copy);
    assert!(
        Station::doctor(&elsewhere, &world.keys())
            .iter()
            .any(|check| check.name == "history" && !check.ok)
    );
    // The other one goes on; a restore ends it, since its notes say what they follow.
    world.sync(&mut two, None);
    let data = world.dir.path().join("restored");
    Station::restore(&doubtful.file, &data, &world.keys(), &world.env).unwrap();
    world.reopen_at(&data);
    assert_eq!(world.station.status().unwrap().alarm, None);
    assert!(world.station.checkpoint().is_ok());
}

/// Signs in with a request and gives the refusal.
fn show(station: &Station, phone: &Phone, request: &ExchangeRequest) -> Refusal {
    use beatbook_protocol::page::Signer as _;
    use beatbook_protocol::wire::{Challenged, exchange_message};
    let packed = pack(request).unwrap();
    let challenge = station.exchange(&packed, None, None).unwrap_err().challenge.unwrap();
    let signature = phone.key.sign(&exchange_message(&challenge, &packed)).unwrap();
    station
        .exchange(&packed, None, Some(&Challenged { challenge, signature }))
        .unwrap_err()
}

#[test]
fn an_old_copy_of_a_phone_is_told_so_and_nothing_of_it_is_taken() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.sync(&mut phone, None);
    let (next, previous, cursor) = (phone.next, phone.previous, phone.cursor.clone());
    let first = world.submitted_visit(&mut phone);
    let size = world.station.status().unwrap().ledger.size;
    // Set back to before the visit: its next page has a number that was used.
    let went_on = (phone.next, phone.previous);
    (phone.next, phone.previous, phone.cursor) = (next, previous, cursor.clone());
    let mut request = phone.request(vec![]);
    request.next = Some(phone.next);
    let reply = world.ask(&mut phone, &request);
    assert_eq!((reply.renew, &reply.cursor), (Some(true), cursor.as_ref().unwrap()));
    assert!(reply.feed.is_empty() && reply.digest.is_none());
    // A clone went on by itself: it sends another page of the same number.
    let entry = phone.write(world.record_id(), Some(world.unit), visit());
    let page = phone.seal(vec![entry]);
    let mut request = phone.request(vec![page.clone()]);
    request.next = Some(phone.next);
    let reply = world.ask(&mut phone, &request);
    assert_eq!((reply.renew, reply.answers.len()), (Some(true), 0));
    assert_eq!(world.station.status().unwrap().ledger.size, size);
    assert_eq!(world.station.status().unwrap().quarantined, 0);
    // Who does not say what comes next is answered as ever.
    let reply = world.send(&mut phone, vec![page]);
    assert_eq!((reply.renew, reply.answers[0].fault.as_deref()), (None, Some("page_chain")));
    // The one that is ahead goes on; asking the same twice is no old copy.
    (phone.next, phone.previous) = went_on;
    let edit = phone.write(first, None, Edit::new().field("duration_min", 5_i64));
    let page = phone.seal(vec![edit]);
    let mut request = phone.request(vec![page]);
    request.next = Some(phone.next);
    assert_eq!(world.ask(&mut phone, &request).renew, None);
    phone.cursor.clone_from(&request.cursor);
    assert_eq!(world.ask(&mut phone, &request).renew, None);
    // Under a new incarnation the old copy gets all that it forgot.
    phone.incarnation = beatbook_protocol::id::IncarnationId::from_bytes([8; 16]);
    (phone.next, phone.previous, phone.cursor) = (0, Hash::from_bytes([0; 32]), cursor);
    phone.held.records.clear();
    world.sync(&mut phone, None);
    assert!(phone.held.records.contains_key(&first));
    assert_eq!(world.sync(&mut phone, None).digest, None);
}
