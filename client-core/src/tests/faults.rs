//! Full disks, damaged files, wrong keys: nothing that was saved is lost, and nothing is deleted.

use std::fs;

use beatbook_protocol::document::Edit;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::Fix;

use super::{MORNING, Phone, Station};
use crate::core::{Core, OpenOptions};
use crate::error::CoreError;
use crate::query::Filter;

const KEY: [u8; 32] = [7; 32];

#[test]
fn a_full_disk_keeps_all_that_was_saved_before() {
    let mut station = Station::new("full");
    let phone = station.phone("Li", &["officer"]);
    let path = phone.path.clone();
    drop(phone);
    let options = OpenOptions {
        key: None,
        pages_max: Some(120),
    };
    let open = || Core::open(&path, options.clone(), station.world.platform()).unwrap().core;
    let core = open();
    core.patrol_start(&Edit::new().field("patrol_kind", "foot")).unwrap();
    let fix = |second: i64| Fix::check(UnixMillis(MORNING + second * 5_000), 39.9 + second as f64 * 1e-4, 116.4, None).unwrap();
    core.patrol_add(&[fix(1), fix(2)]).unwrap();
    let mut saved = Vec::new();
    let full = loop {
        match core.begin(
            "household",
            &Edit::new()
                .field("address", format!("上地{}号", saved.len()))
                .note("notes", "备注".repeat(100)),
        ) {
            Ok(record) => saved.push(record),
            Err(error) => break error,
        }
        assert!(saved.len() < 1_000, "the quota never came");
    };
    assert!(matches!(full, CoreError::StorageFull), "{full}");
    assert!(saved.len() > 3);
    // Small things may still find room; what does not says so, and nothing else gives way.
    let mut taken = 2;
    for second in 3..2_000 {
        match core.patrol_add(&[fix(second)]) {
            Ok(_) => taken += 1,
            Err(error) => {
                assert!(matches!(error, CoreError::StorageFull), "{error}");
                break;
            }
        }
    }
    drop(core);
    let core = open();
    for record in &saved {
        assert_eq!(core.record(*record).unwrap().facts.notes["notes"].chars().count(), 200);
    }
    assert_eq!(
        core.list(&Filter {
            limit: Some(500),
            ..Filter::default()
        })
        .unwrap()
        .rows
        .len(),
        saved.len() + 1
    );
    assert_eq!(core.search("上地", 500).unwrap().len(), saved.len());
    drop(core);
    // With room again, the patrol ends with every fix that was taken.
    let core = Core::open(&path, OpenOptions::default(), station.world.platform())
        .unwrap()
        .core;
    assert_eq!(core.patrol_finish(&Edit::new()).unwrap().1.fixes_in, taken);
}

