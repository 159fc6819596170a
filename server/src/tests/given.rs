//! Acts that are given back after a restore: whatever a page of their author's own would be refused for, they are refused for too.

use beatbook_protocol::entry::Entry;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, TARGET};
use beatbook_protocol::limits::ACT_BYTES_MAX;
use beatbook_protocol::wire::{GivenEntry, Verdict};

use super::merges::{act_with, household, merge, merged_into};
use super::restore::{Restored, give, restored};
use crate::station::Station;
use crate::testing::{Phone, World, code};

/// An entry of a phone, as a colleague gives it back.
fn given_of(world: &World, author: &Phone, entry: Vec<u8>) -> GivenEntry {
    GivenEntry {
        entry: entry.into(),
        book: author.book,
        received: world.env.clock.now(),
    }
}

#[test]
fn an_act_that_says_too_much_or_too_little_is_not_taken_back() {
    let Restored {
        world,
        mut one,
        mut two,
        record,
        mut given,
        note,
        ..
    } = restored(&[]);
    let mut comment = |text: Option<&str>| {
        let act = one.act(record, "comment", text);
        given_of(&world, &one, act)
    };
    given.extend([
        comment(Some(&"长".repeat(ACT_BYTES_MAX / 3 + 1))),
        comment(Some("  ")),
        comment(None),
        comment(Some(&"x".repeat(ACT_BYTES_MAX))),
    ]);
    // Values count with the comment.
    let Ok(Entry::Act(mut wordy)) = Entry::parse(&one.act(record, "comment", Some("x"))) else {
        panic!("an act is an act");
    };
    wordy.values = Some(vec![("extra".into(), "x".repeat(ACT_BYTES_MAX).as_str().into())]);
    given.push(given_of(&world, &one, Entry::Act(wordy).to_bytes()));
    let verdicts = give(&world, &mut two, &given, Some(&note));
    assert_eq!(code(&verdicts[3]), "too_large");
    assert_eq!(code(&verdicts[7]), "too_large");
    assert_eq!(code(&verdicts[4]), "comment_required");
    assert_eq!(code(&verdicts[5]), "comment_required");
    assert_eq!(verdicts[6], Verdict::Accepted, "as long as one may be");
    assert_eq!(world.station.record(&world.chief, record).unwrap().unwrap().acts.len(), 3);
}

#[test]
fn a_merge_is_not_taken_back_against_one_that_was_made_the_other_way_meanwhile() {
    let mut world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let [a, b, c, d] = ["甲", "乙", "丙", "丁"].map(|address| household(&world, &mut one, address));
    world.sync(&mut one, None);
    world.sync(&mut two, None);
    let backup = world.station.backup(&world.dir.path().join("backup")).unwrap();
    let lost = [
        act_with(&mut one, a, MERGE_INTO, TARGET, b),
        act_with(&mut one, c, MERGE_INTO, TARGET, d),
    ];
    assert_eq!(
        world.verdicts(&mut one, lost.to_vec()),
        [Verdict::Accepted, Verdict::Accepted]
    );
    world.sync(&mut two, None);
    let note = two.note.clone().unwrap();
    let data = world.dir.path().join("restored");
    Station::restore(&backup.file, &data, &world.keys(), &world.env).unwrap();
    world.reopen_at(&data);
    two.sign_in(&world.station).unwrap();
    // The chief met the same two households again and decided the other way.
    merge(&world, b, a).unwrap();

    let into_itself = act_with(&mut one, d, MERGE_INTO, TARGET, d);
    let back = act_with(&mut one, d, MERGE_INTO, TARGET, c);
    let given: Vec<_> = lost.into_iter().chain([into_itself, back]).collect();
    let given: Vec<_> = given.into_iter().map(|entry| given_of(&world, &one, entry)).collect();
    let verdicts = give(&world, &mut two, &given, Some(&note));
    assert_eq!(code(&verdicts[0]), "merge_loop");
    assert_eq!(verdicts[1], Verdict::Accepted, "nothing is against this one");
    assert_eq!(code(&verdicts[2]), "merge_target");
    assert_eq!(code(&verdicts[3]), "merge_loop", "nor within one giving");
    assert_eq!(
        [a, b, c, d].map(|record| merged_into(&world, record)),
        [None, Some(a), Some(d), None]
    );
    assert_eq!(world.state(a), "active");
}
