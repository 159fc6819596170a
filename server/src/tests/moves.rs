//! Who holds what: first syncs, moves, grants, and that nothing else ever reaches a phone.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId, UnitId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::{Verdict, pack};

use crate::station::GrantOrder;
use crate::testing::{Phone, World, code, visit};

const NUMBER: &str = "13800001234";

fn shared_with(phone: &Phone, ended: bool) -> GrantOrder {
    GrantOrder {
        user: Some(phone.enrolled.user),
        unit: None,
        reason: "shared".into(),
        ended,
    }
}

/// Two units below the station's, with an officer in each.
pub(super) fn two_units() -> (World, [UnitId; 2], [Phone; 2]) {
    let world = World::new();
    let unit = |name| world.station.add_unit(Some(&world.chief), name, Some(world.unit)).unwrap();
    let units = [unit("东"), unit("西")];
    let officer = |name, unit| {
        let user = world
            .station
            .add_user(Some(&world.chief), name, &["officer".into()], unit)
            .unwrap();
        world.phone_of(user)
    };
    let phones = [officer("李警官", units[0]), officer("赵警官", units[1])];
    (world, units, phones)
}

/// A household with a contact in its private document.
fn household(world: &World, phone: &mut Phone, unit: UnitId, address: &str) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "household".into());
    let opening = phone.write(record, Some(unit), Edit::new().field("address", address));
    let item = ItemId::from_bytes(world.sixteen());
    let contact = Edit::new().item("contacts", item, [("name", "李".into()), ("phone", NUMBER.into())]);
    let contact = phone.write_in(record, DocumentName::Private, None, contact);
    assert_eq!(
        world.verdicts(phone, vec![opening, contact]),
        [Verdict::Accepted, Verdict::Accepted]
    );
    record
}

#[test]
fn a_first_sync_can_be_cut_at_every_request_while_others_write() {
    let world = World::new();
    let mut writer = world.phone("李警官", "officer");
    let records: Vec<RecordId> = (0..12).map(|_| world.submitted_visit(&mut writer)).collect();
    let mut new = world.phone("张网格", "grid_worker");
    world
        .station
        .grant(Some(&world.chief), records[2], &shared_with(&new, false))
        .unwrap();
    let mut requests = 0;
    loop {
        let mut request = new.request(vec![]);
        request.feed_bytes_max = Some(1);
        // A reply that is lost changes nothing: the same is asked again.
        let packed = pack(&request).unwrap();
        world.station.exchange(&packed, Some(&new.enrolled.token), None).unwrap();
        let more = world.ask(&mut new, &request).more;
        requests += 1;
        let edited = records[requests % records.len()];
        let edit = writer.write(
            edited,
            None,
            Edit::new().field("duration_min", i64::try_from(requests % 60).unwrap()),
        );
        if requests < 20 {
            assert_eq!(world.verdicts(&mut writer, vec![edit]), [Verdict::Accepted]);
        }
        if more.is_none() {
            break;
        }
        assert!(requests < 500);
    }
    assert!(requests > records.len(), "{requests}");
    assert_eq!(new.held.filled[0], records[2], "what was given to him comes first");
    let mut rest: Vec<RecordId> = records.iter().rev().copied().collect();
    rest.retain(|record| *record != records[2]);
    let mut order = new.held.filled.clone();
    order.dedup();
    assert_eq!(order[1..], rest, "then the newest");
    world.sync(&mut new, None);
    assert_eq!(world.sync(&mut new, None).digest, None, "both hold the same");
    assert_eq!(new.digest().records, 12);
    assert_eq!(new.cursor.as_ref().unwrap().fill, None);
}

#[test]
fn a_restore_in_the_middle_of_a_fill_starts_it_anew() {
    let mut world = World::new();
    let mut writer = world.phone("李警官", "officer");
    for _ in 0..6 {
        world.submitted_visit(&mut writer);
    }
    let mut new = world.phone("张网格", "grid_worker");
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    world.submitted_visit(&mut writer);
    let mut request = new.request(vec![]);
    request.feed_bytes_max = Some(1);
    assert_eq!(world.ask(&mut new, &request).more, Some(true));
    let data = world.dir.path().join("restored");
    crate::station::Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    world.reopen_at(&data);
    new.sign_in(&world.station).unwrap();
    world.sync(&mut new, Some(1));
    // What it had of the lost part it would give back.
    new.held
        .records
        .retain(|_, entries| entries.values().all(|held| held.place.0 < backup.position.size));
    assert_eq!(world.sync(&mut new, None).digest, None);
    assert_eq!(new.digest().records, 6);
}

