//! What the operator relies on: the ledger verifies, projections rebuild, backups restore, old copies are refused.

use std::fs;

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::ItemId;
use beatbook_protocol::wire::Verdict;

use crate::error::{ActError, StationError};
use crate::station::{ActOrder, InitOptions, Station};
use crate::testing::{Phone, World, visit};

/// A station with a bit of everything: visits, conflicts, offers, refusals, acts of the chief.
fn busy() -> World {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let record = world.submitted_visit(&mut one);
    world.send(&mut two, vec![]);
    let (first, second) = (
        one.write(record, None, Edit::new().field("outcome", "refused")),
        two.write(record, None, Edit::new().field("outcome", "moved").note("notes", "搬走了")),
    );
    let offer = one.act(record, "submit", None);
    assert_eq!(world.verdicts(&mut one, vec![first, offer])[1], Verdict::Offered);
    let refused = two.act(record, "approve", None);
    let unknown = two.write(world.record_id(), None, visit());
    world.verdicts(&mut two, vec![second, refused, unknown, b"junk".to_vec()]);
    let version = world.version(record);
    world
        .station
        .settle(&world.chief, record, "fields/outcome", &"moved".into(), &version)
        .unwrap();
    let order = ActOrder {
        code: "approve".into(),
        if_match: world.version(record),
        ..ActOrder::default()
    };
    world.station.act(&world.chief, record, &order).unwrap();
    for _ in 0..3 {
        world.submitted_visit(&mut two);
    }
    world
}

#[test]
fn a_rebuild_gives_the_same_dump() {
    let mut world = busy();
    let before = world.station.dump().unwrap();
    assert!(before.lines().count() > 50);
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
    assert_eq!(world.station.dump().unwrap(), before);
    world.reopen();
    assert_eq!(world.station.dump().unwrap(), before);
}

#[test]
fn a_long_document_opens_from_its_snapshot_to_the_same() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    for round in 0..5_i64 {
        let edits = (0..20)
            .map(|at| phone.write(record, None, Edit::new().field("duration_min", round * 20 + at)))
            .collect();
        assert!(
            world
                .verdicts(&mut phone, edits)
                .iter()
                .all(|verdict| *verdict == Verdict::Accepted)
        );
    }
    let before = world.station.record(&world.chief, record).unwrap().unwrap();
    let dump = world.station.dump().unwrap();
    // A rebuild drops the snapshots: the same record opens from its changes alone.
    world.station.rebuild().unwrap();
    let after = world.station.record(&world.chief, record).unwrap().unwrap();
    assert_eq!(serde_json::to_value(before).unwrap(), serde_json::to_value(after).unwrap());
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn the_ledger_of_a_busy_station_verifies() {
    let world = busy();
    let report = world.station.verify_ledger().unwrap();
    assert_eq!(report.faults, [""; 0]);
    assert_eq!(report.position, world.station.status().unwrap().ledger);
    assert_eq!(report.books, 3);
}

#[test]
fn one_changed_byte_anywhere_in_the_ledger_is_found() {
    let world = busy();
    let rows = world.station.store.tamper_targets();
    assert!(rows.len() > 60);
    for target in &rows {
        let undo = world.station.store.tamper(target);
        let found = world.station.verify_ledger();
        assert!(found.is_err() || found.is_ok_and(|report| !report.holds()), "{target:?}");
        world.station.store.mend(target, &undo);
    }
    assert!(world.station.verify_ledger().unwrap().holds());
}

#[test]
fn an_old_copy_of_the_database_is_refused() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let old = world.dir.path().join("old");
    let report = world.station.backup(&old).unwrap();
    world.submitted_visit(&mut phone);
    let World { dir, env, station, .. } = world;
    drop(station);
    let data = dir.path().join("data");
    for name in ["station.db", "station.db-wal", "station.db-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
    fs::copy(&report.file, data.join("station.db")).unwrap();
    let refused = Station::open(&data, &dir.path().join("keys"), &[], env).unwrap_err();
    assert!(matches!(refused, StationError::Behind { .. }), "{refused}");
}

#[test]
fn a_restored_station_opens_an_epoch_that_follows_and_phones_go_on() {
    let mut world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    world.submitted_visit(&mut one);
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    world.send(&mut two, vec![]);
    // What follows is in no backup: one's page, which he keeps, and what two has seen of it.
    let record = world.record_id();
    let entry = one.write(record, Some(world.unit), visit());
    let lost = one.seal(vec![entry]);
    world.send(&mut one, vec![lost.clone()]);
    world.send(&mut two, vec![]);
    let signed = world.station.status().unwrap().ledger;
    let data = world.dir.path().join("restored");
    let report = Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    assert_eq!(report.follows, signed);
    assert_eq!((report.position.epoch, report.position.size), (1, backup.position.size));
    world.station = Station::open(&data, &world.keys(), &[], world.env.clone()).unwrap();
    // Both were further than the backup; their tokens were issued before it or are signed anew.
    one.sign_in(&world.station).unwrap();
    let reply = world.send(&mut one, vec![lost]);
    assert_eq!(reply.answers[0].verdicts[0].verdict, 0);
    two.sign_in(&world.station).unwrap();
    world.send(&mut two, vec![]);
    assert_eq!(world.station.status().unwrap().records, 2);
    assert_eq!(two.cursor, one.cursor.map(|_| two.cursor.clone().unwrap()));
    assert!(world.station.verify_ledger().unwrap().holds());
    world.reopen_at(&data);
    assert!(Station::doctor(&data, &world.keys()).iter().all(|check| check.ok));
    // The old data directory is of a life that is over.
    let refused = Station::open(&world.data(), &world.keys(), &[], world.env.clone()).unwrap_err();
    assert!(
        matches!(refused, StationError::Behind { .. } | StationError::OtherHistory),
        "{refused}"
    );
}

