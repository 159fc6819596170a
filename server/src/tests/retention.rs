//! When the time of a record is over, what keeps it all the same, and what a resident may ask.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, TARGET};
use beatbook_protocol::wire::Verdict;

use super::at_rest::household;
use super::destruction::stands_in_an_entry;
use crate::error::StationError;
use crate::retention::{Longer, RetentionReport, RetentionSettings, Stands};
use crate::station::{ActOrder, Session, Station};
use crate::testing::{Phone, World, visit};

const DAY_MS: i64 = 86_400_000;

fn accepted(world: &World, phone: &mut Phone, entries: Vec<Vec<u8>>) {
    let verdicts = world.verdicts(phone, entries);
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted), "{verdicts:?}");
}

fn visit_at(world: &World, phone: &mut Phone, household: RecordId) -> RecordId {
    let record = world.record_id();
    let edit = visit().field("household", household.to_string().as_str());
    let entry = phone.write(record, Some(world.unit), edit);
    accepted(world, phone, vec![entry]);
    record
}

fn stands(report: &RetentionReport) -> Vec<(RecordId, Stands)> {
    let mut rows: Vec<_> = report.rows.iter().map(|row| (row.record, row.stands)).collect();
    rows.sort_by_key(|row| row.0);
    rows
}

fn sorted(mut rows: Vec<(RecordId, Stands)>) -> Vec<(RecordId, Stands)> {
    rows.sort_by_key(|row| row.0);
    rows
}

fn days_later(world: &World, days: i64) {
    world.clock.pass(days * DAY_MS);
}

fn keeping(world: &mut World, settings: RetentionSettings) {
    world.station = Station::open(&world.data(), &world.keys(), &[], world.env.clone())
        .unwrap()
        .keeping(settings)
        .unwrap();
}

#[test]
fn what_is_over_by_its_kinds_rule_is_listed_and_goes_only_when_it_is_told_to() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let house = household(&world, &mut phone, "清华东路1号", "13800000000");
    let call = visit_at(&world, &mut phone, house);
    assert_eq!(world.station.retention(None).unwrap().rows, []);
    days_later(&world, 1094);
    assert_eq!(world.station.retention(None).unwrap().rows, []);
    days_later(&world, 1);
    let due = world.station.retention(Some(&world.chief)).unwrap();
    assert_eq!(stands(&due), [(call, Stands::Due)]);
    assert!(!due.applied && due.rows[0].rule.starts_with("visit 1: 1095 days"), "{due:?}");
    assert_eq!(world.station.status().unwrap().due, 1);
    let dump = world.station.dump().unwrap();
    world.station.retention(None).unwrap();
    assert_eq!(world.station.dump().unwrap(), dump, "looking touches nothing");
    let done = world.station.apply_retention(None).unwrap();
    assert_eq!((done.applied, done.due, done.entries), (true, 1, 1));
    assert!(world.station.record(&world.chief, call).unwrap().is_none());
    assert!(world.station.record(&world.chief, house).unwrap().is_some());
    let told = world.station.destructions(None, None, 9).unwrap().rows;
    assert_eq!((told[0].why.as_str(), told[0].by), ("retention", None));
    assert_eq!(world.station.apply_retention(None).unwrap().due, 0);
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
}

#[test]
fn the_news_of_a_visit_keep_its_household_and_what_is_merged_goes_together() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let stays = household(&world, &mut phone, "清华东路1号", "13800000000");
    let merged = household(&world, &mut phone, "清华东路1号", "13800000001");
    let order = ActOrder {
        code: MERGE_INTO.into(),
        comment: Some("同一户".into()),
        values: [(TARGET.to_owned(), stays.to_string().as_str().into())].into(),
        if_match: world.version(merged),
    };
    world.station.act(&world.chief, merged, &order).unwrap();
    days_later(&world, 1000);
    phone.sign_in(&world.station).unwrap();
    // The visit names the record that was merged: it is news of the one that stays.
    let call = visit_at(&world, &mut phone, merged);
    days_later(&world, 1000);
    assert_eq!(
        world.station.retention(None).unwrap().rows,
        [],
        "five years after the last news, not after the household's own"
    );
    days_later(&world, 825);
    let due = world.station.retention(None).unwrap();
    assert_eq!(
        stands(&due),
        sorted(vec![(stays, Stands::Due), (merged, Stands::Due), (call, Stands::Due)])
    );
    world.station.apply_retention(None).unwrap();
    assert_eq!(world.station.status().unwrap().records, 0);
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    let before = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), before);
}