#[test]
fn a_phone_is_sent_no_byte_of_a_record_outside_its_scope() {
    let (world, units, [mut east, mut west]) = two_units();
    let (ours, theirs) = (
        household(&world, &mut east, units[0], "东街一号"),
        household(&world, &mut west, units[1], "西街二号"),
    );
    let outsider = world
        .station
        .add_user(Some(&world.chief), "街道", &["supervisor".into()], units[1])
        .unwrap();
    let mut outsider = world.phone_of(outsider);
    for phone in [&mut east, &mut west, &mut outsider] {
        world.sync(phone, None);
    }
    assert!(west.heard_of("西街二号".as_bytes()), "own entries come with the first sync");
    assert!(!east.heard_of(theirs.as_bytes()) && !east.heard_of("西街二号".as_bytes()));
    assert!(!west.heard_of(ours.as_bytes()) && !west.heard_of("东街一号".as_bytes()));
    // Facts, but nothing private, for a role that does not read it.
    assert!(outsider.heard_of("西街二号".as_bytes()) && !outsider.heard_of(NUMBER.as_bytes()));
    assert!(!outsider.heard_of(ours.as_bytes()));
    assert_eq!(world.sync(&mut outsider, None).digest, None);

    // Shared, and no longer shared: the other one hears of it, then no more.
    world
        .station
        .grant(Some(&world.chief), ours, &shared_with(&west, false))
        .unwrap();
    world.sync(&mut west, None);
    assert!(west.heard_of("东街一号".as_bytes()) && west.held.records.contains_key(&ours));
    assert!(!outsider.heard_of(ours.as_bytes()), "a grant to one is no news for another");
    world.sync(&mut outsider, None);
    assert!(!outsider.heard_of(ours.as_bytes()));
    let edit = west.write(ours, None, Edit::new().field("address_code", "77"));
    assert_eq!(world.verdicts(&mut west, vec![edit]), [Verdict::Accepted]);
    world
        .station
        .grant(Some(&world.chief), ours, &shared_with(&west, true))
        .unwrap();
    let later = east.write(ours, None, Edit::new().field("address", "东街三号"));
    assert_eq!(world.verdicts(&mut east, vec![later]), [Verdict::Accepted]);
    let reply = world.sync(&mut west, None);
    assert_eq!((reply.left, reply.digest), (Some(vec![ours]), Some(west.digest())));
    assert!(!west.heard_of("东街三号".as_bytes()) && !west.held.records.contains_key(&ours));
    assert_eq!(world.sync(&mut west, None).digest, None);
}

