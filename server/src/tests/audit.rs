//! The log of who read what: what stands in it when, that it cannot be changed unseen, and what a restore does to it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use beatbook_protocol::document::Edit;
use beatbook_protocol::entry::{Entry, RegistryEvent};
use beatbook_protocol::id::{ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, Segment, segment_key};
use beatbook_protocol::wire::Verdict;
use tower::ServiceExt as _;

use super::masks::{confidence, upload};
use crate::audit::{self, Line};
use crate::config::HttpConfig;
use crate::http::{OpenConnections, router};
use crate::station::{Part, Reason, Station};
use crate::testing::{Phone, World, visit};

const NAME: &str = "欧阳明远";

pub(super) fn why() -> Reason {
    Reason::parse("核对投诉人").unwrap()
}

fn lines(world: &World) -> Vec<audit::Written> {
    world.station.store.read(|tx| tx.audit_from(1, u32::MAX)).unwrap()
}

fn faults(world: &World) -> Vec<String> {
    world.station.verify_ledger().unwrap().faults
}

fn write(world: &World, count: u64) {
    for at in 0..count {
        audit::write(&world.station, &Line::of(None, "test.line", format!("{at}"))).unwrap();
    }
}

/// A visit with a name, and a household with a contact.
pub(super) fn records(world: &World) -> [RecordId; 2] {
    let mut phone = world.phone("李警官", "officer");
    let item = ItemId::from_bytes(world.sixteen());
    let (record, home) = (world.record_id(), world.record_id());
    phone.kinds.insert(home, "household".into());
    let contact = Edit::new().item("contacts", item, [("name", NAME.into())]);
    let entries = vec![
        phone.write(
            record,
            Some(world.unit),
            visit().item("people_met", item, [("name", NAME.into())]),
        ),
        phone.write(home, Some(world.unit), Edit::new().field("address", "东街一号")),
        phone.write_in(home, DocumentName::Private, None, contact),
    ];
    assert_eq!(
        world.verdicts(&mut phone, entries),
        [Verdict::Accepted, Verdict::Accepted, Verdict::Accepted]
    );
    [record, home]
}

#[test]
fn a_line_says_who_saw_which_fields_why_and_holds_no_content() {
    let world = World::new();
    let [record, home] = records(&world);
    world.station.record(&world.chief, record).unwrap().unwrap();
    world
        .station
        .look(&world.chief, home, Part::History, Some(&why()))
        .unwrap()
        .unwrap();
    let supervisor = world.person("督导", &["supervisor"], world.unit);
    world.station.record(&supervisor, record).unwrap().unwrap();
    let glass = world.station.break_glass(&supervisor, record, &why()).unwrap().unwrap();
    world.station.record(&supervisor, record).unwrap().unwrap();
    let said: Vec<_> = lines(&world)
        .into_iter()
        .filter(|line| line.what.starts_with("record."))
        .map(|line| (line.user.unwrap(), line.what, line.record.unwrap(), line.detail, line.reason))
        .collect();
    let reason = Some(why().as_str().to_owned());
    let (chief, supervisor) = (world.chief.user, supervisor.user);
    assert_eq!(
        said,
        [
            (chief, "record.read".into(), record, "people_met/name".into(), None),
            (chief, "record.history".into(), home, "contacts/name".into(), reason.clone()),
            // What shows nothing sensitive needs no line: the supervisor's first look has none.
            (
                supervisor,
                "record.break_glass".into(),
                record,
                "three hours".into(),
                reason.clone()
            ),
            (
                supervisor,
                "record.read".into(),
                record,
                "people_met/name (behind broken glass)".into(),
                reason
            ),
        ]
    );
    assert!(
        lines(&world)
            .iter()
            .any(|line| line.number == glass.line && line.what == "record.break_glass")
    );
}

/// A patrol that was walked.
fn patrol(world: &World, phone: &mut Phone) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "patrol".into());
    let fix = |at: i64| Fix::check(UnixMillis(1_764_000_000_000 + at), 39.9, 116.39, None).unwrap();
    let bytes = Segment::check(vec![fix(0), fix(10_000)], vec![]).unwrap().encode();
    let walk = Edit::new().segment(&segment_key(&bytes).unwrap(), bytes);
    let opening = phone.write(record, Some(world.unit), walk);
    assert_eq!(world.verdicts(phone, vec![opening]), [Verdict::Accepted]);
    record
}

