//! The keys directory beside its database: a key that was lost is not replaced, and `doctor` says where the two tell different stories.

use std::fs;

use super::at_rest::household;
use super::destruction::{GROUND, destroy};
use super::ended::end;
use crate::error::StationError;
use crate::keys::Revoked;
use crate::station::Station;
use crate::testing::World;

#[test]
fn a_lost_key_of_columns_is_not_replaced_while_anything_is_sealed_under_it() {
    let mut world = World::new();
    let file = world.keys().join("column.key");
    fs::remove_file(&file).unwrap();
    world.reopen();
    assert!(
        file.is_file(),
        "nothing was sealed: as a directory of an earlier version gets one"
    );
    let mut phone = world.phone("李警官", "officer");
    household(&world, &mut phone, "清华东路1号", "13800000000");
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let key = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let data = world.dir.path().join("restored");
    let refused = [
        Station::open(&world.data(), &world.keys(), &[], world.env.clone()).unwrap_err(),
        Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap_err(),
    ];
    for fault in refused {
        let text = fault.to_string();
        assert!(
            matches!(fault, StationError::Keys(_)) && text.contains("put the file back"),
            "{text}"
        );
    }
    assert!(!file.exists() && !data.exists(), "nothing was drawn, nothing begun");
    fs::write(&file, key).unwrap();
    world.reopen();
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
}

/// Whether the checks of the two logs are in order.
fn logs(world: &World) -> [bool; 2] {
    let checks = Station::doctor(&world.data(), &world.keys());
    ["gone", "destroyed"].map(|name| checks.iter().find(|check| check.name == name).unwrap().ok)
}

#[test]
fn the_doctor_holds_the_logs_of_what_is_gone_against_the_database() {
    let mut world = World::new();
    let (mut phone, other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    assert_eq!(logs(&world), [true, true], "nothing is gone");
    let [whole, part] = ["1", "2"].map(|contact| household(&world, &mut phone, "清华东路1号", contact));
    destroy(&world, whole);
    world.station.destroy(None, part, true, None, Some(GROUND)).unwrap();
    end(&world, &phone);
    assert_eq!(logs(&world), [true, true]);
    // The logs lost what the database knows.
    for (name, expected) in [("gone", [false, true]), ("destroyed", [true, false])] {
        let file = world.keys().join(name);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, "").unwrap();
        assert_eq!(logs(&world), expected, "{name}");
        world.reopen();
        assert_eq!(logs(&world), [true, true], "opening made up for it");
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), text.lines().count());
    }
    // The database does not know what the logs say.
    let line = Revoked {
        book: other.book,
        why: "lost".into(),
        at: world.env.clock.now(),
    };
    world.station.keys.gone.revoke(&line).unwrap();
    assert_eq!(logs(&world), [false, true]);
    let file = world.keys().join("destroyed");
    let text = fs::read_to_string(&file).unwrap();
    let unknown = world.record_id().to_string();
    let more = text.lines().next().unwrap().replace(&whole.to_string(), &unknown);
    fs::write(&file, format!("{text}{more}\n")).unwrap();
    assert_eq!(logs(&world), [false, false]);
    world.reopen();
    assert_eq!(logs(&world), [true, true]);
    fs::write(&file, "whatever\n").unwrap();
    assert_eq!(logs(&world), [true, false]);
}
