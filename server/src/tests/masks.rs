//! What of a record is shown to whom: plainly, on a stated reason, behind broken glass, and never.

use beatbook_protocol::blob::blob_name;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{Hash, ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use crate::blobs::{self, Answered, Asker};
use crate::error::ActError;
use crate::station::{ActOrder, GrantOrder, Part, Reason, RecordPage, Session};
use crate::testing::{Phone, World, visit};

const NAME: &str = "欧阳明远";
const NUMBER: &str = "13912345678";
const ACCOUNT: &str = "6222020200112233";

fn why() -> Reason {
    Reason::parse("核对投诉人").unwrap()
}

/// All that a person is told of a record, in every part of it.
fn told(world: &World, session: &Session, record: RecordId, reason: Option<&Reason>) -> String {
    let parts = [Part::Page, Part::History, Part::Track].map(|part| {
        let page = world.station.look(session, record, part, reason).unwrap().unwrap();
        serde_json::to_string(&page).unwrap()
    });
    assert!(
        parts.iter().all(|part| *part == parts[0]),
        "a part shows no more than another"
    );
    parts.concat()
}

/// A visit that names whom it met, twice, so that one name is only in its history.
fn visit_with_name(world: &World, phone: &mut Phone) -> (RecordId, ItemId) {
    let (record, item) = (world.record_id(), ItemId::from_bytes(world.sixteen()));
    let met = |name: &str| Edit::new().item("people_met", item, [("name", name.into()), ("relation", "tenant".into())]);
    let entries = vec![
        phone.write(record, Some(world.unit), visit()),
        phone.write(record, None, met(NAME)),
        phone.act(record, "finish", None),
        phone.act(record, "submit", None),
        phone.write(record, None, met("欧阳明")),
    ];
    assert!(
        world
            .verdicts(phone, entries)
            .iter()
            .all(|verdict| *verdict == Verdict::Accepted)
    );
    (record, item)
}

fn household(world: &World, phone: &mut Phone) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "household".into());
    let item = ItemId::from_bytes(world.sixteen());
    let contact = Edit::new().item("contacts", item, [("name", NAME.into()), ("phone", NUMBER.into())]);
    let entries = vec![
        phone.write(record, Some(world.unit), Edit::new().field("address", "东街一号")),
        phone.write_in(record, DocumentName::Private, None, contact),
    ];
    assert_eq!(world.verdicts(phone, entries), [Verdict::Accepted, Verdict::Accepted]);
    record
}

#[test]
fn who_works_on_a_record_sees_names_and_of_private_the_shape_until_he_says_why() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let home = household(&world, &mut phone);
    let plain = told(&world, &world.chief, home, None);
    assert!(!plain.contains(NAME) && !plain.contains(NUMBER));
    let page = world.station.record(&world.chief, home).unwrap().unwrap();
    assert_eq!(page.private.unwrap().lists["contacts"].len(), 1, "that there is a contact");
    assert_eq!(page.masked.len(), 2, "its name and its number: {:?}", page.masked);
    let all = told(&world, &world.chief, home, Some(&why()));
    assert!(all.contains(NAME) && all.contains(NUMBER));
    let page = world
        .station
        .look(&world.chief, home, Part::Page, Some(&why()))
        .unwrap()
        .unwrap();
    assert_eq!(page.masked, [""; 0]);

    let (record, _) = visit_with_name(&world, &mut phone);
    assert!(
        told(&world, &world.chief, record, None).contains(NAME),
        "a review needs names"
    );
}

