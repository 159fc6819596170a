//! Who works where for a time: what a phone gets before, while and after, who acts for whom, and that nobody is more than he is there.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use crate::environment::Clock as _;
use crate::error::{ActError, StationError};
use crate::station::{ActOrder, MembershipOrder, MembershipPhase, Session, Station};
use crate::testing::{Phone, World, code, visit};

const NUMBER: &str = "13800001234";
const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;

/// Two units below the station's, with an officer and his phone in each.
fn two_units() -> (World, [UnitId; 2], [Phone; 2]) {
    let world = World::new();
    let units = ["东", "西"].map(|name| world.station.add_unit(Some(&world.chief), name, Some(world.unit)).unwrap());
    let phones =
        [("李警官", units[0]), ("赵警官", units[1])].map(|(name, unit)| world.phone_of(person(&world, name, "officer", unit)));
    (world, units, phones)
}

fn person(world: &World, name: &str, role: &str, unit: UnitId) -> UserId {
    world
        .station
        .add_user(Some(&world.chief), name, &[role.into()], unit)
        .unwrap()
}

fn session(station: &Station, user: UserId) -> Session {
    station.users().unwrap().into_iter().find(|one| one.user == user).unwrap()
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

/// A submitted visit in a unit.
fn submitted(world: &World, phone: &mut Phone, unit: UnitId) -> RecordId {
    let record = world.record_id();
    let entries = vec![
        phone.write(record, Some(unit), visit()),
        phone.act(record, "finish", None),
        phone.act(record, "submit", None),
    ];
    assert!(
        world
            .verdicts(phone, entries)
            .iter()
            .all(|verdict| *verdict == Verdict::Accepted)
    );
    record
}

fn order(user: UserId, unit: UnitId, role: &str) -> MembershipOrder {
    MembershipOrder {
        user,
        unit,
        roles: vec![role.into()],
        stands_in_for: None,
        from: None,
        until: None,
    }
}

fn stand_in(world: &World, user: UserId, unit: UnitId, other: UserId, millis: i64) -> MembershipOrder {
    MembershipOrder {
        roles: Vec::new(),
        stands_in_for: Some(other),
        until: Some(world.clock.now().plus(millis)),
        ..order(user, unit, "")
    }
}

fn agrees(world: &World, phone: &mut Phone) -> bool {
    world.sync(phone, None);
    world.sync(phone, None).digest.is_none()
}

#[test]
fn a_member_gets_the_records_of_the_other_unit_while_he_is_one_and_as_what_he_is_there() {
    let (world, units, [mut east, mut west]) = two_units();
    let ours = household(&world, &mut east, units[0], "东街一号");
    let theirs = household(&world, &mut west, units[1], "西街二号");
    assert!(agrees(&world, &mut east));
    let now = world.clock.now();
    let planned = MembershipOrder {
        from: Some(now.plus(HOUR)),
        until: Some(now.plus(3 * HOUR)),
        ..order(east.enrolled.user, units[1], "supervisor")
    };
    let membership = world.station.order_membership(Some(&world.chief), &planned).unwrap();
    assert_eq!(world.station.memberships(false).unwrap()[0].phase, MembershipPhase::Planned);

    // Before: not a byte of it, though the plan is known.
    world.sync(&mut east, None);
    assert!(east.heard_of(membership.as_bytes()));
    assert!(!east.heard_of(theirs.as_bytes()) && !east.heard_of("西街二号".as_bytes()));

    // While: the records of that unit, and of them what his role there reads. At home he reads what he read.
    world.clock.pass(HOUR);
    east.heard.clear();
    assert!(agrees(&world, &mut east));
    assert!(east.heard_of("西街二号".as_bytes()) && !east.heard_of(NUMBER.as_bytes()));
    assert!(east.held.records.contains_key(&theirs) && east.held.records.contains_key(&ours));
    let edit = east.write(theirs, None, Edit::new().field("address", "西街三号"));
    assert_eq!(
        code(&world.verdicts(&mut east, vec![edit])[0]),
        "forbidden",
        "a department writes no household"
    );
    let edit = east.write(ours, None, Edit::new().field("address", "东街三号"));
    assert_eq!(world.verdicts(&mut east, vec![edit]), [Verdict::Accepted]);

    // As an officer there besides, he reads more; and less again.
    let more = world
        .station
        .order_membership(Some(&world.chief), &order(east.enrolled.user, units[1], "officer"))
        .unwrap();
    assert!(agrees(&world, &mut east));
    assert!(east.heard_of(NUMBER.as_bytes()));
    world.station.end_membership(Some(&world.chief), more).unwrap();
    assert!(agrees(&world, &mut east));

    // After: it goes.
    world.clock.pass(3 * HOUR);
    let reply = world.sync(&mut east, None);
    assert!(reply.left.is_some_and(|left| left == [theirs]));
    assert!(agrees(&world, &mut east) && !east.held.records.contains_key(&theirs));
    let phases: Vec<MembershipPhase> = world
        .station
        .memberships(true)
        .unwrap()
        .iter()
        .map(|view| view.phase)
        .collect();
    assert_eq!(phases, [MembershipPhase::Ended, MembershipPhase::Ended]);
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn a_stand_ins_late_edits_count_when_he_could_not_know_and_his_authority_ends_with_the_leave() {
    let (world, units, [mut east, mut west]) = two_units();
    let chief = person(&world, "孙所长", "chief", units[1]);
    let record = household(&world, &mut west, units[1], "西街二号");
    let visits = [0, 1].map(|_| submitted(&world, &mut west, units[1]));
    let wanted = stand_in(&world, east.enrolled.user, units[1], chief, 12 * HOUR);
    world.station.order_membership(Some(&world.chief), &wanted).unwrap();
    let shown = &world.station.people().unwrap();
    let shown = shown.iter().find(|person| person.user == east.enrolled.user).unwrap();
    assert_eq!(shown.memberships[0].acting_for.as_deref(), Some("孙所长"));
    assert_eq!(shown.memberships[0].roles, ["chief"]);

    // In the chief's place he approves; an officer of that unit is he not.
    assert!(agrees(&world, &mut east));
    let approve = east.act(visits[0], "approve", None);
    assert_eq!(world.verdicts(&mut east, vec![approve]), [Verdict::Accepted]);

    // The leave ends while he has no network.
    let edit = east.write(record, None, Edit::new().field("address", "西街二号后门"));
    let approve = east.act(visits[1], "approve", None);
    let page = east.seal(vec![edit, approve]);
    world.clock.pass(13 * HOUR);
    let reply = world.send(&mut east, vec![page]);
    let verdict = |at| beatbook_protocol::wire::verdict_of(&reply.answers[0].verdicts, at).unwrap();
    assert_eq!(verdict(0), Verdict::Accepted, "he could not know");
    assert_eq!(code(&verdict(1)), "forbidden", "the chief is back");
    assert!(reply.left.is_some_and(|left| left.contains(&record)));
    assert_eq!(world.state(visits[1]), "submitted");
    assert_eq!(world.state(visits[0]), "approved");
}

#[test]
fn a_chief_in_one_unit_who_is_officer_in_another_cannot_approve_there() {
    let (world, units, [mut east, mut west]) = two_units();
    let chief = person(&world, "周所长", "chief", units[0]);
    let mut phone = world.phone_of(chief);
    world
        .station
        .order_membership(Some(&world.chief), &order(chief, units[1], "officer"))
        .unwrap();
    let here = [0, 1].map(|_| submitted(&world, &mut east, units[0]));
    let there = submitted(&world, &mut west, units[1]);
    let chief = session(&world.station, chief);
    let act = |record: RecordId| {
        let order = ActOrder {
            code: "approve".into(),
            if_match: world.version(record),
            ..ActOrder::default()
        };
        world.station.act(&chief, record, &order)
    };
    assert!(matches!(act(there), Err(ActError::Forbidden)));
    act(here[0]).unwrap();
    let open = |record: RecordId| {
        let page = world.station.record(&chief, record).unwrap().unwrap();
        page.acts_open.into_iter().any(|act| act.code == "approve")
    };
    assert!(open(here[1]) && !open(there), "the page says so before he tries");
    assert!(agrees(&world, &mut phone));
    let entries = vec![phone.act(here[1], "approve", None), phone.act(there, "approve", None)];
    let verdicts = world.verdicts(&mut phone, entries);
    assert_eq!((&verdicts[0], code(&verdicts[1])), (&Verdict::Accepted, "forbidden"));
    // What he sees over phones, people and units goes by the same rule.
    let phones = world.station.phones(&chief).unwrap();
    assert!(phones.iter().any(|one| one.book == east.book) && phones.iter().all(|one| one.book != west.book));
    let moved = world
        .station
        .move_user(Some(&chief), west.enrolled.user, Some(units[0]), None);
    assert!(matches!(moved, Err(StationError::NotFound(_))));
    // A record of there that is assigned to himself he has as what he is at home.
    let grant = crate::station::GrantOrder {
        user: Some(chief.user),
        unit: None,
        reason: "assigned".into(),
        ended: false,
    };
    world.station.grant(Some(&world.chief), there, &grant).unwrap();
    act(there).unwrap();
}

#[test]
fn a_membership_that_makes_no_sense_is_refused_with_what_to_do() {
    let (world, units, [east, west]) = two_units();
    let (user, other) = (east.enrolled.user, west.enrolled.user);
    let refused = |by: Option<&Session>, wanted: MembershipOrder| match world.station.order_membership(by, &wanted) {
        Err(StationError::Invalid(text) | StationError::Forbidden(text) | StationError::NotFound(text)) => text,
        found => panic!("{found:?}"),
    };
    let chief = Some(&world.chief);
    let until = |millis: i64| Some(world.clock.now().plus(millis));
    assert!(refused(chief, stand_in(&world, user, units[1], other, 91 * DAY)).contains("90 days"));
    let open = MembershipOrder {
        until: None,
        ..stand_in(&world, user, units[1], other, DAY)
    };
    assert!(refused(chief, open).contains("until when"));
    assert!(refused(chief, stand_in(&world, user, units[1], user, DAY)).contains("himself"));
    assert!(refused(chief, stand_in(&world, user, units[0], other, DAY)).contains("does not work"));
    let named = MembershipOrder {
        roles: vec!["chief".into()],
        ..stand_in(&world, user, units[1], other, DAY)
    };
    assert!(refused(chief, named).contains("name no roles"));
    assert!(refused(chief, order(user, units[1], "emperor")).contains("no role"));
    assert!(refused(chief, order(user, units[1], "station")).contains("no role"));
    let past = MembershipOrder {
        until: until(-DAY),
        ..order(user, units[1], "officer")
    };
    assert!(refused(chief, past).contains("past"));
    assert!(refused(chief, order(user, UnitId::from_bytes([9; 16]), "officer")).contains("unit"));
    assert!(refused(None, order(user, UnitId::from_bytes([9; 16]), "officer")).contains("unit"));
    // Who is no chief there may not, nor one of another unit.
    let officer = session(&world.station, other);
    assert!(refused(Some(&officer), order(user, units[1], "officer")).contains("unit"));
    let neighbour = session(&world.station, person(&world, "周所长", "chief", units[0]));
    assert!(refused(Some(&neighbour), order(neighbour.user, units[1], "chief")).contains("unit"));
    let made = world
        .station
        .order_membership(chief, &order(user, units[1], "officer"))
        .unwrap();
    assert!(refused(chief, order(user, units[1], "officer")).contains("already"));
    assert!(world.station.end_membership(Some(&neighbour), made).is_err());
    world.station.end_membership(chief, made).unwrap();
    assert!(world.station.end_membership(chief, made).is_err(), "it has ended");
    // Sixteen at once, and not one more.
    for number in 0..16 {
        let wanted = MembershipOrder {
            until: until((number + 1) * DAY),
            ..stand_in(&world, user, units[1], other, DAY)
        };
        let wanted = MembershipOrder {
            from: until(number * DAY + 1_000),
            ..wanted
        };
        world.station.order_membership(chief, &wanted).unwrap();
    }
    assert!(refused(chief, order(user, units[1], "mediator")).contains("at most 16"));
}

#[test]
fn what_came_due_while_the_station_stood_still_is_written_before_anything_is_answered() {
    let (mut world, units, [mut east, mut west]) = two_units();
    let theirs = household(&world, &mut west, units[1], "西街二号");
    world.sync(&mut east, None);
    let now = world.clock.now();
    let at = |from: i64, until: Option<i64>, role: &str| MembershipOrder {
        from: Some(now.plus(from)),
        until: until.map(|until| now.plus(until)),
        ..order(east.enrolled.user, units[1], role)
    };
    let missed = world
        .station
        .order_membership(Some(&world.chief), &at(HOUR, Some(2 * HOUR), "mediator"))
        .unwrap();
    world
        .station
        .order_membership(Some(&world.chief), &at(3 * HOUR, None, "officer"))
        .unwrap();
    let size = world.station.status().unwrap().ledger.size;
    assert_eq!(
        world.station.keep_time().unwrap(),
        0,
        "nothing is due, and nothing is written"
    );
    assert_eq!(world.station.status().unwrap().ledger.size, size);
    world.clock.pass(5 * HOUR);
    world.reopen();
    assert!(agrees(&world, &mut east));
    assert!(east.held.records.contains_key(&theirs));
    let views = world.station.memberships(true).unwrap();
    let phase = |membership| views.iter().find(|view| view.membership == membership).unwrap().phase;
    assert_eq!(phase(missed), MembershipPhase::Ended);
    // One whose whole time passed never was in force: the ledger has two words on it, and on the other two.
    let size_now = world.station.status().unwrap().ledger.size;
    assert_eq!(size_now, size + 1, "both in one page");
    assert_eq!(world.station.keep_time().unwrap(), 0);
    assert!(world.station.verify_ledger().unwrap().holds());
}

#[test]
fn a_stand_in_for_one_who_works_there_no_more_never_begins() {
    let (world, units, [east, west]) = two_units();
    let now = world.clock.now();
    let planned = MembershipOrder {
        from: Some(now.plus(HOUR)),
        ..stand_in(&world, east.enrolled.user, units[1], west.enrolled.user, 2 * DAY)
    };
    world.station.order_membership(Some(&world.chief), &planned).unwrap();
    world
        .station
        .move_user(Some(&world.chief), west.enrolled.user, Some(units[0]), None)
        .unwrap();
    world.clock.pass(2 * HOUR);
    assert_eq!(world.station.keep_time().unwrap(), 1);
    assert!(world.station.memberships(false).unwrap().is_empty());
}
