//! What a destruction withstands: death at any step, late work, restores, people without the right to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use beatbook_protocol::blob::blob_name;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::Hash;
use beatbook_protocol::wire::{GivenEntry, Verdict, verdict_of};

use super::at_rest::{household, stands_in};
use super::destruction::{Busy, GROUND, NEEDLES, busy, destroy, listed, rebuilds_to_the_same};
use crate::environment::{Environment, Steps};
use crate::error::StationError;
use crate::station::Station;
use crate::testing::{World, code, visit};

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
