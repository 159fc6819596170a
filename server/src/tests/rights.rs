//! Who may, at the station's doors themselves, whichever way they are reached; and what phones of roles without records are sent.

use beatbook_protocol::wire::Verdict;

use super::at_rest::household;
use crate::error::{ActError, StationError};
use crate::station::{ActOrder, AuditFilter, ExportForm, GrantOrder, Reason, Session};
use crate::testing::{World, code, visit};

fn forbidden<T>(outcome: Result<T, StationError>) -> bool {
    matches!(outcome, Err(StationError::Forbidden(_)))
}

#[test]
fn who_reads_no_records_gets_none_at_any_door() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    let (station, version) = (&world.station, world.version(record));
    let why = Reason::parse("看一看吧").unwrap();
    for role in ["admin", "auditor"] {
        let he: Session = world.person("他", &[role], world.unit);
        assert!(forbidden(station.record(&he, record)), "{role}");
        assert!(forbidden(station.entries(&he, record)));
        assert!(forbidden(station.records(&he, &Default::default())));
        assert!(forbidden(station.review_queue(&he, &Default::default())));
        assert!(forbidden(station.search(&he, "visit", 5)));
        assert!(forbidden(station.duplicates(&he)));
        assert!(forbidden(station.grants(&he, record)));
        assert!(forbidden(station.break_glass(&he, record, &why)));
        let order = GrantOrder {
            user: Some(he.user),
            unit: None,
            reason: "shared".into(),
            ended: false,
        };
        assert!(
            forbidden(station.grant(Some(&he), record, &order)),
            "he would give it to himself"
        );
        station.grant(None, record, &order).unwrap();
        assert!(forbidden(station.record(&he, record)), "a grant is no role");
        let order = ActOrder {
            code: "approve".into(),
            if_match: version.clone(),
            ..ActOrder::default()
        };
        assert!(matches!(
            station.act(&he, record, &order),
            Err(ActError::Station(StationError::Forbidden(_)))
        ));
        assert!(matches!(
            station.settle(&he, record, "fields/outcome", &"done".into(), &version),
            Err(ActError::Station(StationError::Forbidden(_)))
        ));
    }
    for role in [
        "grid_worker",
        "officer",
        "mediator",
        "chief",
        "department",
        "supervisor",
        "admin",
    ] {
        let he = world.person("他", &[role], world.unit);
        assert!(forbidden(station.audit(&he, &AuditFilter::default())), "{role}");
        assert!(forbidden(station.audit_export(&he, &AuditFilter::default(), ExportForm::Csv)));
        assert!(forbidden(station.audit_glass(&he, None)));
    }
}

#[test]
fn phones_of_roles_without_records_are_sent_none_and_write_none() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    for role in ["admin", "auditor", "department"] {
        let mut other = world.phone("他", role);
        assert_eq!(world.sync(&mut other, None).digest, None, "{role}: both hold nothing");
        world.submitted_visit(&mut phone);
        assert_eq!(world.sync(&mut other, None).digest, None);
        assert!(!other.heard_of(record.as_bytes()) && other.held.records.is_empty(), "{role}");
        let opening = other.write(world.record_id(), Some(world.unit), visit());
        assert_eq!(code(&world.verdicts(&mut other, vec![opening])[0]), "out_of_scope", "{role}");
    }
    let mut supervisor = world.phone("督导", "supervisor");
    world.sync(&mut supervisor, None);
    assert!(supervisor.heard_of(record.as_bytes()));
    let opening = supervisor.write(world.record_id(), Some(world.unit), visit());
    assert_eq!(code(&world.verdicts(&mut supervisor, vec![opening])[0]), "forbidden");
}

