//! What auditors read of the log and take along, and that they did.

use super::audit::{records, why};
use crate::audit::{self, Line};
use crate::station::{AuditFilter, AuditLine, ExportForm, Reason, Session};
use crate::testing::World;

/// How the world of a test was made: its people, units and phones.
fn is_of_the_registry(what: &str) -> bool {
    ["registry.", "enrol.", "token."].iter().any(|sort| what.starts_with(sort))
}

#[test]
fn an_auditor_reads_the_lines_of_his_units_and_that_he_did_is_one() {
    let world = World::new();
    let [record, _] = records(&world);
    let (east, west) = (
        world.station.add_unit(None, "东", Some(world.unit)).unwrap(),
        world.station.add_unit(None, "西", Some(world.unit)).unwrap(),
    );
    let (his, not_his) = (world.person("李", &["chief"], east), world.person("赵", &["chief"], west));
    for (session, what) in [(&his, "session.begin"), (&not_his, "session.begin")] {
        audit::write(&world.station, &Line::of(Some(session.user), what, "")).unwrap();
    }
    world.station.record(&world.chief, record).unwrap().unwrap();
    world.station.note_export("dump").unwrap();
    let read =
        |session: &Session, filter: AuditFilter| -> Vec<AuditLine> { world.station.audit(session, &filter).unwrap().lines };
    let of_east = world.person("东审", &["auditor"], east);
    let seen = read(&of_east, AuditFilter::default());
    assert_eq!(
        seen.iter().map(|line| (line.user, line.what.as_str())).collect::<Vec<_>>(),
        [(Some(of_east.user), "audit.read"), (Some(his.user), "session.begin")]
    );
    let of_all = world.person("总审", &["auditor"], world.unit);
    let mut all = read(&of_all, AuditFilter::default());
    all.retain(|line| !is_of_the_registry(&line.what));
    assert_eq!(all.len(), 6, "the operator's lines too: {all:?}");
    let by = |filter: AuditFilter| {
        let lines = read(&of_all, filter);
        lines.iter().filter(|line| !is_of_the_registry(&line.what)).count()
    };
    assert_eq!(
        by(AuditFilter {
            record: Some(record),
            ..AuditFilter::default()
        }),
        1
    );
    assert_eq!(
        by(AuditFilter {
            user: Some(not_his.user),
            what: Some("session".into()),
            ..AuditFilter::default()
        }),
        1
    );
    assert_eq!(
        by(AuditFilter {
            what: Some("sess".into()),
            ..AuditFilter::default()
        }),
        0,
        "a sort is a whole word"
    );
    let first = all.last().unwrap();
    assert_eq!(
        by(AuditFilter {
            until: Some(first.at.plus(1)),
            ..AuditFilter::default()
        }),
        1
    );
    let begun: Vec<u64> = all
        .iter()
        .filter(|line| line.what == "session.begin")
        .map(|line| line.number)
        .collect();
    assert_eq!(page_by_page(&world, &of_all), begun, "newest first, a page at a time");
}

/// The numbers of the lines about sessions, one a page.
fn page_by_page(world: &World, auditor: &Session) -> Vec<u64> {
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let filter = AuditFilter {
            what: Some("session".into()),
            after,
            limit: 1,
            ..AuditFilter::default()
        };
        let page = world.station.audit(auditor, &filter).unwrap();
        numbers.extend(page.lines.iter().map(|line| line.number));
        after = page.next;
        if after.is_none() {
            return numbers;
        }
    }
}

#[test]
fn an_export_holds_every_line_and_no_formula_and_glass_is_shown_to_its_units_auditor() {
    let world = World::new();
    let [record, home] = records(&world);
    let dangerous = world.person("=HYPERLINK(\"http://x\")", &["supervisor"], world.unit);
    let formula = Reason::parse("=1+1, \"quoted\"").unwrap();
    world.station.break_glass(&dangerous, record, &formula).unwrap().unwrap();
    let auditor = world.person("审计", &["auditor"], world.unit);
    let filter = AuditFilter::default();
    let export = world.station.audit_export(&auditor, &filter, ExportForm::Ndjson).unwrap();
    let text = String::from_utf8(export.bytes).unwrap();
    let parsed: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = parsed.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let parsed: Vec<_> = parsed
        .into_iter()
        .filter(|line| !is_of_the_registry(line["what"].as_str().unwrap()))
        .collect();
    assert_eq!(parsed.len(), 2);
    assert_eq!((parsed[0]["reason"].as_str(), export.next), (Some("=1+1, \"quoted\""), None));
    let export = world.station.audit_export(&auditor, &filter, ExportForm::Csv).unwrap();
    let table = String::from_utf8(export.bytes.clone()).unwrap();
    for harmless in ["\"'=1+1, \"\"quoted\"\"\"", "\"'=HYPERLINK(\"\"http://x\"\")\""] {
        assert!(table.contains(harmless), "{table}");
    }
    let read = crate::sheets::read_csv(&export.bytes).unwrap();
    assert_eq!(
        (read.rows.len(), read.head.len()),
        (numbers.len() + 1, 9),
        "and the line of the export before"
    );

    world.station.break_glass(&dangerous, home, &why()).unwrap().unwrap();
    let shown = world.station.audit_glass(&auditor, None).unwrap();
    assert_eq!(
        shown.iter().map(|glass| (glass.record, glass.user)).collect::<Vec<_>>(),
        [(home, dangerous.user), (record, dangerous.user)]
    );
    let east = world.station.add_unit(None, "东", Some(world.unit)).unwrap();
    let elsewhere = world.person("东审", &["auditor"], east);
    assert_eq!(world.station.audit_glass(&elsewhere, None).unwrap(), []);
}