#[test]
fn a_hold_and_the_chiefs_queue_keep_what_is_over_and_say_so() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let waits = world.submitted_visit(&mut phone);
    let held = visit_at(&world, &mut phone, waits);
    let ground = "(2026)京01民初77号";
    world.station.hold(Some(&world.chief), held, ground).unwrap();
    days_later(&world, 1200);
    let due = world.station.retention(None).unwrap();
    assert_eq!(stands(&due), sorted(vec![(waits, Stands::InReview), (held, Stands::Held)]));
    assert_eq!((due.due, due.held, due.in_review), (0, 1, 1));
    assert!(due.rows.iter().any(|row| row.ground.as_deref() == Some(ground)));
    let done = world.station.apply_retention(Some(&world.chief)).unwrap();
    assert_eq!((done.due, done.entries), (0, 0));
    assert!(world.station.record(&world.chief, held).unwrap().is_some());
    let refused = world.station.destroy(None, held, false, None, Some("命令")).unwrap_err();
    assert!(matches!(&refused, StationError::Held { record, ground: said } if *record == held && said == ground));
    assert_eq!(world.station.held(None, held).unwrap().unwrap().ground, ground);
    let before = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), before);
    world.station.release(Some(&world.chief), held, "案件终结").unwrap();
    assert!(world.station.held(None, held).unwrap().is_none());
    assert!(matches!(
        world.station.release(None, held, "再次"),
        Err(StationError::NotFound(_))
    ));
    assert_eq!(world.station.apply_retention(None).unwrap().due, 1);
    assert!(world.station.record(&world.chief, held).unwrap().is_none());
    assert!(matches!(
        world.station.hold(None, held, ground),
        Err(StationError::NotFound(_))
    ));
    let said: Vec<String> = world
        .station
        .store
        .read(|tx| tx.audit_from(1, 99))
        .unwrap()
        .into_iter()
        .map(|line| line.what)
        .filter(|what| what.starts_with("record."))
        .collect();
    assert_eq!(said, ["record.hold", "record.release", "record.destroyed"]);
    // No phone hears on which ground something was held.
    phone.sign_in(&world.station).unwrap();
    world.sync(&mut phone, None);
    assert!(!phone.heard_of(ground.as_bytes()));
}

#[test]
fn a_station_keeps_longer_on_a_ground_and_never_shorter() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let household = world.record_id();
    let call = visit_at(&world, &mut phone, household);
    let settings = |kind: &str, days: u32, ground: &str| RetentionSettings {
        apply_daily: false,
        longer: [(
            kind.to_owned(),
            Longer {
                days,
                ground: ground.into(),
            },
        )]
        .into(),
    };
    for (kind, days, ground) in [("visit", 1094, "x"), ("visit", 2000, " "), ("dispute", 9000, "x")] {
        let station = Station::open(&world.data(), &world.keys(), &[], world.env.clone()).unwrap();
        assert!(matches!(
            station.keeping(settings(kind, days, ground)),
            Err(StationError::Invalid(_))
        ));
    }
    keeping(&mut world, settings("visit", 2000, "市档案管理办法"));
    days_later(&world, 1999);
    assert_eq!(world.station.retention(None).unwrap().rows, []);
    days_later(&world, 1);
    let due = world.station.retention(None).unwrap();
    assert_eq!(stands(&due), [(call, Stands::Due)]);
    assert!(due.rows[0].rule.contains("市档案管理办法"), "{due:?}");
}

/// A request of a resident, taken up.
fn request(world: &World, phone: &mut Phone, asks: &str, about: RecordId) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "request".into());
    let item = ItemId::from_bytes(world.sixteen());
    let facts = Edit::new()
        .field("asks", asks)
        .field("received_on", "2025-11-24")
        .field("speaks_for", "self")
        .field("proven", true)
        .field("household", about.to_string().as_str())
        .field("answer", "已办理");
    let who = Edit::new().item("requester", item, [("name", "REQUESTER-NEEDLE".into())]);
    let entries = vec![
        phone.write(record, Some(world.unit), facts),
        phone.write_in(record, DocumentName::Private, None, who),
        phone.act(record, "examine", None),
    ];
    accepted(world, phone, entries);
    record
}

fn act(world: &World, record: RecordId, code: &str) {
    let order = ActOrder {
        code: code.into(),
        if_match: world.version(record),
        ..ActOrder::default()
    };
    world.station.act(&world.chief, record, &order).unwrap();
}

