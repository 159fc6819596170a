//! What a membership makes of somebody at the other doors: signing in, tokens, and the log that only an auditor reads.

use beatbook_protocol::id::{UnitId, UserId};

use super::sign_in::Somebody;
use crate::environment::Clock as _;
use crate::error::StationError;
use crate::station::{MembershipOrder, Session, SignInError, TokenOrder};
use crate::testing::World;

const HOUR: i64 = 60 * 60 * 1000;

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

fn east(world: &World) -> UnitId {
    world.station.add_unit(None, "东", Some(world.unit)).unwrap()
}

fn is_refused<T>(outcome: Result<T, StationError>, words: &str) -> bool {
    matches!(outcome, Err(StationError::Invalid(text)) if text.contains(words))
}

#[test]
fn nobody_reads_the_log_beside_another_work_wherever_either_is() {
    let world = World::new();
    let (station, east) = (&world.station, east(&world));
    let auditor = station.add_user(None, "审计", &["auditor".into()], east).unwrap();
    let officer = station.add_user(None, "李警官", &["officer".into()], world.unit).unwrap();
    let chief = Some(&world.chief);
    assert!(is_refused(
        station.order_membership(chief, &order(officer, east, "auditor")),
        "auditor"
    ));
    assert!(is_refused(
        station.order_membership(chief, &order(auditor, world.unit, "officer")),
        "auditor"
    ));
    let stands_in = MembershipOrder {
        roles: Vec::new(),
        stands_in_for: Some(auditor),
        until: Some(world.clock.now().plus(HOUR)),
        ..order(officer, east, "")
    };
    assert!(is_refused(station.order_membership(chief, &stands_in), "auditor"));
    // Nor by another way round: what he is at home changes, while he has a membership.
    station.order_membership(None, &order(officer, east, "officer")).unwrap();
    let change = station.move_user(None, officer, None, Some(&["auditor".into()]));
    assert!(is_refused(change, "auditor"));
    // An auditor of two units is one.
    station
        .order_membership(None, &order(auditor, world.unit, "auditor"))
        .unwrap();
}

#[test]
fn nobody_gives_himself_a_membership() {
    let world = World::new();
    let wanted = order(world.chief.user, east(&world), "officer");
    assert!(is_refused(
        world.station.order_membership(Some(&world.chief), &wanted),
        "himself"
    ));
    world.station.order_membership(None, &wanted).unwrap();
}

#[test]
fn who_becomes_a_chief_elsewhere_signs_in_with_a_second_factor_from_then_on() {
    let world = World::new();
    let wang: Somebody = world.somebody("wang", &["officer"], false);
    let begun = world.enter(&wang).unwrap();
    assert!(world.station.session(&begun.token).is_some());
    let made = world
        .station
        .order_membership(None, &order(wang.user, east(&world), "chief"))
        .unwrap();
    assert_eq!(world.station.session(&begun.token), None, "he was less when he signed in");
    assert!(matches!(world.enter(&wang), Err(SignInError::FactorMissing)));
    world.station.end_membership(None, made).unwrap();
    world.enter(&wang).unwrap();
}

#[test]
fn a_limited_token_begets_none_that_has_more_elsewhere() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], true);
    world
        .station
        .order_membership(None, &order(wang.user, east(&world), "chief"))
        .unwrap();
    let caller = world.caller(&world.enter(&wang).unwrap());
    assert_eq!(caller.session.elsewhere, ["chief"]);
    let limited = TokenOrder {
        roles: Some(vec!["officer".into()]),
        ..TokenOrder::default()
    };
    let limited = world.station.issue_program_token(Some(&caller), wang.user, &limited).unwrap();
    let limited = world.station.signed_in(&limited).unwrap();
    let more = world
        .station
        .issue_program_token(Some(&limited), wang.user, &TokenOrder::default())
        .unwrap();
    let more: Session = world.station.session(&more).unwrap();
    assert_eq!((more.roles, more.elsewhere), (vec!["officer".to_owned()], vec![]));
    // An unlimited caller's has what he has.
    let all = world
        .station
        .issue_program_token(Some(&caller), wang.user, &TokenOrder::default())
        .unwrap();
    assert_eq!(world.station.session(&all).unwrap().elsewhere, ["chief"]);
}

#[test]
fn a_token_for_somebody_who_is_more_elsewhere_is_issued_by_nobody_who_is_less() {
    let world = World::new();
    let east = east(&world);
    let officer = world
        .station
        .add_user(None, "李警官", &["officer".into()], world.unit)
        .unwrap();
    world.station.issue_token(Some(&world.chief), officer).unwrap();
    world.station.order_membership(None, &order(officer, east, "admin")).unwrap();
    assert!(matches!(
        world.station.issue_token(Some(&world.chief), officer),
        Err(StationError::Forbidden(_))
    ));
}