#[test]
fn who_moves_gets_what_is_there_and_lets_go_what_he_had() {
    let (world, units, [mut east, mut west]) = two_units();
    let ours: Vec<RecordId> = (0..3)
        .map(|at| household(&world, &mut east, units[0], &format!("东街{at}号")))
        .collect();
    let theirs = household(&world, &mut west, units[1], "西街二号");
    world.sync(&mut east, None);
    world
        .station
        .move_user(Some(&world.chief), east.enrolled.user, Some(units[1]), None)
        .unwrap();
    let later = household(&world, &mut west, units[1], "西街四号");
    east.heard.clear();
    let reply = world.sync(&mut east, None);
    let mut left = reply.left.clone().unwrap();
    left.sort_unstable();
    let mut expected = ours.clone();
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert!(east.held.records.contains_key(&theirs) && east.held.records.contains_key(&later));
    assert!(!east.heard_of("东街".as_bytes()));
    assert_eq!(world.sync(&mut east, None).digest, None);
    // The whole unit goes below his: what left comes again, one thing at a time.
    world.station.move_unit(Some(&world.chief), units[0], Some(units[1])).unwrap();
    world.sync(&mut east, Some(1));
    assert_eq!(east.held.records.len(), 5);
    assert_eq!(world.sync(&mut east, None).digest, None);
    // Another role reads less, and more again.
    let role = |code: &str| vec![code.to_owned()];
    let supervisor = role("supervisor");
    world
        .station
        .move_user(None, east.enrolled.user, None, Some(&supervisor))
        .unwrap();
    east.heard.clear();
    let reply = world.sync(&mut east, None);
    let mut left = reply.left.unwrap();
    left.sort_unstable();
    let mut foreign = vec![theirs, later];
    foreign.sort_unstable();
    assert_eq!(left, foreign, "what he opened himself he may read whole");
    assert!(east.heard_of("西街二号".as_bytes()) && !east.heard_of(NUMBER.as_bytes()));
    assert_eq!(world.sync(&mut east, None).digest, None);
    world
        .station
        .move_user(None, east.enrolled.user, None, Some(&role("officer")))
        .unwrap();
    world.sync(&mut east, Some(1));
    assert!(east.heard_of(NUMBER.as_bytes()));
    assert_eq!(world.sync(&mut east, None).digest, None);
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn work_on_what_left_is_judged_by_what_its_author_could_know() {
    let (world, units, [mut east, _]) = two_units();
    let record = household(&world, &mut east, units[0], "东街一号");
    world.sync(&mut east, None);
    let edit = east.write(record, None, Edit::new().field("address", "东街一号后门"));
    let opened = world.record_id();
    let opening = east.write(opened, Some(units[0]), visit());
    let waiting = east.seal(vec![edit, opening]);
    let auditor = ["auditor".to_owned()];
    world
        .station
        .move_user(None, east.enrolled.user, None, Some(&auditor))
        .unwrap();
    world
        .station
        .move_user(Some(&world.chief), east.enrolled.user, Some(units[1]), None)
        .unwrap();
    let reply = world.send(&mut east, vec![waiting]);
    let verdicts = &reply.answers[0].verdicts;
    assert_eq!((verdicts[0].verdict, verdicts[0].count), (0, 2), "{reply:?}");
    let mut left = reply.left.unwrap();
    left.sort_unstable();
    let mut both = vec![record, opened];
    both.sort_unstable();
    assert_eq!(left, both, "what he opened himself in between goes too");
    assert_eq!(world.sync(&mut east, None).digest, None);
    let late = east.write(record, None, Edit::new().field("address", "东街九号"));
    assert_eq!(code(&world.verdicts(&mut east, vec![late])[0]), "out_of_scope");
}

#[test]
fn only_who_may_moves_people_and_shares_records_and_only_in_his_units() {
    let (world, units, [mut east, west]) = two_units();
    let record = household(&world, &mut east, units[0], "东街一号");
    let officer = world
        .station
        .users()
        .unwrap()
        .into_iter()
        .find(|user| user.name == "李警官")
        .unwrap();
    let chief = world.station.add_user(None, "孙所长", &["chief".into()], units[1]).unwrap();
    let other = world
        .station
        .users()
        .unwrap()
        .into_iter()
        .find(|user| user.user == chief)
        .unwrap();
    for by in [&officer, &other] {
        assert!(
            world
                .station
                .move_user(Some(by), east.enrolled.user, Some(units[1]), None)
                .is_err()
        );
        assert!(world.station.grant(Some(by), record, &shared_with(&west, false)).is_err());
        assert!(world.station.add_unit(Some(by), "北", Some(world.unit)).is_err());
    }
    assert!(world.station.record(&other, record).unwrap().is_none());
    let to_him = GrantOrder {
        user: None,
        unit: Some(units[1]),
        reason: "assigned".into(),
        ended: false,
    };
    world.station.grant(Some(&world.chief), record, &to_him).unwrap();
    assert!(world.station.record(&other, record).unwrap().is_some());
    assert_eq!(world.station.records(&other, &Default::default()).unwrap().rows.len(), 1);
    assert!(
        world.station.move_unit(None, world.unit, Some(units[0])).is_err(),
        "not below itself"
    );
    let ended = GrantOrder { ended: true, ..to_him };
    world.station.grant(Some(&world.chief), record, &ended).unwrap();
    assert!(world.station.record(&other, record).unwrap().is_none());
    assert!(
        world.station.grant(Some(&world.chief), record, &ended).is_err(),
        "it has ended"
    );
}
