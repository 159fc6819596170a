//! Destruction: whole or not at all, provable, final. What was written is in no file any more, the rest proves, and nothing brings it back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use beatbook_protocol::blob::blob_name;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{Hash, ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::{GivenEntry, Verdict, verdict_of};

use super::at_rest::{household, stands_in};
use crate::environment::{Environment, Steps};
use crate::error::StationError;
use crate::station::{RecordFilter, Station};
use crate::testing::{Phone, World, code, visit};

const GROUND: &str = "法院判决第7号";

/// Two officers who hold the same, and one of another unit; two households.
struct Busy {
    world: World,
    one: Phone,
    two: Phone,
    stranger: Phone,
    doomed: RecordId,
    kept: RecordId,
}

fn busy() -> Busy {
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

const NEEDLES: [&str; 5] = [
    "DOOMED-NEEDLE",
    "DOOMED-PRIVATE",
    "DOOMED-NOTE",
    "DOOMED-COMMENT",
    "DOOMED-REFUSED",
];

fn destroy(world: &World, record: RecordId) -> u64 {
    world
        .station
        .destroy(Some(&world.chief), record, false, None, Some(GROUND))
        .unwrap()
}

fn rebuilds_to_the_same(world: &World) {
    let before = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    let after = world.station.dump().unwrap();
    for (one, other) in before.lines().zip(after.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(before, after);
}

/// Syncs until nothing is new, and holds what it has against the station's word.
fn agrees(world: &World, phone: &mut Phone) {
    world.sync(phone, None);
    assert_eq!(world.sync(phone, None).digest, None, "both hold the same");
}

fn listed(world: &World) -> Vec<RecordId> {
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
    assert!(stands_in(&world.data(), "DOOMED-NEEDLE") && stands_in(&world.data(), "DOOMED-NOTE"));
    let held = two.held.records.get(&kept).cloned().unwrap();
    assert_eq!(destroy(&world, doomed), 5);
    for words in NEEDLES {
        assert!(!stands_in(&world.data(), words), "{words} is still in a file");
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
fn what_comes_of_a_destroyed_record_is_refused_and_not_kept() {
    let Busy {
        world, mut one, doomed, ..
    } = busy();
    destroy(&world, doomed);
    let other = world.record_id();
    let entries = vec![
        one.write(doomed, None, Edit::new().field("address", "LATE-NEEDLE street")),
        one.write(other, Some(world.unit), visit()),
        one.act(doomed, "reopen", Some("LATE-COMMENT")),
    ];
    let page = one.seal(entries.clone());
    let reply = world.send(&mut one, vec![page.clone()]);
    let verdict = |at| verdict_of(&reply.answers[0].verdicts, at).unwrap();
    assert_eq!(
        (code(&verdict(0)), verdict(1), code(&verdict(2))),
        ("destroyed", Verdict::Accepted, "destroyed")
    );
    let again = world.send(&mut one, vec![page]);
    assert_eq!(again.answers, reply.answers, "the stored answer");
    // An old copy of the phone opens it anew: no.
    let mut copy = world.phone("王", "officer");
    copy.kinds.insert(doomed, "household".into());
    let opening = copy.write(doomed, Some(world.unit), Edit::new().field("address", "LATE-NEEDLE road"));
    assert_eq!(code(&world.verdicts(&mut copy, vec![opening])[0]), "destroyed");
    for words in ["LATE-NEEDLE", "LATE-COMMENT"] {
        assert!(!stands_in(&world.data(), words), "{words}");
    }
    let report = world.station.verify_ledger().unwrap();
    assert_eq!(report.faults, [""; 0]);
    assert_eq!((report.destroyed[0].entries, report.destroyed[0].late), (5, 3));
    assert!(world.station.record(&world.chief, doomed).unwrap().is_none());
    rebuilds_to_the_same(&world);
    assert!(matches!(
        world.station.destroy(None, doomed, false, None, Some(GROUND)),
        Err(StationError::NotFound(_))
    ));
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

#[test]
fn an_entry_that_is_gone_and_that_no_destruction_names_is_found() {
    let find = |rob: &dyn Fn(&World, (u64, u32), Hash)| {
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
    let entries = world.station.destroy(None, doomed, true, None, Some(GROUND)).unwrap();
    assert_eq!(entries, 1);
    assert!(!stands_in(&world.data(), "DOOMED-PRIVATE") && stands_in(&world.data(), "DOOMED-NEEDLE"));
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
    assert!(!stands_in(&world.data(), "LATE-PRIVATE"));
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

#[test]
fn a_restore_does_not_bring_back_what_was_destroyed_and_nobody_can_give_it_back() {
    let Busy {
        mut world,
        mut one,
        mut two,
        doomed,
        kept,
        ..
    } = busy();
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    // This one is in no backup at all.
    let fresh = household(&world, &mut one, "FRESH-NEEDLE street", "FRESH-PRIVATE");
    world.sync(&mut two, None);
    let note = two.note.clone().unwrap();
    let held: Vec<GivenEntry> = [doomed, fresh]
        .iter()
        .flat_map(|record| two.held.records.get(record).unwrap().values())
        .map(|held| GivenEntry {
            entry: held.bytes.clone().into(),
            book: held.book,
            received: held.received,
        })
        .collect();
    destroy(&world, doomed);
    destroy(&world, fresh);
    world.station.destroy(None, kept, true, None, Some(GROUND)).unwrap_err();
    let data = world.dir.path().join("restored");
    let report = Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    assert_eq!(report.destroyed_again, 2);
    for words in NEEDLES {
        assert!(!stands_in(&data, words), "{words} came back");
    }
    world.reopen_at(&data);
    assert_eq!(listed(&world), [kept]);
    let verified = world.station.verify_ledger().unwrap();
    assert_eq!((verified.faults.len(), verified.destroyed.len()), (0, 2));
    two.sign_in(&world.station).unwrap();
    assert_eq!(two.held.destroyed, [doomed], "who holds it is told again");
    let mut request = two.request(vec![]);
    request.given = Some(held.clone());
    request.witness = Some(note);
    let runs = world.ask(&mut two, &request).given.unwrap();
    for at in 0..u32::try_from(held.len()).unwrap() {
        assert_eq!(code(&verdict_of(&runs, at).unwrap()), "destroyed");
    }
    assert!(!stands_in(&data, "FRESH-NEEDLE"));
    rebuilds_to_the_same(&world);
    // A second restore of the same copy is the same.
    let again = world.dir.path().join("again");
    assert_eq!(
        Station::restore(&backup.file, &again, &world.keys(), &world.env)
            .unwrap()
            .destroyed_again,
        2
    );
}

#[tokio::test]
async fn blobs_that_only_the_destroyed_named_go_from_the_station_and_from_its_next_backup() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let mut blobs = Vec::new();
    for content in [b"photo of the door".as_slice(), b"shared", b"small picture"] {
        let name = blob_name(content);
        let turn = world.station.blobs.turn(phone.book, name).await.unwrap();
        crate::blobs::begin(&world.station, &turn, content.len() as u64).unwrap();
        let mut writing = crate::blobs::write(&world.station, turn, 0, None).unwrap();
        writing.append(content).unwrap();
        crate::blobs::end(&world.station, writing).unwrap();
        blobs.push(name);
    }
    let photo = |thumbnail| FileRef {
        field: "photos".into(),
        media_type: "image/jpeg".into(),
        bytes: 5,
        thumbnail,
        removed: false,
    };
    let (doomed, kept) = (world.record_id(), world.record_id());
    let entries = vec![
        phone.write(
            doomed,
            Some(world.unit),
            visit().file(blobs[0], photo(Some(blobs[2]))).file(blobs[1], photo(None)),
        ),
        phone.write(kept, Some(world.unit), visit().file(blobs[1], photo(None))),
    ];
    world.verdicts(&mut phone, entries);
    let backup = world.dir.path().join("backup");
    assert_eq!(world.station.backup(&backup).unwrap().blobs, 3);
    destroy(&world, doomed);
    let there = |name: &Hash| world.station.blobs.arrived(name).is_some();
    assert_eq!([there(&blobs[0]), there(&blobs[1]), there(&blobs[2])], [false, true, false]);
    world.station.backup(&backup).unwrap();
    let copied = |name: &Hash| crate::blobs::kept::place(&backup.join(crate::blobs::FOLDER), name).is_file();
    assert_eq!(
        [copied(&blobs[0]), copied(&blobs[1]), copied(&blobs[2])],
        [false, true, false]
    );
    rebuilds_to_the_same(&world);
}

/// Ends the process at the step of this number, as far as a test can.
#[derive(Debug)]
struct Killer {
    at: AtomicUsize,
    passed: Mutex<Vec<&'static str>>,
}

impl Steps for Killer {
    fn passes(&self, step: &'static str) {
        self.passed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(step);
        let left = self.at.fetch_sub(1, Ordering::Relaxed);
        assert!(left != 1, "killed at {step}");
    }
}

#[test]
fn a_destruction_that_is_killed_at_any_step_is_done_wholly_or_not_at_all() {
    let mut step = 1;
    let mut whole = 0;
    loop {
        let Busy {
            mut world, doomed, kept, ..
        } = busy();
        let killer = Arc::new(Killer {
            at: AtomicUsize::new(step),
            passed: Mutex::new(Vec::new()),
        });
        let env = Environment {
            steps: killer.clone(),
            ..world.env.clone()
        };
        world.station = Station::open(&world.data(), &world.keys(), &[], env).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| destroy(&world, doomed)));
        if outcome.is_ok() {
            let passed = killer.passed.lock().unwrap();
            assert!(passed.len() >= 5 && step > passed.len(), "every step was died at: {passed:?}");
            break;
        }
        world.reopen();
        let report = world.station.verify_ledger().unwrap();
        assert_eq!(report.faults, [""; 0]);
        let is_there = listed(&world).contains(&doomed);
        assert_eq!(report.destroyed.is_empty(), is_there, "step {step}");
        assert_eq!(
            world.station.keys.destroyed.lines().unwrap().is_empty(),
            is_there,
            "step {step}"
        );
        if is_there {
            assert_eq!(destroy(&world, doomed), 5, "it can be done again");
        } else {
            whole += 1;
        }
        for words in NEEDLES {
            assert!(!stands_in(&world.data(), words), "{words} after step {step}");
        }
        assert_eq!(listed(&world), [kept]);
        rebuilds_to_the_same(&world);
        step += 1;
    }
    assert!(whole >= 2, "some steps come after the commit");
}

#[test]
fn only_the_chief_and_the_administrator_destroy_and_only_in_their_units() {
    let Busy { world, doomed, .. } = busy();
    let session = |role: &str, unit| {
        let user = world.station.add_user(None, "某人", &[role.into()], unit).unwrap();
        world
            .station
            .session(&world.station.issue_token(None, user).unwrap())
            .unwrap()
    };
    let elsewhere = world.station.add_unit(None, "另一处", None).unwrap();
    let order = |by| world.station.destroy(Some(&by), doomed, false, None, Some(GROUND));
    for role in ["grid_worker", "officer", "mediator", "department", "supervisor", "auditor"] {
        assert!(
            matches!(order(session(role, world.unit)), Err(StationError::Forbidden(_))),
            "{role}"
        );
    }
    for role in ["chief", "admin"] {
        assert!(
            matches!(order(session(role, elsewhere)), Err(StationError::NotFound(_))),
            "{role}"
        );
    }
    let wrong = [(None, None), (Some(doomed), Some(GROUND))];
    for (request, ground) in wrong {
        assert!(matches!(
            world.station.destroy(None, doomed, false, request, ground),
            Err(StationError::Invalid(_))
        ));
    }
    let long = "长".repeat(501);
    for ground in ["", "  ", "two\nlines", long.as_str()] {
        assert!(matches!(
            world.station.destroy(None, doomed, false, None, Some(ground)),
            Err(StationError::Invalid(_))
        ));
    }
    let looks = |role: &str| world.station.destructions(Some(&session(role, world.unit)), None, 5);
    assert!(looks("auditor").is_ok() && looks("admin").is_ok());
    assert!(matches!(looks("officer"), Err(StationError::Forbidden(_))));
    assert!(listed(&world).contains(&doomed));
    order(session("admin", world.unit)).unwrap();
    let lines = world.station.store.read(|tx| tx.audit_from(1, 99)).unwrap();
    let line = lines.iter().find(|line| line.what == "record.destroyed").unwrap();
    assert_eq!((line.record, line.reason.as_deref()), (Some(doomed), Some(GROUND)));
    assert!(!line.detail.contains("DOOMED"));
}