#[test]
fn who_asks_for_his_data_gets_all_of_it_and_the_log_says_on_which_request() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let house = household(&world, &mut phone, "清华东路1号", "13800001111");
    let other = household(&world, &mut phone, "清华东路2号", "13800002222");
    let access = request(&world, &mut phone, "access", house);
    let copy = world.station.extract(&world.chief, house, access).unwrap().unwrap();
    let said = serde_json::to_string(&copy).unwrap();
    assert!(said.contains("清华东路1号") && said.contains("13800001111") && !said.contains("13800002222"));
    let contact = copy.said.iter().find(|line| line.value == "13800001111").unwrap();
    assert!(contact.private && contact.label.as_ref().unwrap().en == "Phone" && contact.purpose.as_deref() == Some("To call."));
    assert!(copy.legal_basis.contains("PIPL") && copy.retention_days == 1825);
    let lines = world.station.store.read(|tx| tx.audit_from(1, 99)).unwrap();
    let line = lines.last().unwrap();
    assert_eq!(
        (line.what.as_str(), line.record, line.user),
        ("record.extract", Some(house), Some(world.chief.user))
    );
    assert_eq!(line.reason.as_deref(), Some(format!("request {access}").as_str()));
    // Another record, another wish, another kind, another state: no, and no line.
    let wish = request(&world, &mut phone, "correction", house);
    for (record, request) in [(other, access), (house, wish), (house, other)] {
        assert!(matches!(
            world.station.extract(&world.chief, record, request),
            Err(StationError::Invalid(_))
        ));
    }
    let supervisor = {
        let user = world
            .station
            .add_user(None, "督导", &["supervisor".into()], world.unit)
            .unwrap();
        world
            .station
            .session(&world.station.issue_token(None, user).unwrap())
            .unwrap()
    };
    assert!(matches!(
        world.station.extract(&supervisor, house, access),
        Err(StationError::Forbidden(_))
    ));
    act(&world, access, "answer");
    assert!(world.station.extract(&world.chief, house, access).unwrap().is_some());
    act(&world, access, "close");
    assert!(matches!(
        world.station.extract(&world.chief, house, access),
        Err(StationError::Invalid(_))
    ));
    let nowhere: Option<_> = world.station.extract(&world.chief, world.record_id(), access).unwrap();
    assert!(nowhere.is_none());
    let lines = world.station.store.read(|tx| tx.audit_from(1, 100)).unwrap();
    let extracts = lines.iter().filter(|line| line.what == "record.extract").count();
    assert_eq!(extracts, 2, "each that was given, and none that was refused: {lines:?}");
}

#[test]
fn a_deletion_goes_when_its_request_was_granted_and_names_it() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let house = household(&world, &mut phone, "清华东路1号", "13800001111");
    let wish = request(&world, &mut phone, "deletion", house);
    let order = |session: &Session| world.station.destroy(Some(session), house, false, Some(wish), None);
    assert!(
        matches!(order(&world.chief), Err(StationError::Invalid(_))),
        "nobody has decided yet"
    );
    act(&world, wish, "answer");
    assert_eq!(order(&world.chief).unwrap(), 2);
    let told = world.station.destructions(None, None, 9).unwrap().rows;
    assert_eq!(
        (told[0].why.as_str(), told[0].rule.as_str()),
        ("request", format!("request {wish}").as_str())
    );
    let page = world.station.record(&world.chief, wish).unwrap().unwrap();
    assert!(page.private.is_some(), "the request itself is kept, with its own time");
    // A year after its last news who asked is nobody's business any more.
    days_later(&world, 365);
    let due = world.station.retention(None).unwrap();
    assert_eq!(
        (due.rows.len(), due.rows[0].document.as_str(), due.rows[0].record),
        (1, "private", wish)
    );
    assert!(stands_in_an_entry(&world, "REQUESTER-NEEDLE"));
    assert_eq!(world.station.apply_retention(None).unwrap().entries, 1);
    let page = world.station.record(&world.chief, wish).unwrap().unwrap();
    assert!(page.private.is_none() && page.official.fields.contains_key("asks"));
    assert!(!stands_in_an_entry(&world, "REQUESTER-NEEDLE"));
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
}

#[test]
fn a_hold_on_one_of_merged_records_holds_the_private_documents_of_all() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let stays = household(&world, &mut phone, "清华东路1号", "13800000000");
    let merged = household(&world, &mut phone, "清华东路1号", "13800000001");
    let order = ActOrder {
        code: MERGE_INTO.into(),
        comment: Some("同一户".into()),
        values: [(TARGET.to_owned(), stays.to_string().as_str().into())].into(),
        if_match: world.version(merged),
    };
    world.station.act(&world.chief, merged, &order).unwrap();
    world.station.hold(Some(&world.chief), merged, "(2026)京01民初77号").unwrap();
    for (by, private_only) in [(None, true), (Some(&world.chief), true), (None, false)] {
        let refused = world.station.destroy(by, stays, private_only, None, Some("命令"));
        assert!(
            matches!(&refused, Err(StationError::Held { record, .. }) if *record == merged),
            "{refused:?}"
        );
    }
    world.station.release(None, merged, "案件终结").unwrap();
    assert_eq!(world.station.destroy(None, stays, true, None, Some("命令")).unwrap(), 1);
    let left = |record| world.station.record(&world.chief, record).unwrap().unwrap().private.is_some();
    assert_eq!((left(stays), left(merged)), (false, true), "and takes this one's alone");
}