#[test]
fn who_only_has_it_in_scope_sees_nothing_personal_until_he_breaks_the_glass_and_for_three_hours() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (record, _) = visit_with_name(&world, &mut phone);
    let home = household(&world, &mut phone);
    let supervisor = world.person("督导", &["supervisor"], world.unit);
    for reason in [None, Some(&why())] {
        for record in [record, home] {
            let seen = told(&world, &supervisor, record, reason);
            assert!(!seen.contains("欧阳") && !seen.contains(NUMBER), "{seen}");
        }
    }
    let page = world.station.record(&supervisor, home).unwrap().unwrap();
    assert_eq!((page.private, page.masked), (None, vec!["private".to_owned()]));

    let glass = world.station.break_glass(&supervisor, home, &why()).unwrap().unwrap();
    assert_eq!(glass.ends_at.since(glass.begun_at), 3 * 60 * 60 * 1000);
    assert!(told(&world, &supervisor, home, None).contains(NUMBER));
    assert!(
        !told(&world, &supervisor, record, None).contains("欧阳"),
        "glass is before one record"
    );
    let colleague = world.person("督导二", &["supervisor"], world.unit);
    assert!(
        !told(&world, &colleague, home, None).contains(NUMBER),
        "and broken for one person"
    );
    world.clock.pass(3 * 60 * 60 * 1000);
    assert!(!told(&world, &supervisor, home, None).contains(NUMBER), "and whole again");
}

#[test]
fn outside_his_scope_nobody_sees_anything_whatever_he_says_or_breaks() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let home = household(&world, &mut phone);
    let elsewhere = world.station.add_unit(None, "远", None).unwrap();
    for role in ["chief", "officer", "supervisor"] {
        let stranger = world.person("外", &[role], elsewhere);
        assert!(
            world
                .station
                .look(&stranger, home, Part::Page, Some(&why()))
                .unwrap()
                .is_none()
        );
        assert!(world.station.break_glass(&stranger, home, &why()).unwrap().is_none());
        assert!(world.station.record(&stranger, home).unwrap().is_none());
    }
    let department = world.person("城管", &["department"], world.unit);
    assert!(
        world.station.record(&department, home).unwrap().is_none(),
        "its unit brings it no records"
    );
    let order = GrantOrder {
        user: Some(department.user),
        unit: None,
        reason: "assigned".into(),
        ended: false,
    };
    world.station.grant(Some(&world.chief), home, &order).unwrap();
    assert!(world.station.record(&department, home).unwrap().is_some());
    assert_eq!(world.station.records(&department, &Default::default()).unwrap().rows.len(), 1);
}

#[test]
fn what_moved_under_an_act_is_told_masked() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (record, item) = visit_with_name(&world, &mut phone);
    let supervisor = world.person("督导", &["supervisor"], world.unit);
    let seen = world.version(record);
    let edit = phone.write(
        record,
        None,
        Edit::new().item("people_met", item, [("name", "欧阳远".into())]),
    );
    assert_eq!(world.verdicts(&mut phone, vec![edit]), [Verdict::Accepted]);
    let order = ActOrder {
        code: "comment".into(),
        comment: Some("阅".into()),
        if_match: seen,
        ..ActOrder::default()
    };
    let told = |session: &Session| match world.station.act(session, record, &order) {
        Err(ActError::Moved { changed, .. }) => serde_json::to_string(&changed).unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(told(&world.chief).contains("欧阳远"));
    let masked = told(&supervisor);
    assert!(masked.contains("masked") && !masked.contains("欧阳"), "{masked}");
}

#[test]
fn a_search_by_a_name_finds_for_who_works_there_and_shows_the_name_to_nobody() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (record, _) = visit_with_name(&world, &mut phone);
    let supervisor = world.person("督导", &["supervisor"], world.unit);
    let note = phone.write(record, None, Edit::new().note("notes", "楼下路灯坏了"));
    assert_eq!(world.verdicts(&mut phone, vec![note]), [Verdict::Accepted]);
    let find = |session: &Session, words: &str| world.station.search(session, words, 10).unwrap();
    let found = find(&world.chief, "欧阳明");
    assert_eq!(found.len(), 1);
    assert!(!serde_json::to_string(&found).unwrap().contains("欧"));
    assert!(find(&supervisor, "欧阳明").is_empty(), "or he could ask for anybody by name");
    let by_note = find(&supervisor, "路灯");
    assert!(by_note[0].snippet.as_deref().unwrap().contains("路灯"));
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

