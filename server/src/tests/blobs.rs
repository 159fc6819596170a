//! Blobs over time: what is swept and what never is, what backups hold, what `doctor` finds, and where scopes end.

use beatbook_protocol::blob::blob_name;
use beatbook_protocol::entry::{RegistryEvent, UnitEvent};
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{BookId, Hash, RecordId, UnitId};
use beatbook_protocol::wire::{BlobRefusal, Verdict};

use crate::blobs::{self, Answered, Asker, BlobFault, kept};
use crate::registry::write_events;
use crate::station::Station;
use crate::testing::{Phone, World, visit};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn upload(station: &Station, book: BookId, content: &[u8]) -> Hash {
    let name = blob_name(content);
    let turn = station.blobs.turn(book, name).await.unwrap();
    let begun = blobs::begin(station, &turn, content.len() as u64).unwrap();
    if begun.offset < begun.length {
        let mut writing = blobs::write(station, turn, 0, None).unwrap();
        writing.append(content).unwrap();
        assert_eq!(blobs::end(station, writing).unwrap().offset, begun.length);
    }
    name
}

async fn offset(station: &Station, book: BookId, name: Hash) -> Option<u64> {
    let turn = station.blobs.turn(book, name).await.unwrap();
    blobs::resume(station, &turn).unwrap().map(|found| found.offset)
}

/// Writes a visit that names a blob.
fn name_in_visit(world: &World, phone: &mut Phone, name: Hash) -> RecordId {
    let photo = FileRef {
        field: "photos".into(),
        media_type: "image/jpeg".into(),
        bytes: 5,
        thumbnail: None,
        removed: false,
    };
    let record = world.record_id();
    let opening = phone.write(record, Some(world.unit), visit().file(name, photo));
    assert_eq!(world.verdicts(phone, vec![opening]), [Verdict::Accepted]);
    record
}

/// A later call of anybody, at which the station sweeps.
async fn days_later(world: &World, days: i64) {
    world.clock.pass(days * DAY_MS);
    upload(&world.station, BookId::from_bytes([99; 16]), &days.to_be_bytes()).await;
}

#[tokio::test]
async fn what_no_record_names_goes_after_its_time_of_grace_and_what_one_names_stays() {
    let world = World::new();
    let mut phone = world.phone("张", "officer");
    let named = upload(&world.station, phone.book, b"named").await;
    let unnamed = upload(&world.station, phone.book, b"unnamed").await;
    let spoken_of = upload(&world.station, phone.book, b"spoken of").await;
    name_in_visit(&world, &mut phone, named);
    days_later(&world, 20).await;
    assert!(world.station.blobs.arrived(&unnamed).is_some());
    // Another book counts on it.
    upload(&world.station, BookId::from_bytes([7; 16]), b"spoken of").await;
    days_later(&world, 11).await;
    assert_eq!(world.station.blobs.arrived(&unnamed), None);
    assert!(world.station.blobs.arrived(&spoken_of).is_some());
    days_later(&world, 400).await;
    assert_eq!(world.station.blobs.arrived(&spoken_of), None);
    assert_eq!(world.station.blobs.arrived(&named), Some(5));
}

#[tokio::test]
async fn a_part_that_nobody_goes_on_with_is_swept() {
    let world = World::new();
    let (book, name) = (BookId::from_bytes([1; 16]), blob_name(b"whole"));
    let turn = world.station.blobs.turn(book, name).await.unwrap();
    blobs::begin(&world.station, &turn, 5).unwrap();
    let mut writing = blobs::write(&world.station, turn, 0, None).unwrap();
    writing.append(b"who").unwrap();
    writing.cut().unwrap();
    days_later(&world, 6).await;
    assert_eq!(offset(&world.station, book, name).await, Some(3));
    days_later(&world, 2).await;
    assert_eq!(offset(&world.station, book, name).await, None);
}

#[tokio::test]
async fn a_part_survives_a_restart_of_the_station() {
    let mut world = World::new();
    let (book, name) = (BookId::from_bytes([1; 16]), blob_name(b"whole"));
    let turn = world.station.blobs.turn(book, name).await.unwrap();
    blobs::begin(&world.station, &turn, 5).unwrap();
    let mut writing = blobs::write(&world.station, turn, 0, None).unwrap();
    writing.append(b"who").unwrap();
    // Killed: nothing is said of the end.
    drop(writing);
    world.reopen();
    assert_eq!(offset(&world.station, book, name).await, Some(3));
    let turn = world.station.blobs.turn(book, name).await.unwrap();
    let mut writing = blobs::write(&world.station, turn, 3, None).unwrap();
    writing.append(b"le").unwrap();
    blobs::end(&world.station, writing).unwrap();
    assert_eq!(world.station.blobs.arrived(&name), Some(5));
}

#[tokio::test]
async fn a_part_that_is_long_enough_counts_only_once_it_was_verified() {
    let world = World::new();
    let book = BookId::from_bytes([1; 16]);
    for (content, said) in [(b"whole", Some(5)), (b"wrong", None)] {
        let name = blob_name(b"whole");
        let turn = world.station.blobs.turn(book, name).await.unwrap();
        blobs::begin(&world.station, &turn, 5).unwrap();
        let mut writing = blobs::write(&world.station, turn, 0, None).unwrap();
        writing.append(content).unwrap();
        // Killed between the last byte and its verification.
        drop(writing);
        let turn = world.station.blobs.turn(book, name).await.unwrap();
        let found = blobs::resume(&world.station, &turn);
        assert_eq!(found.ok().flatten().map(|found| found.offset), said);
        assert_eq!(world.station.blobs.arrived(&name), said);
        drop(std::fs::remove_file(world.station.blobs.file(&name)));
    }
}

