//! Units, people and their phones: who is let in, who is put out, and who may say so.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::wire::Verdict;

use crate::audit::Written;
use crate::error::StationError;
use crate::station::{PersonChange, Session, UnitChange, UnitOrder};
use crate::testing::{World, code, visit};

fn session(world: &World, user: UserId) -> Session {
    world
        .station
        .users()
        .unwrap()
        .into_iter()
        .find(|one| one.user == user)
        .unwrap()
}

fn text<T: std::fmt::Debug>(refused: Result<T, StationError>) -> String {
    refused.unwrap_err().to_string()
}

fn audit(world: &World) -> Vec<Written> {
    world
        .station
        .store
        .read(|tx| Ok::<_, StationError>(tx.audit_from(1, 1_000)?))
        .unwrap()
}

#[test]
fn a_blocked_person_can_neither_sign_in_nor_write_and_holds_nothing_until_that_ends() {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("赵警官", "officer"));
    let record = world.submitted_visit(&mut two);
    world.sync(&mut one, None);
    let user = one.enrolled.user;
    let token = world.station.issue_token(None, user).unwrap();
    assert!(world.station.session(&token).is_some());
    let waiting = one.write(record, None, Edit::new().field("duration_min", 7_i64));
    let opened = world.record_id();
    let opening = one.write(opened, Some(world.unit), visit());
    world.station.block(Some(&world.chief), user, true).unwrap();
    assert!(world.station.session(&token).is_none());
    assert!(text(world.station.issue_token(None, user)).contains("blocked"));
    assert!(text(world.station.enrolment_code(Some(&world.chief), user)).contains("blocked"));
    // His phone is still answered: what it brings comes back to it, what it held leaves it, and it hears why.
    let page = one.seal(vec![waiting, opening]);
    let reply = world.send(&mut one, vec![page]);
    for at in 0..2 {
        let verdict = beatbook_protocol::wire::verdict_of(&reply.answers[0].verdicts, at).unwrap();
        assert_eq!(code(&verdict), "blocked");
    }
    assert_eq!(reply.left, Some(vec![record]));
    assert_eq!(world.sync(&mut one, None).digest, None);
    let later = world.submitted_visit(&mut two);
    world.sync(&mut one, None);
    assert!(!one.heard_of(later.as_bytes()) && one.held.records.is_empty());
    assert!(
        world
            .station
            .people()
            .unwrap()
            .iter()
            .any(|person| person.user == user && person.blocked)
    );
    // It ends: all of it comes back.
    world.station.block(Some(&world.chief), user, false).unwrap();
    assert!(world.station.session(&token).is_some());
    world.sync(&mut one, None);
    assert_eq!(world.sync(&mut one, None).digest, None);
    assert_eq!(one.held.records.len(), 2);
    let edit = one.write(later, None, Edit::new().field("duration_min", 9_i64));
    assert_eq!(world.verdicts(&mut one, vec![edit]), [Verdict::Accepted]);
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn somebody_is_always_left_who_keeps_the_registry() {
    let world = World::new();
    let chief = world.chief.user;
    let officer = vec!["officer".to_owned()];
    assert!(text(world.station.block(None, chief, true)).contains("last chief"));
    assert!(text(world.station.move_user(None, chief, None, Some(&officer))).contains("last chief"));
    let admin = world.station.add_user(None, "管理员", &["admin".into()], world.unit).unwrap();
    assert!(text(world.station.block(Some(&world.chief), chief, true)).contains("himself"));
    world.station.block(Some(&world.chief), admin, true).unwrap();
    assert!(
        text(world.station.block(None, chief, true)).contains("last chief"),
        "a blocked one keeps nothing"
    );
    world.station.block(None, admin, false).unwrap();
    world.station.block(None, chief, true).unwrap();
    let admin = session(&world, admin);
    world.station.block(Some(&admin), chief, false).unwrap();
}

#[test]
fn names_and_codes_are_what_they_look_like() {
    let world = World::new();
    let chief = Some(&world.chief);
    for name in ["", "李\u{202e}警官", "李\u{200b}", "a\nb", &"长".repeat(81)] {
        assert!(
            world.station.add_user(chief, name, &["officer".into()], world.unit).is_err(),
            "{name:?}"
        );
        assert!(world.station.add_unit(chief, name, Some(world.unit)).is_err(), "{name:?}");
    }
    let unit = |code: &str| {
        let order = UnitOrder {
            name: "东".into(),
            parent: Some(world.unit),
            level: None,
            code: Some(code.into()),
        };
        world.station.order_unit(chief, &order)
    };
    let east = unit("E-1").unwrap();
    assert!(text(unit("E-1")).contains("is that of unit"));
    assert!(text(unit("=1")).contains("code"));
    let user = world.station.add_user(chief, "李警官", &["officer".into()], east).unwrap();
    let change = |name: &str, code: &str| PersonChange {
        name: Some(name.into()),
        code: Some(code.into()),
        ..PersonChange::default()
    };
    world.station.change_person(chief, user, &change("李警长", "P-1")).unwrap();
    let other = world.station.add_user(chief, "赵警官", &["officer".into()], east).unwrap();
    assert!(text(world.station.change_person(chief, other, &change("赵警官", "P-1"))).contains("is that of person"));
    let people = world.station.people().unwrap();
    let person = people.iter().find(|person| person.user == user).unwrap();
    assert_eq!((person.name.as_str(), person.code.as_deref()), ("李警长", Some("P-1")));
    assert!(people.iter().all(|person| !person.roles.contains(&"station".to_owned())));
}