/// A record of the kind of tests, with a file, a title with a name, an act with a sensitive value, and a private account.
pub(super) fn confidence(world: &World, phone: &mut Phone, file: Hash) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "confidence".into());
    let paper = FileRef {
        field: "papers".into(),
        media_type: "image/jpeg".into(),
        bytes: 3,
        thumbnail: None,
        removed: false,
    };
    let facts = Edit::new().field("party", NAME).field("topic", "噪声").file(file, paper);
    let opening = phone.write(record, Some(world.unit), Edit::new().field("topic", "噪声"));
    let entries = vec![
        opening,
        phone.write(record, None, facts),
        phone.write_in(record, DocumentName::Private, None, Edit::new().field("account", ACCOUNT)),
    ];
    assert!(
        world
            .verdicts(phone, entries)
            .iter()
            .all(|verdict| *verdict == Verdict::Accepted)
    );
    record
}

#[tokio::test]
async fn titles_files_and_values_of_acts_are_masked_by_the_level_of_their_fields() {
    let world = World::with_confidence();
    let mut phone = world.phone("李警官", "officer");
    let file = upload(&world, &phone, b"abc").await;
    let record = confidence(&world, &mut phone, file);
    let warn = ActOrder {
        code: "warn".into(),
        values: [("whom".to_owned(), NUMBER.into())].into(),
        if_match: world.version(record),
        ..ActOrder::default()
    };
    world.station.act(&world.chief, record, &warn).unwrap();
    let supervisor = world.person("督导", &["supervisor"], world.unit);

    let rows = |session: &Session| world.station.records(session, &Default::default()).unwrap().rows;
    assert_eq!(rows(&world.chief)[0].title, format!("{NAME} · 噪声"));
    assert_eq!(rows(&supervisor)[0].title, "密谈");
    let page = |session: &Session, reason: Option<&Reason>| -> RecordPage {
        world.station.look(session, record, Part::Page, reason).unwrap().unwrap()
    };
    let of = |page: &RecordPage| page.acts.last().unwrap().values["whom"].to_string();
    assert!(of(&page(&world.chief, None)).contains("masked"));
    assert!(of(&page(&world.chief, Some(&why()))).contains(NUMBER));
    let masked = told(&world, &supervisor, record, Some(&why()));
    assert!(
        ![NAME, NUMBER, ACCOUNT].iter().any(|needle| masked.contains(needle)),
        "{masked}"
    );

    let ask = |session: &Session, reason: Option<Reason>| {
        blobs::readable(&world.station, session, &file, &Asker::Person(reason)).unwrap()
    };
    assert!(matches!(ask(&world.chief, None), Answered::Masked { works: true }));
    assert!(matches!(ask(&world.chief, Some(why())), Answered::Given(_)));
    assert!(matches!(ask(&supervisor, Some(why())), Answered::Masked { works: false }));
    world.station.break_glass(&supervisor, record, &why()).unwrap().unwrap();
    assert!(matches!(ask(&supervisor, None), Answered::Given(_)));
    assert!(
        rows(&supervisor)[0].title == "密谈",
        "glass is broken before a page, not before lists"
    );
}

/// A blob that a phone brought.
pub(super) async fn upload(world: &World, phone: &Phone, content: &[u8]) -> Hash {
    let (station, name) = (&world.station, blob_name(content));
    let turn = station.blobs.turn(phone.book, name).await.unwrap();
    blobs::begin(station, &turn, content.len() as u64).unwrap();
    let mut writing = blobs::write(station, turn, 0, None).unwrap();
    writing.append(content).unwrap();
    blobs::end(station, writing).unwrap();
    name
}
