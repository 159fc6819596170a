//! What a destruction does to pages that are held of books that ended, and what a restore that did not come to its end does to a
//! destruction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::kind::duplicate::{NOT_DUPLICATE, OTHER};
use beatbook_protocol::page::{SealedPage, header_hash};
use beatbook_protocol::wire::{Verdict, verdict_of};

use super::at_rest::{household, stands_in};
use super::destruction::{Busy, GROUND, NEEDLES, busy, destroy, listed, rebuilds_to_the_same, stands_in_an_entry};
use super::ended::{end, signed};
use crate::environment::{Environment, Steps};
use crate::station::{ActOrder, HeldChoice, Station};
use crate::testing::{Phone, World, code, visit};

/// A phone that wrote about a household that is to go, in facts and in `private`, and about a visit that stays, all on one page.
struct Morning {
    world: World,
    phone: Phone,
    doomed: RecordId,
    kept: RecordId,
    page: SealedPage,
}

fn morning() -> Morning {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let doomed = household(&world, &mut phone, "清华东路1号", "13800000000");
    let (kept, item) = (world.record_id(), ItemId::from_bytes(world.sixteen()));
    let contact = Edit::new().item("contacts", item, [("phone", "HELD-PRIVATE".into())]);
    let entries = vec![
        phone.write(doomed, None, Edit::new().note("notes", "HELD-FACTS")),
        phone.write_in(doomed, DocumentName::Private, None, contact),
        phone.write(kept, Some(world.unit), visit()),
        phone.act(kept, "finish", Some("HELD-KEPT")),
    ];
    let page = phone.seal(entries);
    Morning {
        world,
        phone,
        doomed,
        kept,
        page,
    }
}

/// The page as it lies in the database, and as it says once it is opened.
fn lies(world: &World, page: &SealedPage) -> (Vec<u8>, Vec<u8>) {
    let hash = header_hash(&page.header);
    let row = world.station.store.read(|tx| tx.held_page(&hash)).unwrap().unwrap();
    let opened = world
        .station
        .keys
        .column
        .open("held_page", hash.as_bytes(), &row.sealed)
        .unwrap()
        .to_vec();
    (row.sealed, opened)
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn in_files(dir: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .any(|path| holds(&std::fs::read(path).unwrap(), needle))
}

/// What became of each entry of the page.
fn states(world: &World, page: &SealedPage) -> Vec<(String, bool)> {
    let rows = world
        .station
        .store
        .read(|tx| tx.held_entries(&header_hash(&page.header)))
        .unwrap();
    let name = |state| format!("{state:?}").to_lowercase();
    rows.into_iter()
        .map(|row| (name(row.state), row.entry == Hash::from_bytes([0; 32])))
        .collect()
}

fn admit(world: &World, page: &SealedPage) -> Vec<(u32, String)> {
    let choice = HeldChoice {
        pages: vec![header_hash(&page.header)],
        reason: "核实无误".into(),
        ..HeldChoice::default()
    };
    let lines = world.station.admit_held(&world.chief, &choice).unwrap();
    lines.into_iter().map(|line| (line.position, line.state)).collect()
}

fn told(lines: &[(u32, &str)]) -> Vec<(u32, String)> {
    lines
        .iter()
        .map(|(position, state)| (*position, (*state).to_owned()))
        .collect()
}

fn stood(lines: &[(&str, bool)]) -> Vec<(String, bool)> {
    lines
        .iter()
        .map(|(state, is_empty)| ((*state).to_owned(), *is_empty))
        .collect()
}

#[test]
fn what_a_held_page_says_of_a_destroyed_record_is_in_no_file_and_the_rest_of_it_is_admitted() {
    let Morning {
        world,
        phone,
        doomed,
        kept,
        page,
    } = morning();
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone()]).reply();
    let (sealed, opened) = lies(&world, &page);
    assert!(holds(&opened, b"HELD-FACTS") && holds(&opened, b"HELD-PRIVATE"));
    let piece = &sealed[100..164];
    assert!(in_files(&world.data(), piece), "the search finds what is there");
    destroy(&world, doomed);
    assert!(!in_files(&world.data(), piece), "what was sealed lies nowhere any more");
    let (_, opened) = lies(&world, &page);
    assert!(!holds(&opened, b"HELD-FACTS") && !holds(&opened, b"HELD-PRIVATE") && holds(&opened, b"HELD-KEPT"));
    assert!(
        !holds(&opened, &page.seed),
        "with the seed a guess could be held against the page's root"
    );
    let destroyed = ("destroyed", true);
    assert_eq!(
        states(&world, &page),
        stood(&[destroyed, destroyed, ("open", false), ("open", false)])
    );
    let view = world.station.quarantine(&world.chief, false, None, 512).unwrap();
    let shown: Vec<_> = view
        .records
        .iter()
        .map(|record| (record.record, record.facts.is_some()))
        .collect();
    assert_eq!(shown, [(doomed, false), (kept, true)]);
    assert_eq!(admit(&world, &page), told(&[(2, "admitted"), (3, "admitted")]));
    assert_eq!(world.state(kept), "done");
    let again = signed(&world, &phone, vec![page.clone()]).reply().held.unwrap();
    assert_eq!(again.pages, [header_hash(&page.header)], "its phone is told that it is held");
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    rebuilds_to_the_same(&world);
}