#[test]
fn a_damaged_file_is_set_aside_whole_and_a_new_one_begun() {
    let mut station = Station::new("damaged");
    for key in [None, Some(KEY)] {
        let path = station.folder.file(if key.is_some() { "keyed.db" } else { "plain.db" });
        let options = OpenOptions { key, pages_max: None };
        drop(Core::open(&path, options.clone(), station.world.platform()).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        bytes[..200].fill(0x5a);
        fs::write(&path, &bytes).unwrap();
        let opened = Core::open(&path, options.clone(), station.world.platform()).unwrap();
        let kept_at = opened.recovered.unwrap().kept_at;
        assert_eq!(fs::read(&kept_at).unwrap(), bytes);
        assert!(kept_at.file_name().unwrap().to_string_lossy().contains(".damaged-"));
        assert!(opened.core.list(&Filter::default()).unwrap().rows.is_empty());
        drop(opened.core);
        assert_eq!(Core::open(&path, options, station.world.platform()).unwrap().recovered, None);
    }
    let li = station.phone("Li", &["officer"]);
    li.household("上地1号");
}

#[test]
fn a_page_that_breaks_deep_in_the_file_is_found_at_the_next_opening() {
    let mut station = Station::new("deep");
    let li = station.phone("Li", &["officer"]);
    for number in 0..40 {
        li.household(&format!("上地{number}号"));
    }
    let path = li.path.clone();
    let bytes = tear(li, "record");
    let opened = Core::open(&path, OpenOptions::default(), station.world.platform()).unwrap();
    assert_eq!(opened.recovered, None);
    let met = opened.core.list(&Filter::default()).map(drop);
    assert!(matches!(met, Err(CoreError::StorageDamaged { .. })), "{met:?}");
    drop(opened);
    let opened = Core::open(&path, OpenOptions::default(), station.world.platform()).unwrap();
    assert_eq!(fs::read(opened.recovered.unwrap().kept_at).unwrap(), bytes);
}

#[test]
fn a_broken_page_that_every_opening_reads_sets_the_file_aside() {
    for table in ["identity", "kind"] {
        let mut station = Station::new(&format!("first-{table}"));
        let li = station.phone("Li", &["officer"]);
        let path = li.path.clone();
        let bytes = tear(li, table);
        let opened = Core::open(&path, OpenOptions::default(), station.world.platform()).unwrap();
        assert_eq!(fs::read(opened.recovered.unwrap().kept_at).unwrap(), bytes);
        drop(opened.core);
        assert_eq!(station.open(&path).list(&Filter::default()).unwrap().rows, []);
    }
}

/// Closes a phone's file and breaks the first page of a table; gives the bytes that are left.
fn tear(phone: Phone, table: &str) -> Vec<u8> {
    let page: u32 = phone
        .core
        .read(|tx| {
            let sql = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?1";
            Ok(tx.query_row(sql, [table], |row| row.get(0))?)
        })
        .unwrap();
    let path = phone.path.clone();
    drop(phone);
    let mut bytes = fs::read(&path).unwrap();
    let end = usize::try_from(page).unwrap() * 4096;
    bytes[end - 4096..end].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    bytes
}

#[test]
fn a_wrong_key_is_no_damage() {
    let station = Station::new("key");
    let path = station.folder.file("keyed.db");
    let open = |key| Core::open(&path, OpenOptions { key, pages_max: None }, station.world.platform());
    drop(open(Some(KEY)).unwrap());
    let before = fs::read(&path).unwrap();
    assert!(matches!(open(Some([8; 32])), Err(CoreError::WrongKey)));
    assert!(matches!(open(None), Err(CoreError::WrongKey)));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(open(Some(KEY)).unwrap().recovered.is_none());
    let plain = station.folder.file("plain.db");
    drop(Core::open(&plain, OpenOptions::default(), station.world.platform()).unwrap());
    let keyed = Core::open(
        &plain,
        OpenOptions {
            key: Some(KEY),
            pages_max: None,
        },
        station.world.platform(),
    );
    assert!(matches!(keyed, Err(CoreError::WrongKey)));
}

#[test]
fn a_torn_or_lost_mark_locks_nobody_out_and_damages_nothing() {
    let station = Station::new("mark");
    let path = station.folder.file("keyed.db");
    let mark = station.folder.file("keyed.db.key");
    let open = |key| {
        let options = OpenOptions {
            key: Some(key),
            pages_max: None,
        };
        Core::open(&path, options, station.world.platform())
    };
    drop(open(KEY).unwrap());
    let (whole, before) = (fs::read(&mark).unwrap(), fs::read(&path).unwrap());
    for torn in [None, Some(&whole[..0]), Some(&whole[..7])] {
        match torn {
            None => fs::remove_file(&mark).unwrap(),
            Some(bytes) => fs::write(&mark, bytes).unwrap(),
        }
        assert!(matches!(open([8; 32]), Err(CoreError::WrongKey)));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(open(KEY).unwrap().recovered, None);
        assert_eq!(fs::read(&mark).unwrap(), whole);
    }
}

#[test]
fn a_mark_that_outlived_its_file_is_not_held_against_the_next() {
    let station = Station::new("outlived");
    let path = station.folder.file("keyed.db");
    for key in [Some(KEY), Some([8; 32]), None] {
        let open = || Core::open(&path, OpenOptions { key, pages_max: None }, station.world.platform());
        drop(open().unwrap());
        assert_eq!(open().unwrap().recovered, None);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_file_of_a_newer_app_is_left_alone() {
    let mut station = Station::new("newer");
    let li = station.phone("Li", &["officer"]);
    li.core
        .write(|records| Ok::<_, crate::error::Fault>(records.tx().pragma_update(None, "user_version", 999)?))
        .unwrap();
    let path = li.path.clone();
    drop(li);
    let opened = Core::open(&path, OpenOptions::default(), station.world.platform());
    assert!(matches!(opened, Err(CoreError::UpgradeRequired)));
}
