//! Destruction: whole or not at all, provable, final. What was written is in no file any more, the rest proves, and nothing brings it back.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use super::at_rest::{household, stands_in};
use crate::error::StationError;
use crate::station::RecordFilter;
use crate::testing::{Phone, World, code, visit};

pub(super) const GROUND: &str = "法院判决第7号";

/// Two officers who hold the same, and one of another unit; two households.
pub(super) struct Busy {
    pub(super) world: World,
    pub(super) one: Phone,
    pub(super) two: Phone,
    pub(super) stranger: Phone,
    pub(super) doomed: RecordId,
    pub(super) kept: RecordId,
}

pub(super) fn busy() -> Busy {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let elsewhere = world.station.add_unit(None, "别处", None).unwrap();
    let user = world.station.add_user(None, "赵", &["officer".into()], elsewhere).unwrap();
    let mut stranger = world.phone_of(user);
    world.sync(&mut stranger, None);
    let doomed = household(&world, &mut one, "DOOMED-NEEDLE street", "DOOMED-PRIVATE");
    // Both stand in one page with what stays.
    let kept = world.record_id();
    one.kinds.insert(kept, "household".into());
    let entries = vec![
        one.write(kept, Some(world.unit), Edit::new().field("address", "KEPT-NEEDLE street")),
        one.write(doomed, None, Edit::new().note("notes", "DOOMED-NOTE of the visitor")),
        one.act(doomed, "archive", Some("DOOMED-COMMENT")),
    ];
    assert!(
        world
            .verdicts(&mut one, entries)
            .iter()
            .all(|verdict| *verdict == Verdict::Accepted)
    );
    // What was refused of it is kept until then as well.
    let refused = vec![one.act(doomed, "reopen", Some("DOOMED-REFUSED"))];
    assert!(matches!(world.verdicts(&mut one, refused)[0], Verdict::Refused { .. }));
    world.sync(&mut one, None);
    world.sync(&mut two, None);
    world.sync(&mut stranger, None);
    Busy {
        world,
        one,
        two,
        stranger,
        doomed,
        kept,
    }
}

pub(super) const NEEDLES: [&str; 5] = [
    "DOOMED-NEEDLE",
    "DOOMED-PRIVATE",
    "DOOMED-NOTE",
    "DOOMED-COMMENT",
    "DOOMED-REFUSED",
];

/// That of them which lies sealed: a search of the files finds it at no time.
const SEALED: &str = "DOOMED-PRIVATE";

/// Whether these words stand in an entry that the station keeps, once it is opened.
pub(super) fn stands_in_an_entry(world: &World, words: &str) -> bool {
    let mut found = false;
    let read = world.station.store.read(|tx| {
        tx.each_content(|content| {
            found |= content.bytes.windows(words.len()).any(|window| window == words.as_bytes());
            Ok::<_, StationError>(())
        })
    });
    read.unwrap();
    found
}

pub(super) fn destroy(world: &World, record: RecordId) -> u64 {
    world
        .station
        .destroy(Some(&world.chief), record, false, None, Some(GROUND))
        .unwrap()
}

pub(super) fn rebuilds_to_the_same(world: &World) {
    let before = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    let after = world.station.dump().unwrap();
    for (one, other) in before.lines().zip(after.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(before, after);
}

/// Syncs until nothing is new, and holds what it has against the station's word.
pub(super) fn agrees(world: &World, phone: &mut Phone) {
    world.sync(phone, None);
    assert_eq!(world.sync(phone, None).digest, None, "both hold the same");
}

pub(super) fn listed(world: &World) -> Vec<RecordId> {
    let filter = RecordFilter {
        limit: 50,
        ..RecordFilter::default()
    };
    let page = world.station.records(&world.chief, &filter).unwrap();
    page.rows.iter().map(|row| row.id).collect()
}

#[test]
fn what_is_destroyed_is_in_no_file_and_the_rest_of_the_ledger_proves() {
    let Busy {
        mut world,
        mut one,
        mut two,
        mut stranger,
        doomed,
        kept,
    } = busy();
    for words in NEEDLES {
        let found = (stands_in_an_entry(&world, words), stands_in(&world.data(), words));
        assert_eq!(found, (true, words != SEALED), "{words}");
    }
    let held = two.held.records.get(&kept).cloned().unwrap();
    assert_eq!(destroy(&world, doomed), 5);
    for words in NEEDLES {
        let found = (stands_in_an_entry(&world, words), stands_in(&world.data(), words));
        assert_eq!(found, (false, false), "{words} is still there");
    }
    assert!(stands_in(&world.data(), "KEPT-NEEDLE"));
    let report = world.station.verify_ledger().unwrap();
    assert_eq!(report.faults, [""; 0]);
    assert_eq!(report.destroyed.len(), 1);
    assert_eq!((report.destroyed[0].record, report.destroyed[0].entries), (doomed, 5));
    assert!(world.station.record(&world.chief, doomed).unwrap().is_none());
    assert_eq!(listed(&world), [kept]);
    assert!(world.station.search(&world.chief, "DOOMED", 9).unwrap().is_empty());
    assert_eq!(world.station.search(&world.chief, "KEPT", 9).unwrap().len(), 1);
    let told = world.station.destructions(Some(&world.chief), None, 10).unwrap();
    assert_eq!(
        (told.rows.len(), told.rows[0].record, told.rows[0].why.as_str()),
        (1, doomed, "order")
    );
    assert_eq!(
        (told.rows[0].rule.as_str(), told.rows[0].by, told.rows[0].kind.as_deref()),
        (GROUND, Some(world.chief.user), Some("household"))
    );
    rebuilds_to_the_same(&world);
    // Phones that hold it hear of it, and agree; who never held it hears not even its name.
    for phone in [&mut one, &mut two] {
        agrees(&world, phone);
        assert_eq!(phone.held.destroyed, [doomed]);
    }
    assert_eq!(
        two.held.records.get(&kept).map(std::collections::BTreeMap::len),
        Some(held.len())
    );
    world.sync(&mut stranger, None);
    assert!(!stranger.heard_of(doomed.as_bytes()) && stranger.held.destroyed.is_empty());
    let mut late = world.phone("新来", "officer");
    world.sync(&mut late, None);
    assert!(!late.heard_of(doomed.as_bytes()) && late.held.records.contains_key(&kept));
    world.reopen();
    assert_eq!(listed(&world), [kept]);
    rebuilds_to_the_same(&world);
}

#[test]
fn numbers_and_author_marks_of_what_is_destroyed_are_not_given_away_again() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let first = household(&world, &mut phone, "一号", "13800000001");
    let last = household(&world, &mut phone, "二号", "13800000002");
    destroy(&world, last);
    let next = household(&world, &mut phone, "三号", "13800000003");
    destroy(&world, first);
    rebuilds_to_the_same(&world);
    let number = |record| world.station.store.read(|tx| tx.number_of(record)).unwrap();
    assert_eq!(number(next), Some(3));
    destroy(&world, next);
    rebuilds_to_the_same(&world);
    // All that was written under the mark is gone, and still it is nobody else's.
    let mut thief = world.phone("冒名", "officer");
    thief.actor = phone.actor;
    let record = world.record_id();
    let forged = thief.write(record, Some(world.unit), visit());
    assert_eq!(code(&world.verdicts(&mut thief, vec![forged])[0]), "foreign_actor");
    let after = household(&world, &mut phone, "四号", "13800000004");
    assert_eq!(number(after), Some(4));
    world.sync(&mut phone, None);
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
}