#[test]
fn a_page_that_comes_after_the_destruction_is_held_without_what_was_destroyed() {
    for private_only in [false, true] {
        let Morning {
            world,
            phone,
            doomed,
            kept,
            page,
        } = morning();
        world.station.destroy(None, doomed, private_only, None, Some(GROUND)).unwrap();
        end(&world, &phone);
        let held = signed(&world, &phone, vec![page.clone()]).reply().held.unwrap();
        assert_eq!(held.pages, [header_hash(&page.header)]);
        let (_, opened) = lies(&world, &page);
        assert_eq!(holds(&opened, b"HELD-FACTS"), private_only);
        assert!(!holds(&opened, b"HELD-PRIVATE") && holds(&opened, b"HELD-KEPT"));
        let facts = if private_only { ("open", false) } else { ("destroyed", true) };
        let open = ("open", false);
        assert_eq!(states(&world, &page), stood(&[facts, ("destroyed", true), open, open]));
        let mut expected = told(&[(2, "admitted"), (3, "admitted")]);
        if private_only {
            expected.insert(0, (0, "admitted".to_owned()));
        }
        assert_eq!(admit(&world, &page), expected);
        assert_eq!(world.state(kept), "done");
        rebuilds_to_the_same(&world);
    }
}

#[test]
fn a_private_change_that_was_admitted_leaves_no_mark_when_its_document_goes() {
    let Morning {
        world,
        phone,
        doomed,
        page,
        ..
    } = morning();
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone()]).reply();
    assert_eq!(admit(&world, &page).len(), 4);
    let marks = |world: &World| {
        world
            .station
            .dump()
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("admitted|"))
            .count()
    };
    assert_eq!(marks(&world), 4);
    world.station.destroy(None, doomed, true, None, Some(GROUND)).unwrap();
    assert_eq!(marks(&world), 3, "its name would be a guess to hold the bytes against");
    rebuilds_to_the_same(&world);
}

#[test]
fn what_others_said_of_a_destroyed_record_is_not_rebuilt_either() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let [doomed, other] = ["1", "2"].map(|contact| household(&world, &mut phone, "清华东路1号", contact));
    let order = ActOrder {
        code: NOT_DUPLICATE.into(),
        comment: Some("两户".into()),
        values: [(OTHER.to_owned(), doomed.to_string().as_str().into())].into(),
        if_match: world.version(other),
    };
    world.station.act(&world.chief, other, &order).unwrap();
    destroy(&world, doomed);
    rebuilds_to_the_same(&world);
}

/// Ends the process at a step, as far as a test can.
#[derive(Debug)]
struct DiesAt(&'static str);

impl Steps for DiesAt {
    fn passes(&self, step: &'static str) {
        assert!(step != self.0, "killed at {step}");
    }
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_destroyed_in_a_station_that_opens() {
    for step in ["epoch begun", "books ended again"] {
        let Busy {
            mut world,
            doomed,
            kept,
            two,
            ..
        } = busy();
        let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
        destroy(&world, doomed);
        end(&world, &two);
        let data = world.dir.path().join("restored");
        let env = Environment {
            steps: Arc::new(DiesAt(step)),
            ..world.env.clone()
        };
        let killed = catch_unwind(AssertUnwindSafe(|| {
            Station::restore(&backup.file, &data, &world.keys(), &env)
        }));
        assert!(killed.is_err(), "{step}");
        assert!(
            stands_in(&data, NEEDLES[0]),
            "{step}: it is here again until somebody opens it"
        );
        world.reopen_at(&data);
        assert_eq!(listed(&world), [kept], "{step}");
        for words in NEEDLES {
            assert!(
                !stands_in(&data, words) && !stands_in_an_entry(&world, words),
                "{words} after {step}"
            );
        }
        assert!(world.station.book(&world.chief, two.book).unwrap().ended.is_some(), "{step}");
        let report = world.station.verify_ledger().unwrap();
        assert_eq!((report.faults.len(), report.destroyed.len()), (0, 1), "{step}");
        rebuilds_to_the_same(&world);
        world.reopen_at(&data);
        assert_eq!(world.station.verify_ledger().unwrap().destroyed.len(), 1, "{step}: once");
    }
}

#[test]
fn a_private_document_of_a_record_that_the_backup_does_not_know_stays_destroyed() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.sync(&mut phone, None);
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let (record, item) = (world.record_id(), ItemId::from_bytes(world.sixteen()));
    phone.kinds.insert(record, "household".into());
    let contact = Edit::new().item("contacts", item, [("phone", "LOST-PRIVATE".into())]);
    let entries = vec![
        phone.write(record, Some(world.unit), Edit::new().field("address", "清华东路1号")),
        phone.write_in(record, DocumentName::Private, None, contact),
    ];
    let page = phone.seal(entries);
    world.send(&mut phone, vec![page.clone()]);
    assert!(stands_in_an_entry(&world, "LOST-PRIVATE"));
    world.station.destroy(None, record, true, None, Some(GROUND)).unwrap();
    let data = world.dir.path().join("restored");
    let report = Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    assert_eq!(report.destroyed_again, 1);
    world.reopen_at(&data);
    phone.sign_in(&world.station).unwrap();
    let reply = world.send(&mut phone, vec![page]);
    let verdict = |at| verdict_of(&reply.answers[0].verdicts, at).unwrap();
    assert_eq!((verdict(0), code(&verdict(1))), (Verdict::Accepted, "private_destroyed"));
    assert!(!stands_in_an_entry(&world, "LOST-PRIVATE"));
    assert_eq!(world.station.verify_ledger().unwrap().faults, [""; 0]);
    rebuilds_to_the_same(&world);
}