#[tokio::test]
async fn a_book_brings_only_so_much_that_no_record_names() {
    let world = World::new();
    let mut phone = world.phone("张", "officer");
    let begin = async |number: u8| {
        let turn = world.station.blobs.turn(phone.book, blob_name(&[number])).await.unwrap();
        blobs::begin(&world.station, &turn, 128 * 1024 * 1024)
    };
    for number in 0..8 {
        begin(number).await.unwrap();
    }
    assert!(matches!(begin(8).await, Err(BlobFault::Refused(BlobRefusal::Quota))));
    assert!(begin(0).await.is_ok(), "what is under way goes on");
    name_in_visit(&world, &mut phone, blob_name(&[8]));
    let turn = world.station.blobs.turn(phone.book, blob_name(&[8])).await.unwrap();
    assert!(
        blobs::begin(&world.station, &turn, 128 * 1024 * 1024).is_ok(),
        "a record names it"
    );
}

#[tokio::test]
async fn a_person_of_another_unit_gets_no_blob() {
    let world = World::new();
    let mut phone = world.phone("张", "officer");
    let name = upload(&world.station, phone.book, b"named").await;
    name_in_visit(&world, &mut phone, name);
    let elsewhere = UnitId::from_bytes([5; 16]);
    let unit = RegistryEvent::Unit(UnitEvent {
        unit: elsewhere,
        name: "西城".into(),
        parent: None,
        level: None,
        closed: None,
        on_behalf: None,
    });
    let station = &world.station;
    station
        .store
        .write(|tx| write_events(tx, &station.keys, &station.env, &station.kinds, vec![unit]))
        .unwrap();
    let stranger = station.add_user(None, "李", &["officer".into()], elsewhere).unwrap();
    let users = station.users().unwrap();
    let asked = |session| blobs::readable(station, session, &name, &Asker::Person(None)).unwrap();
    let of = |user| users.iter().find(|session| session.user == user).unwrap();
    assert!(matches!(asked(of(world.chief.user)), Answered::Given(_)));
    assert!(matches!(asked(of(stranger)), Answered::Nothing));
}

#[tokio::test]
async fn a_rebuild_knows_which_records_name_which_blobs() {
    let world = World::new();
    let mut phone = world.phone("张", "officer");
    let name = upload(&world.station, phone.book, b"named").await;
    name_in_visit(&world, &mut phone, name);
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
    assert!(world.station.dump().unwrap().contains("record_file|record="));
    let asked = blobs::readable(&world.station, &world.chief, &name, &Asker::Person(None));
    assert!(matches!(asked.unwrap(), Answered::Given(_)));
}

#[tokio::test]
async fn a_backup_holds_the_blobs_once_and_a_restore_says_which_are_missing() {
    let mut world = World::new();
    let mut phone = world.phone("张", "officer");
    let one = upload(&world.station, phone.book, b"named").await;
    name_in_visit(&world, &mut phone, one);
    let copies = world.dir.path().join("copies");
    let first = world.station.backup(&copies).unwrap();
    assert_eq!((first.blobs, first.blob_bytes), (1, 5));
    name_in_visit(&world, &mut phone, blob_name(b"late!"));
    let second = world.station.backup(&copies).unwrap();
    assert_eq!((second.blobs, second.blobs_damaged.len()), (0, 0));
    let fresh = world.dir.path().join("restored");
    let report = Station::restore(&second.file, &fresh, &world.keys(), &world.env).unwrap();
    assert_eq!((report.blobs, report.blobs_missing), (1, 1));
    world.reopen_at(&fresh);
    assert_eq!(world.station.blobs.arrived(&one), Some(5));
    upload(&world.station, phone.book, b"late!").await;
    let checks = Station::doctor(&fresh, &world.keys());
    let blobs = checks.iter().find(|check| check.name == "blobs").unwrap();
    assert!(
        blobs.ok && blobs.detail.starts_with("2 blobs, 10 bytes") && blobs.detail.contains("; 0 that"),
        "{blobs:?}"
    );
}

#[tokio::test]
async fn a_blob_that_rotted_is_named_by_doctor_and_copied_into_no_backup() {
    let world = World::new();
    let mut phone = world.phone("张", "officer");
    let name = upload(&world.station, phone.book, b"named").await;
    name_in_visit(&world, &mut phone, name);
    std::fs::write(kept::place(&world.data().join("blobs"), &name), b"rotte").unwrap();
    let checks = Station::doctor(&world.data(), &world.keys());
    let blobs = checks.iter().find(|check| check.name == "blobs").unwrap();
    assert!(!blobs.ok && blobs.detail.contains(&name.to_string()), "{blobs:?}");
    let backup = world.station.backup(&world.dir.path().join("copies")).unwrap();
    assert_eq!((backup.blobs, backup.blobs_damaged), (0, vec![name]));
}