/// Robs a world of the entry at a place, knowing a destruction in it.
type Rob = dyn Fn(&World, (u64, u32), Hash);

#[test]
fn an_entry_that_is_gone_and_that_no_destruction_names_is_found() {
    let find = |rob: &Rob| {
        let Busy { world, kept, doomed, .. } = busy();
        destroy(&world, doomed);
        let event = world.station.verify_ledger().unwrap().destroyed[0].event;
        let place = world.station.store.read(|tx| tx.accepted_of(kept)).unwrap()[0];
        rob(&world, (place.1, place.2), event);
        world.station.verify_ledger().unwrap().faults
    };
    let faults = find(&|world, place, _| world.station.store.rob(place, None, false));
    assert!(
        faults.iter().any(|fault| fault.contains("no destruction names it")),
        "{faults:?}"
    );
    let faults = find(&|world, place, event| world.station.store.rob(place, Some(event), false));
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("not those that this destruction names")),
        "{faults:?}"
    );
    let faults = find(&|world, place, event| world.station.store.rob(place, Some(event), true));
    assert!(faults.iter().any(|fault| fault.contains("was taken in")), "{faults:?}");
    let faults = find(&|world, place, _| world.station.store.rob(place, Some(Hash::from_bytes([1; 32])), false));
    assert!(faults.iter().any(|fault| fault.contains("not on the ledger")), "{faults:?}");
}

#[test]
fn a_private_document_goes_alone_and_its_record_is_counted_again_without_it() {
    let Busy {
        world,
        mut one,
        mut two,
        doomed,
        kept,
        ..
    } = busy();
    let mut supervisor = {
        let user = world
            .station
            .add_user(None, "督导", &["supervisor".into()], world.unit)
            .unwrap();
        world.phone_of(user)
    };
    world.sync(&mut supervisor, None);
    let version = world.version(doomed);
    assert!(stands_in_an_entry(&world, SEALED));
    let entries = world.station.destroy(None, doomed, true, None, Some(GROUND)).unwrap();
    assert_eq!(entries, 1);
    assert!(!stands_in_an_entry(&world, SEALED) && stands_in(&world.data(), "DOOMED-NEEDLE"));
    let page = world.station.record(&world.chief, doomed).unwrap().unwrap();
    assert!(page.private.is_none() && page.official.fields.contains_key("address"));
    assert_eq!(page.header.state, "archived");
    assert_ne!(page.header.version, version);
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    rebuilds_to_the_same(&world);
    for phone in [&mut one, &mut two] {
        agrees(&world, phone);
        assert_eq!(phone.held.destroyed, [doomed]);
    }
    agrees(&world, &mut supervisor);
    assert!(
        supervisor.held.destroyed.is_empty(),
        "whoever did not read it is not told that it was there"
    );
    // What is written in it later is refused and not kept; the facts go on.
    let item = ItemId::from_bytes(world.sixteen());
    let late = vec![
        two.write(kept, None, Edit::new().field("language", "dialect")),
        two.write_in(
            doomed,
            DocumentName::Private,
            None,
            Edit::new().item("contacts", item, [("phone", "LATE-PRIVATE".into())]),
        ),
    ];
    let verdicts = world.verdicts(&mut two, late);
    assert_eq!((&verdicts[0], code(&verdicts[1])), (&Verdict::Accepted, "private_destroyed"));
    assert!(!stands_in_an_entry(&world, "LATE-PRIVATE"));
    let report = world.station.verify_ledger().unwrap();
    assert_eq!(
        (report.faults.len(), report.destroyed[0].entries, report.destroyed[0].late),
        (0, 1, 1)
    );
    rebuilds_to_the_same(&world);
    assert!(matches!(
        world.station.destroy(None, doomed, true, None, Some(GROUND)),
        Err(StationError::NotFound(_))
    ));
    // Then all of it: what went before is not counted twice.
    world.station.destroy(None, doomed, false, None, Some(GROUND)).unwrap();
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    rebuilds_to_the_same(&world);
}