/// The station behind its router.
async fn ask(station: &Arc<Station>, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("beatbook-reason", "because it is tried")
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let answer = router(Arc::clone(station), &HttpConfig::default(), OpenConnections::default())
        .oneshot(request)
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn each_route_that_shows_what_is_sensitive_writes_its_line_before_the_answer_leaves() {
    let mut world = World::with_confidence();
    let [record, home] = records(&world);
    let mut phone = world.phone("刘警官", "officer");
    let walked = patrol(&world, &mut phone);
    let file = upload(&world, &phone, NAME.as_bytes()).await;
    confidence(&world, &mut phone, file);
    let auditor = world.person("审计", &["auditor"], world.unit);
    let chief = world.station.issue_token(None, world.chief.user).unwrap();
    let auditor = world.station.issue_token(None, auditor.user).unwrap();
    let other = World::new();
    let station = Arc::new(std::mem::replace(&mut world.station, other.station));
    let head = || station.store.read(|tx| tx.audit_head()).unwrap().0;
    let glass = r#"{"reason":"because it is tried"}"#;
    for (token, method, path, body) in [
        (&chief, "GET", format!("/api/v1/records/{record}"), ""),
        (&chief, "GET", format!("/api/v1/records/{record}/history"), ""),
        (&chief, "GET", format!("/api/v1/records/{home}"), ""),
        (&chief, "GET", format!("/api/v1/records/{home}/history"), ""),
        (&chief, "GET", format!("/api/v1/records/{walked}/track"), ""),
        (&chief, "GET", format!("/api/v1/blobs/{file}"), ""),
        // The title of one of them is a name.
        (&chief, "GET", "/api/v1/records".into(), ""),
        (&chief, "POST", format!("/api/v1/records/{home}/break-glass"), glass),
        (&auditor, "GET", "/api/v1/audit".into(), ""),
        (&auditor, "GET", "/api/v1/audit/export".into(), ""),
        (&auditor, "GET", "/api/v1/audit/export?form=csv".into(), ""),
        (&auditor, "GET", "/api/v1/audit/glass".into(), ""),
    ] {
        let before = head();
        station.store.hinder_audit(true);
        let (status, text) = ask(&station, token, method, &path, body).await;
        assert_eq!(status, 500, "{path}: no line, no answer: {text}");
        assert!(
            ![NAME, "116.39", "record.read"].iter().any(|needle| text.contains(needle)),
            "{path}: {text}"
        );
        assert_eq!(head(), before);
        station.store.hinder_audit(false);
        let (status, text) = ask(&station, token, method, &path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {text}");
        assert_eq!(head(), before + 1, "{path}");
        let shows = |needle: &str| text.contains(needle);
        assert!(
            token == &auditor || method == "POST" || shows(NAME) || shows("116.39"),
            "{path}: {text}"
        );
    }
}

#[test]
fn a_line_that_was_changed_taken_out_or_put_in_is_named() {
    let world = World::new();
    write(&world, 5);
    audit::anchor(&world.station).unwrap();
    write(&world, 1);
    assert_eq!(faults(&world), [""; 0]);
    for statement in [
        "UPDATE audit SET detail = 'x' WHERE number = 3",
        "DELETE FROM audit WHERE number = 3",
    ] {
        let refused = world.station.store.sql(statement).unwrap_err();
        assert!(refused.contains("never"), "{refused}");
    }
    // Whoever has the file can take the triggers away.
    world.station.store.sql("DROP TRIGGER audit_is_not_changed").unwrap();
    world.station.store.sql("DROP TRIGGER audit_is_not_shortened").unwrap();
    let broken = |change: &str, mend: &str, said: &str| {
        world.station.store.sql(change).unwrap();
        let found = faults(&world);
        assert!(found.iter().any(|fault| fault.contains(said)), "{said:?} in {found:?}");
        world.station.store.sql(mend).unwrap();
        assert_eq!(faults(&world), [""; 0]);
    };
    for column in ["detail", "what"] {
        broken(
            &format!("UPDATE audit SET {column} = {column} || 'x' WHERE number = 3"),
            &format!("UPDATE audit SET {column} = rtrim({column}, 'x') WHERE number = 3"),
            "line 3 does not fit",
        );
    }
    broken(
        "UPDATE audit SET at = at + 1 WHERE number = 2",
        "UPDATE audit SET at = at - 1 WHERE number = 2",
        "line 2 does not fit",
    );
    broken(
        "UPDATE audit SET number = 40 WHERE number = 6",
        "UPDATE audit SET number = 6 WHERE number = 40",
        "lines 6 to 39 are missing",
    );
    // All from line 5 on, as if they had never been: the ledger remembers.
    world.station.store.sql("DELETE FROM audit WHERE number >= 5").unwrap();
    let found = faults(&world);
    assert!(
        found.iter().any(|fault| fault.contains("fixed line 5, which is missing")),
        "{found:?}"
    );
    // And written anew, in good order.
    write(&world, 3);
    let found = faults(&world);
    assert!(
        found.iter().any(|fault| fault.contains("fixed line 5, which is another now")),
        "{found:?}"
    );
    let checks = Station::doctor(&world.data(), &world.keys());
    let audit = checks.iter().find(|check| check.name == "audit").unwrap();
    assert!(!audit.ok && audit.detail.contains("line 5"), "{audit:?}");
    assert!(checks.iter().any(|check| check.name == "ledger" && check.ok));
}

#[test]
fn the_ledger_fixes_the_log_by_number_and_by_time_and_no_phone_hears_of_it() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.sync(&mut phone, None);
    world.station.anchor_audit().unwrap();
    let size = || world.station.status().unwrap().ledger.size;
    let (before, heard) = (size(), phone.heard.len());
    let (book, reach) = world.station.hint_scope(&phone.enrolled.token).unwrap();
    let mut hearing = world.station.store.news.listen(book, reach).unwrap();
    write(&world, audit::LINES_UNFIXED_MAX - 1);
    assert_eq!(size(), before, "few lines wait");
    write(&world, 1);
    assert_eq!(size(), before + 1, "many do not");
    assert!(!world.station.anchor_audit().unwrap(), "nothing new, nothing said");
    write(&world, 1);
    assert!(world.station.anchor_audit().unwrap());
    assert_eq!(size(), before + 2);

    let (_, head) = world.station.store.read(|tx| tx.audit_head()).unwrap();
    let reply = world.sync(&mut phone, None);
    assert!(reply.feed.is_empty() && reply.digest.is_none());
    let mut new = world.phone("张", "grid_worker");
    world.sync(&mut new, None);
    for phone in [&phone, &new] {
        assert!(!phone.heard_of(head.as_bytes()));
    }
    assert!(phone.heard.len() - heard < 4_000, "what it asked for, and nothing of the log");
    // The next word that it hears is of the new phone's registration.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(hearing.next()), Some(crate::news::Heard::Registry));
    assert_eq!(faults(&world), [""; 0]);
    let anchors = world
        .station
        .store
        .read(|tx| {
            let mut found = 0;
            tx.each_content(|content| {
                found += usize::from(matches!(
                    Entry::parse(&content.bytes),
                    Ok(Entry::Registry(RegistryEvent::AuditAnchor(_)))
                ));
                Ok::<_, crate::error::StationError>(())
            })?;
            Ok::<_, crate::error::StationError>(found)
        })
        .unwrap();
    assert_eq!(anchors, 3);
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn lines_that_a_restore_lost_are_a_gap_that_the_log_tells_of_and_the_log_goes_on() {
    let mut world = World::new();
    write(&world, 3);
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let kept = lines(&world).len() as u64;
    assert_eq!(kept, 4, "the backup is a line too, and in it");
    write(&world, 5);
    audit::anchor(&world.station).unwrap();
    let data = world.dir.path().join("restored");
    let report = Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    assert_eq!(report.audit_lost, 5);
    world.reopen_at(&data);
    let there = lines(&world);
    let last = there.last().unwrap();
    assert_eq!((last.number, last.what.as_str()), (kept + 5 + 1, "station.restored"));
    assert!(last.detail.contains("lines 5 to 9 were lost"), "{}", last.detail);
    write(&world, 2);
    let report = world.station.verify_ledger().unwrap();
    assert_eq!((report.faults, report.audit_lines, report.audit_lost), (vec![], 7, 5));
    audit::anchor(&world.station).unwrap();
    assert_eq!(faults(&world), [""; 0]);
    let checks = Station::doctor(&data, &world.keys());
    let audit = checks.iter().find(|check| check.name == "audit").unwrap();
    assert!(audit.ok && audit.detail.contains("5 line(s) were lost"), "{audit:?}");

    // A database put back by hand hides nothing: the keys directory remembers.
    let old = world.dir.path().join("by-hand");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::copy(&backup.file, old.join("station.db")).unwrap();
    let checks = Station::doctor(&old, &world.keys());
    let audit = checks.iter().find(|check| check.name == "audit").unwrap();
    assert!(!audit.ok && audit.detail.contains("noted line"), "{audit:?}");
}
