//! The registry out of tables, by the files that offices have: twice the same does nothing, one wrong line does nothing at all.

use crate::audit::Written;
use crate::error::StationError;
use crate::station::{ImportLine, ImportOutcome, ImportReport, ImportSheets, Session, UnitOrder};
use crate::testing::World;

const UNITS: &[u8] = include_bytes!("import/units.csv");
const PEOPLE: &[u8] = include_bytes!("import/people.csv");
const BOOK: &[u8] = include_bytes!("import/registry.xlsx");

fn sheets(units: Option<&[u8]>, people: Option<&[u8]>) -> ImportSheets {
    ImportSheets {
        units: units.map(<[u8]>::to_vec),
        people: people.map(<[u8]>::to_vec),
    }
}

fn counts(report: &ImportReport) -> (bool, usize, usize, usize, usize) {
    (report.applied, report.added, report.changed, report.unchanged, report.refused)
}

fn refused(report: &ImportReport) -> Vec<(&str, u64, &str)> {
    let is_refused = |line: &&ImportLine| line.outcome == ImportOutcome::Refused;
    let refused = report.lines.iter().filter(is_refused);
    refused.map(|line| (line.sheet, line.line, line.detail.as_str())).collect()
}

/// The registry without ids, as it can be compared between stations.
fn shape(world: &World) -> Vec<String> {
    let units = world.station.units().unwrap();
    let code = |unit| units.iter().find(|view| view.unit == unit).and_then(|view| view.code.clone());
    let mut lines: Vec<String> = units
        .iter()
        .map(|view| {
            format!(
                "{:?} {} {:?} {:?}",
                view.code,
                view.name,
                view.parent.and_then(code),
                view.level
            )
        })
        .collect();
    for person in world.station.people().unwrap() {
        lines.push(format!(
            "{:?} {} {:?} {:?}",
            person.code,
            person.name,
            code(person.unit),
            person.roles
        ));
    }
    lines.sort_unstable();
    lines
}

fn leaves(world: &World) -> u64 {
    world.station.status().unwrap().ledger.size
}

#[test]
fn a_dry_run_tells_every_line_and_does_nothing() {
    let world = World::new();
    let (before, dump) = (leaves(&world), world.station.dump().unwrap());
    let report = world.station.import(None, &sheets(Some(UNITS), Some(PEOPLE)), false).unwrap();
    assert_eq!(counts(&report), (false, 9, 0, 0, 0), "{report:#?}");
    let lines: Vec<(&str, u64, &str)> = report
        .lines
        .iter()
        .map(|line| (line.sheet, line.line, line.code.as_str()))
        .collect();
    assert_eq!(lines[0], ("units", 2, "330106"));
    assert_eq!(lines[8], ("people", 5, "P004"));
    assert_eq!((leaves(&world), world.station.dump().unwrap()), (before, dump));
}

#[test]
fn csv_and_xlsx_come_to_the_same_and_twice_the_same_does_nothing() {
    let (one, two) = (World::new(), World::new());
    let report = one.station.import(None, &sheets(Some(UNITS), Some(PEOPLE)), true).unwrap();
    assert_eq!(counts(&report), (true, 9, 0, 0, 0), "{report:#?}");
    let report = two.station.import(None, &sheets(Some(BOOK), None), true).unwrap();
    assert_eq!(counts(&report), (true, 9, 0, 0, 0), "{report:#?}");
    assert_eq!(shape(&one), shape(&two));
    let grid = shape(&one).into_iter().find(|line| line.contains("曙光一号网格")).unwrap();
    assert_eq!(
        grid,
        "Some(\"330106001-01-1\") 曙光一号网格 Some(\"330106001-01\") Some(\"grid\")"
    );
    let person = shape(&one).into_iter().find(|line| line.contains("李警官")).unwrap();
    assert!(person.contains("[\"mediator\", \"officer\"]"), "{person}");
    let before = leaves(&one);
    let again = one.station.import(None, &sheets(Some(UNITS), Some(PEOPLE)), true).unwrap();
    assert_eq!(counts(&again), (true, 0, 0, 9, 0));
    assert_eq!(leaves(&one), before);
    let dump = one.station.dump().unwrap();
    one.station.rebuild().unwrap();
    assert_eq!(one.station.dump().unwrap(), dump);
    let what = |line: &Written| line.what.clone();
    let lines = one
        .station
        .store
        .read(|tx| Ok::<_, StationError>(tx.audit_from(1, 100)?))
        .unwrap();
    assert_eq!(
        lines.iter().map(what).collect::<Vec<_>>(),
        ["registry.import", "registry.import"]
    );
}