#[test]
fn a_backup_that_was_changed_is_not_restored() {
    let world = World::new();
    let report = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let mut bytes = fs::read(&report.file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&report.file, bytes).unwrap();
    let refused = Station::restore(&report.file, &world.dir.path().join("new"), &world.keys(), &world.env).unwrap_err();
    assert!(matches!(refused, StationError::Damaged(_)), "{refused}");
}

#[test]
fn directories_that_are_there_or_nested_are_refused() {
    let world = World::new();
    let options = InitOptions {
        station_name: "x".into(),
        unit_name: "x".into(),
        chief_name: "x".into(),
    };
    let init = |data: &std::path::Path, keys: &std::path::Path| Station::init(data, keys, &options, &world.env).unwrap_err();
    let new = world.dir.path().join("new");
    assert!(matches!(init(&world.data(), &new), StationError::Exists(_)));
    assert!(matches!(init(&new, &world.keys()), StationError::Exists(_)));
    assert!(matches!(init(&new, &new.join("keys")), StationError::Nested { .. }));
    assert!(matches!(init(&new.join("data"), &new), StationError::Nested { .. }));
    assert!(!new.exists());
    assert!(matches!(
        Station::open(&new, &world.keys(), &[], world.env.clone()),
        Err(StationError::NoStation(_))
    ));
}

#[test]
fn a_torn_line_of_the_log_is_cut_off_and_a_log_that_lags_catches_up() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.submitted_visit(&mut phone);
    let log = world.keys().join("log");
    let whole = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    // As if the process had died between the commit and the log, half a line written.
    fs::write(
        &log,
        format!("{}\n{}", lines[..lines.len() - 1].join("\n"), &lines[lines.len() - 1][..7]),
    )
    .unwrap();
    world.reopen();
    assert_eq!(fs::read_to_string(&log).unwrap(), whole);
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    let world = World::new();
    let World { dir, env, station, .. } = world;
    drop(station);
    let file = dir.path().join("data/station.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[100..middle].fill(0xff);
    fs::write(&file, &bytes).unwrap();
    let refused = Station::open(&dir.path().join("data"), &dir.path().join("keys"), &[], env).unwrap_err();
    assert!(matches!(refused, StationError::Damaged(_)), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let checks = Station::doctor(&dir.path().join("data"), &dir.path().join("keys"));
    assert!(checks.iter().any(|check| check.name == "database" && !check.ok));
}

#[test]
fn a_new_version_of_a_kind_comes_into_force_as_an_entry_of_the_ledger() {
    let mut world = World::new();
    let visit = world.station.kinds().into_iter().find(|file| file.kind == "visit").unwrap();
    let newer = visit.source.replacen("version = 1", "version = 2", 1);
    let size = world.station.status().unwrap().ledger.size;
    let files = [("city/visit.toml".to_owned(), newer)];
    world.station = Station::open(&world.data(), &world.keys(), &files, world.env.clone()).unwrap();
    assert_eq!(world.station.status().unwrap().ledger.size, size + 1);
    // It stays in force without the file.
    world.reopen();
    assert_eq!(world.station.kinds().len(), 6);
    assert_eq!(world.station.status().unwrap().ledger.size, size + 1);
    let broken = [("city/visit.toml".to_owned(), "code = 7".to_owned())];
    let refused = Station::open(&world.data(), &world.keys(), &broken, world.env.clone()).unwrap_err();
    assert!(refused.to_string().starts_with("city/visit.toml:1"), "{refused}");
}

#[test]
fn phones_and_the_chief_at_once_under_a_backup_lose_nothing() {
    let world = World::new();
    let mut phones: Vec<Phone> = (0..3).map(|at| world.phone(&format!("警官{at}"), "officer")).collect();
    let shared = world.submitted_visit(&mut phones[0]);
    for phone in &mut phones {
        world.send(phone, vec![]);
    }
    std::thread::scope(|scope| {
        for phone in &mut phones {
            let world = &world;
            scope.spawn(move || {
                for _ in 0..8 {
                    world.submitted_visit(phone);
                    // All of them write in one record, so that plans are overtaken and made again.
                    let remark = phone.act(shared, "comment", Some(&format!("同一记录 {}", phone.book)));
                    let promise = Edit::new().item("promises", ItemId::from_bytes(world.sixteen()), [("what", "修路灯".into())]);
                    let edit = phone.write(shared, None, promise);
                    assert_eq!(
                        world.verdicts(phone, vec![remark, edit]),
                        [Verdict::Accepted, Verdict::Accepted]
                    );
                }
            });
        }
        let world = &world;
        scope.spawn(move || {
            for at in 0..3 {
                let report = world.station.backup(&world.dir.path().join(format!("backup-{at}"))).unwrap();
                assert!(report.position.size > 0);
            }
        });
        scope.spawn(move || {
            for _ in 0..8 {
                let order = ActOrder {
                    code: "comment".into(),
                    comment: Some("阅".into()),
                    if_match: world.version(shared),
                    ..ActOrder::default()
                };
                match world.station.act(&world.chief, shared, &order) {
                    Ok(_) | Err(ActError::Moved { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
    });
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
    let status = world.station.status().unwrap();
    assert_eq!((status.records, status.refused), (25, 0));
    let newest = world.station.backup(&world.dir.path().join("last")).unwrap();
    assert_eq!(newest.position, world.station.status().unwrap().ledger);
}
