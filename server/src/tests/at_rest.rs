//! What a copied database gives away: nothing of private documents, in no file, from before or after; and what is sealed is as it was.

use std::fs;
use std::path::Path;

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use crate::station::{Part, Reason};
use crate::testing::{Phone, World};

/// Whether these words stand in any file below a directory.
pub(super) fn stands_in(dir: &Path, words: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return stands_in(&path, words);
        }
        let bytes = fs::read(&path).unwrap();
        bytes.windows(words.len()).any(|window| window == words.as_bytes())
    })
}

/// A household with a contact in its private document.
pub(super) fn household(world: &World, phone: &mut Phone, address: &str, contact: &str) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "household".into());
    let item = ItemId::from_bytes(world.sixteen());
    let entries = vec![
        phone.write(record, Some(world.unit), Edit::new().field("address", address)),
        phone.write_in(
            record,
            DocumentName::Private,
            None,
            Edit::new().item("contacts", item, [("phone", contact.into())]),
        ),
    ];
    assert_eq!(world.verdicts(phone, entries), [Verdict::Accepted, Verdict::Accepted]);
    record
}

/// Writes in the private document so often that it is kept as one.
fn grow(world: &World, phone: &mut Phone, record: RecordId, words: &str) {
    let item = ItemId::from_bytes(world.sixteen());
    let mut entries = vec![phone.write_in(
        record,
        DocumentName::Private,
        None,
        Edit::new().item("contacts", item, [("name", words.into())]),
    )];
    for round in 0..40 {
        let edit = Edit::new().item("contacts", item, [("phone", format!("{words}{round}").as_str().into())]);
        entries.push(phone.write_in(record, DocumentName::Private, None, edit));
    }
    let verdicts = world.verdicts(phone, entries);
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted), "{verdicts:?}");
}

fn told(world: &World, record: RecordId) -> String {
    let why = Reason::parse("复核内容").unwrap();
    let page = world
        .station
        .look(&world.chief, record, Part::Page, Some(&why))
        .unwrap()
        .unwrap();
    serde_json::to_string(&page.private.unwrap()).unwrap()
}

#[test]
fn no_file_of_the_station_or_of_its_backup_holds_a_word_of_a_private_document() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = household(&world, &mut phone, "FACTS-NEEDLE street 7", "PRIVATE-NEEDLE");
    grow(&world, &mut phone, record, "GROWN-NEEDLE");
    // A page that is set aside is kept as it came, and nobody has looked into it.
    let item = ItemId::from_bytes(world.sixteen());
    let edit = Edit::new().item("contacts", item, [("phone", "ASIDE-NEEDLE".into())]);
    let aside = phone.write_in(record, DocumentName::Private, None, edit);
    let mut page = phone.seal(vec![aside]);
    page.signature[3] ^= 1;
    let reply = world.station.exchange(
        &beatbook_protocol::wire::pack(&phone.request(vec![page])).unwrap(),
        Some(&phone.enrolled.token),
        None,
    );
    drop(reply.unwrap());
    assert_eq!(world.station.status().unwrap().quarantined, 1);
    // Nor is what could not be read.
    let broken = world.verdicts(&mut world.phone("张", "officer"), vec![b"UNREADABLE-NEEDLE".to_vec()]);
    assert!(matches!(broken[0], Verdict::Refused { .. }));

    let backup = world.dir.path().join("backup");
    world.station.backup(&backup).unwrap();
    let (data, keys) = (world.data(), world.keys());
    let look = || {
        assert!(
            stands_in(&data, "FACTS-NEEDLE") && stands_in(&backup, "FACTS-NEEDLE"),
            "the search finds what is there"
        );
        for words in ["PRIVATE-NEEDLE", "GROWN-NEEDLE", "ASIDE-NEEDLE", "UNREADABLE-NEEDLE"] {
            for dir in [&data, &backup, &keys] {
                assert!(!stands_in(dir, words), "{words} in {}", dir.display());
            }
        }
    };
    look();
    assert!(told(&world, record).contains("PRIVATE-NEEDLE") && told(&world, record).contains("GROWN-NEEDLE39"));
    let before = world.station.dump().unwrap();
    assert_eq!(
        world.station.rebuild().unwrap().before,
        world.station.rebuild().unwrap().after
    );
    assert_eq!(world.station.dump().unwrap(), before);
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    // A colleague who may read it gets it whole by the feed, and agrees.
    let mut colleague = world.phone("王", "officer");
    world.sync(&mut colleague, Some(3_000));
    assert!(world.sync(&mut colleague, None).digest.is_none(), "both hold the same");
    assert!(colleague.heard_of(b"PRIVATE-NEEDLE") && colleague.heard_of(b"GROWN-NEEDLE39"));
    world.reopen();
    look();
    assert!(told(&world, record).contains("PRIVATE-NEEDLE"));
}

#[test]
fn a_database_of_an_earlier_version_is_sealed_when_it_is_opened_and_goes_on_where_it_stopped() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = household(&world, &mut phone, "清华东路1号", "PRIVATE-NEEDLE");
    // More than one step seals.
    for _ in 0..4 {
        let record = household(&world, &mut phone, "清华东路2号", "OLDER-NEEDLE");
        let item = ItemId::from_bytes(world.sixteen());
        let mut entries = vec![phone.write_in(
            record,
            DocumentName::Private,
            None,
            Edit::new().item("contacts", item, [("phone", "13800000000".into())]),
        )];
        for round in 0..140 {
            let edit = Edit::new().item("contacts", item, [("name", format!("OLDER-NEEDLE{round}").as_str().into())]);
            entries.push(phone.write_in(record, DocumentName::Private, None, edit));
        }
        assert!(
            world
                .verdicts(&mut phone, entries)
                .iter()
                .all(|verdict| *verdict == Verdict::Accepted)
        );
    }
    let dump = world.station.dump().unwrap();
    world.station.store.unseal_all();
    assert!(stands_in(&world.data(), "PRIVATE-NEEDLE"), "as it was before");
    // The first step is on the disk, and the process ends.
    assert!(world.station.store.write(|tx| tx.seal_some()).unwrap());
    world.reopen();
    for words in ["PRIVATE-NEEDLE", "OLDER-NEEDLE"] {
        assert!(!stands_in(&world.data(), words), "{words}");
    }
    assert!(told(&world, record).contains("PRIVATE-NEEDLE"));
    assert_eq!(world.station.dump().unwrap(), dump);
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    world.reopen();
    assert!(told(&world, record).contains("PRIVATE-NEEDLE"));
}

#[test]
fn a_stolen_database_opens_under_no_other_stations_keys() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    household(&world, &mut phone, "清华东路1号", "13800000000");
    let other = crate::seal::ColumnSeal::new([9; 32]);
    let file = world.data().join("station.db");
    let stolen = crate::store::Store::open(&file, Some(std::sync::Arc::new(other))).unwrap();
    let read = stolen.read(|tx| tx.each_content(|_| Ok::<_, crate::store::StoreError>(())));
    assert!(read.unwrap_err().to_string().contains("does not open"));
    let without = crate::store::Store::open(&file, None).unwrap();
    let read = without.read(|tx| tx.each_content(|_| Ok::<_, crate::store::StoreError>(())));
    assert!(read.unwrap_err().to_string().contains("keys directory"));
}