#[test]
fn of_all_bytes_that_a_roles_phone_receives_private_is_only_in_those_of_roles_that_write_such_records() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    household(&world, &mut phone, "FACT-NEEDLE", "PRIVATE-NEEDLE");
    // Whether a phone of the role hears of the facts, and of what is private.
    for (role, facts, private) in [
        ("grid_worker", true, true),
        ("officer", true, true),
        ("mediator", true, true),
        ("chief", true, true),
        ("supervisor", true, false),
        ("department", false, false),
        ("auditor", false, false),
        ("admin", false, false),
    ] {
        let mut other = world.phone("他", role);
        for limit in [Some(3_000), None, None] {
            world.sync(&mut other, limit);
        }
        let heard = (other.heard_of(b"FACT-NEEDLE"), other.heard_of(b"PRIVATE-NEEDLE"));
        assert_eq!(heard, (facts, private), "{role}");
    }
}

#[test]
fn a_role_that_is_taken_takes_the_records_along_and_a_department_has_what_it_was_given() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let records = [world.submitted_visit(&mut phone), world.submitted_visit(&mut phone)];
    let mut other = world.phone("张警官", "officer");
    world.sync(&mut other, None);
    assert_eq!(other.held.records.len(), 2);
    let user = other.enrolled.user;
    let become_a = |role: &str| world.station.move_user(None, user, None, Some(&[role.to_owned()])).unwrap();
    become_a("department");
    let left = world.sync(&mut other, None).left.unwrap();
    assert_eq!(left.len(), 2);
    assert_eq!(world.sync(&mut other, None).digest, None);
    let order = |ended| GrantOrder {
        user: None,
        unit: Some(world.unit),
        reason: "assigned".into(),
        ended,
    };
    world.station.grant(Some(&world.chief), records[0], &order(false)).unwrap();
    world.sync(&mut other, None);
    assert_eq!(other.held.records.keys().collect::<Vec<_>>(), [&records[0]]);
    let remark = phone.act(records[0], "comment", Some("请城管处理"));
    assert_eq!(world.verdicts(&mut phone, vec![remark]), [Verdict::Accepted]);
    world.sync(&mut other, None);
    assert_eq!(world.sync(&mut other, None).digest, None, "what is given goes on");
    become_a("admin");
    assert_eq!(world.sync(&mut other, None).left.unwrap(), [records[0]]);
    become_a("officer");
    world.sync(&mut other, None);
    assert_eq!((other.held.records.len(), world.sync(&mut other, None).digest), (2, None));
}

#[test]
fn codes_and_tokens_are_issued_within_ones_units_and_for_nobody_who_may_more() {
    let world = World::new();
    let (east, west) = (
        world.station.add_unit(None, "东", Some(world.unit)).unwrap(),
        world.station.add_unit(None, "西", Some(world.unit)).unwrap(),
    );
    let chief = world.person("东所长", &["chief"], east);
    let (his, not_his) = (world.person("李", &["officer"], east), world.person("赵", &["officer"], west));
    world.station.enrolment_code(Some(&chief), his.user).unwrap();
    world.station.issue_token(Some(&chief), his.user).unwrap();
    let nobody = world.person("x", &["officer"], world.unit);
    for user in [not_his.user, nobody.user] {
        assert!(matches!(
            world.station.enrolment_code(Some(&chief), user),
            Err(StationError::NotFound(_))
        ));
        assert!(matches!(
            world.station.issue_token(Some(&chief), user),
            Err(StationError::NotFound(_))
        ));
    }
    assert!(matches!(
        world.station.add_user(Some(&chief), "钱", &["officer".into()], west),
        Err(StationError::NotFound(_))
    ));
    let (admin, auditor) = (world.person("管", &["admin"], east), world.person("审", &["auditor"], east));
    assert!(
        forbidden(world.station.issue_token(Some(&admin), his.user)),
        "he would read as an officer"
    );
    assert!(
        forbidden(world.station.issue_token(Some(&chief), auditor.user)),
        "he would read the log"
    );
    assert!(forbidden(world.station.enrolment_code(Some(&his), his.user)));
    let mixed = ["auditor".to_owned(), "chief".to_owned()];
    assert!(matches!(
        world.station.add_user(None, "混", &mixed, east),
        Err(StationError::Invalid(_))
    ));
}