#[test]
fn what_goes_out_comes_in_unchanged_and_holds_no_formula() {
    let world = World::new();
    world.station.import(None, &sheets(Some(UNITS), Some(PEOPLE)), true).unwrap();
    let (units, people) = (
        world.station.export_units(None).unwrap(),
        world.station.export_people(None).unwrap(),
    );
    let text = String::from_utf8(people.clone()).unwrap();
    assert!(text.contains("P004,'=cmd|"), "{text}");
    // What has no code yet is told and mended: the first unit and its chief.
    let report = world
        .station
        .import(None, &sheets(Some(&units), Some(&people)), false)
        .unwrap();
    assert_eq!(report.refused, 2, "{report:#?}");
    assert_eq!((report.unchanged, report.added, report.changed), (9, 0, 0));
}

#[test]
fn a_wrong_line_is_told_with_its_number_and_nothing_is_done() {
    let world = World::new();
    world.station.import(None, &sheets(Some(UNITS), None), true).unwrap();
    let before = leaves(&world);
    let units = "code,name,parent,level\n\
        A1,好,330106001,community\n\
        A2,\u{202e}坏,330106001,community\n\
        A3,坏,nowhere,community\n\
        A4,坏,330106001,planet\n\
        A5,坏,330106001,\n\
        A5,坏,330106001,\n\
        A6,坏,A7,\n\
        A7,坏,A6,\n\
        330106001-01-1,曙光一号网格,330106001-01,city\n\
        ,无,330106,\n";
    let people = "code,name,unit,roles\n\
        Q1,好,A1,officer\n\
        Q2,坏,A1,emperor\n\
        Q3,坏,nowhere,officer\n\
        Q4,,A1,officer\n\
        Q5,坏,A1,\n\
        Q6,坏,,officer\n\
        =1+1,坏,A1,officer\n";
    let report = world
        .station
        .import(None, &sheets(Some(units.as_bytes()), Some(people.as_bytes())), true)
        .unwrap();
    assert!(!report.applied && leaves(&world) == before);
    let told = refused(&report);
    let expected = [
        ("units", 3, "U+202E"),
        ("units", 4, "nowhere"),
        ("units", 5, "no level"),
        ("units", 6, "line 7 has the same code"),
        ("units", 7, "line 6 has the same code"),
        ("units", 8, "below itself"),
        ("units", 9, "below itself"),
        ("units", 10, "does not stand below"),
        ("units", 11, "code"),
        ("people", 3, "no role"),
        ("people", 4, "nowhere"),
        ("people", 5, "1 to 80"),
        ("people", 6, "roles are missing"),
        ("people", 7, "unit is missing"),
        ("people", 8, "code"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((sheet, line, detail), (of, at, what)) in told.into_iter().zip(expected) {
        assert_eq!((sheet, line), (of, at));
        assert!(detail.contains(what), "{sheet} {line}: {detail}");
    }
    assert_eq!((report.added, report.unchanged), (2, 0));
}

#[test]
fn tables_that_are_none_say_what_to_do() {
    let world = World::new();
    let fault = |units: &[u8]| {
        world
            .station
            .import(None, &sheets(Some(units), None), false)
            .unwrap_err()
            .to_string()
    };
    assert!(fault(include_bytes!("import/units_gb18030.csv")).contains("GB18030"));
    assert!(fault(include_bytes!("import/boast.xlsx")).contains("more strings"));
    assert!(fault(include_bytes!("import/bomb.xlsx")).contains("unpacks to more"));
    assert!(fault("code,name,colour\n1,a,red\n".as_bytes()).contains("colour"));
    assert!(fault("code,level\n1,grid\n".as_bytes()).contains("name/名称"));
    assert!(fault("code,name,编码\n1,a,2\n".as_bytes()).contains("twice"));
    assert!(fault("code,name\n1,a,b\n".as_bytes()).contains("more cells"));
    for cut in [10, 100, 1_000, BOOK.len() - 1] {
        fault(&BOOK[..cut]);
    }
    for at in (0..BOOK.len()).step_by(37) {
        let mut broken = BOOK.to_vec();
        broken[at] ^= 0x55;
        // It says so or it is the same; it never ends the station.
        let _ = world.station.import(None, &sheets(Some(&broken), None), false);
    }
    assert!(world.station.import(None, &ImportSheets::default(), false).is_err());
}

#[test]
fn a_chief_brings_in_what_is_his_and_what_is_there_takes_its_code() {
    let world = World::new();
    let top = UnitOrder {
        name: "区".into(),
        parent: None,
        level: None,
        code: Some("TOP".into()),
    };
    let top = world.station.order_unit(None, &top).unwrap();
    world.station.move_unit(None, world.unit, Some(top)).unwrap();
    let by: Option<&Session> = Some(&world.chief);
    // The unit that is there is known by its name and place, once, and takes the code of the list.
    let units = "code,name,parent\nHOME,朝阳,TOP\nH1,一号网格,HOME\nH2,二号网格,H1\n";
    let report = world.station.import(by, &sheets(Some(units.as_bytes()), None), true).unwrap();
    assert_eq!(counts(&report), (true, 2, 1, 0, 0), "{report:#?}");
    assert_eq!(report.lines[0].detail, "code");
    let foreign = "code,name,parent\nX1,外,TOP\nX2,根,\nTOP,改名,\n";
    let people = "code,name,unit,roles\nY1,外,TOP,officer\nY2,内,H2,officer\n";
    let report = world
        .station
        .import(by, &sheets(Some(foreign.as_bytes()), Some(people.as_bytes())), true)
        .unwrap();
    let told: Vec<(&str, u64)> = refused(&report).into_iter().map(|(sheet, line, _)| (sheet, line)).collect();
    assert_eq!(told, [("units", 2), ("units", 3), ("units", 4), ("people", 2)], "{report:#?}");
    let officer = world.station.add_user(by, "李警官", &["officer".into()], world.unit).unwrap();
    let officer = world
        .station
        .users()
        .unwrap()
        .into_iter()
        .find(|user| user.user == officer)
        .unwrap();
    let refused = world
        .station
        .import(Some(&officer), &sheets(Some(units.as_bytes()), None), false);
    assert!(matches!(refused, Err(StationError::Forbidden(_))));
    // The last who keeps the registry is not taken his role by a list.
    let chief = crate::station::PersonChange {
        code: Some("C1".into()),
        ..Default::default()
    };
    world.station.change_person(None, world.chief.user, &chief).unwrap();
    let people = "code,name,unit,roles\nC1,王所长,HOME,officer\n";
    let report = world
        .station
        .import(None, &sheets(None, Some(people.as_bytes())), true)
        .unwrap();
    assert!(
        !report.applied && report.lines[0].detail.contains("last chief"),
        "{report:#?}"
    );
}

#[test]
fn a_list_of_thousands_is_brought_in_in_one_step() {
    let world = World::new();
    let mut units = String::from("code,name,parent,level\nR,区,,county\n");
    for number in 0..2_000 {
        units.push_str(&format!("G{number},第{number}网格,R,grid\n"));
    }
    let report = world
        .station
        .import(None, &sheets(Some(units.as_bytes()), None), true)
        .unwrap();
    assert_eq!(counts(&report), (true, 2_001, 0, 0, 0));
    assert!(world.station.verify_ledger().unwrap().holds());
    let again = world
        .station
        .import(None, &sheets(Some(units.as_bytes()), None), true)
        .unwrap();
    assert_eq!(again.unchanged, 2_001);
}