#[test]
fn units_have_levels_and_close_when_nobody_is_in_them() {
    let world = World::new();
    let chief = Some(&world.chief);
    let order = |name: &str, parent: UnitId, level: &str| {
        let order = UnitOrder {
            name: name.into(),
            parent: Some(parent),
            level: Some(level.into()),
            code: None,
        };
        world.station.order_unit(chief, &order)
    };
    let community = order("社区", world.unit, "community").unwrap();
    let grid = order("一号网格", community, "grid").unwrap();
    assert!(text(order("错", grid, "community")).contains("does not stand below"));
    assert!(text(order("错", community, "planet")).contains("no level"));
    let upwards = UnitChange {
        level: Some("grid".into()),
        ..UnitChange::default()
    };
    assert!(text(world.station.change_unit(chief, community, &upwards)).contains("does not stand below"));
    let user = world
        .station
        .add_user(chief, "张网格", &["grid_worker".into()], grid)
        .unwrap();
    let mut phone = world.phone_of(user);
    world.sync(&mut phone, None);
    assert!(text(world.station.close_unit(chief, community, true)).contains("1 open units"));
    assert!(text(world.station.close_unit(chief, grid, true)).contains("1 people"));
    world.station.move_user(chief, user, Some(community), None).unwrap();
    // What he opened there before he could know of the closing counts; what he opens later does not.
    let early = phone.write(world.record_id(), Some(grid), visit());
    let waiting = phone.seal(vec![early]);
    world.station.close_unit(chief, grid, true).unwrap();
    let reply = world.send(&mut phone, vec![waiting]);
    assert_eq!(reply.answers[0].verdicts[0].verdict, 0, "{reply:?}");
    world.sync(&mut phone, None);
    let late = phone.write(world.record_id(), Some(grid), visit());
    assert_eq!(code(&world.verdicts(&mut phone, vec![late])[0]), "unit_closed");
    assert!(text(world.station.move_user(chief, user, Some(grid), None)).contains("closed"));
    assert!(text(order("二", grid, "grid")).contains("closed"));
    assert!(
        world
            .station
            .units()
            .unwrap()
            .iter()
            .any(|unit| unit.unit == grid && unit.closed)
    );
    world.station.close_unit(chief, grid, false).unwrap();
    world.station.move_user(chief, user, Some(grid), None).unwrap();
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn each_keeps_the_registry_of_his_own_units_and_every_change_is_on_the_audit_log() {
    let world = World::new();
    let chief = Some(&world.chief);
    let [east, west] = ["东", "西"].map(|name| world.station.add_unit(chief, name, Some(world.unit)).unwrap());
    let keeper = world.station.add_user(chief, "孙所长", &["chief".into()], east).unwrap();
    let keeper = session(&world, keeper);
    let user = world
        .station
        .add_user(Some(&keeper), "李警官", &["officer".into()], east)
        .unwrap();
    let foreign = world.station.add_user(chief, "赵警官", &["officer".into()], west).unwrap();
    let by = Some(&keeper);
    let forbidden = [
        world.station.add_user(by, "外", &["officer".into()], west).map(drop),
        world.station.block(by, foreign, true),
        world.station.move_user(by, foreign, None, Some(&["auditor".to_owned()])),
        world.station.change_unit(by, west, &UnitChange::default()),
        world.station.close_unit(by, west, true),
        world.station.move_unit(by, east, Some(west)),
        world.station.devices(by, foreign).map(drop),
        world.station.devices(Some(&session(&world, user)), foreign).map(drop),
        world.station.add_unit(by, "根", None).map(drop),
    ];
    for (at, refused) in forbidden.into_iter().enumerate() {
        assert!(
            matches!(refused, Err(StationError::Forbidden(_) | StationError::NotFound(_))),
            "{at}: {refused:?}"
        );
    }
    let station = world.station.book;
    let own = world
        .station
        .store
        .read(|tx| Ok::<_, StationError>(tx.book(station)?.unwrap().user))
        .unwrap();
    assert!(
        matches!(world.station.block(None, own, true), Err(StationError::NotFound(_))),
        "the station itself"
    );
    let before = audit(&world).len();
    world.station.block(by, user, true).unwrap();
    world.station.export_people(by).unwrap();
    let lines = audit(&world);
    let new: Vec<(&str, Option<UserId>)> = lines[before..].iter().map(|line| (line.what.as_str(), line.user)).collect();
    assert_eq!(
        new,
        [("registry.person", Some(keeper.user)), ("registry.export", Some(keeper.user))]
    );
    assert!(lines.iter().all(|line| !line.detail.contains("李警官")), "no names");
    let mut phone = world.phone("周警官", "officer");
    world.sync(&mut phone, None);
    let devices = world.station.devices(chief, phone.enrolled.user).unwrap();
    assert_eq!(
        (devices.len(), devices[0].device.as_str(), devices[0].app.as_deref()),
        (1, "test phone", Some("test"))
    );
    assert!(devices[0].enrolled_at.unwrap() <= devices[0].last_contact.unwrap());
}
