//! The guard against thousands of seeded mutations of real changes, with repaired checksums: no panic comes out, and nothing gets
//! in that cannot be loaded again.

use std::collections::BTreeMap;

use automerge::ExpandedChange;
use automerge::legacy::{ElementId, Key, ObjectId, OpType};

use super::forge::{chunk, rewrite};
use super::*;
use crate::document::sample::{actor, copy, document, edit, file, item, receive};
use crate::document::{DocumentError, Edit, calmly};
use crate::facts::{FileRef, Value};

/// A small generator of numbers (xorshift64*), so that a failed seed fails again.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// A document with some of everything, and changes of two people that it does not have yet.
fn scene() -> (Document, Vec<Vec<u8>>) {
    let mut one = document(1);
    let photo = FileRef {
        field: "photos".into(),
        media_type: "image/jpeg".into(),
        bytes: 9,
        thumbnail: None,
        removed: false,
    };
    edit(
        &mut one,
        Edit::new()
            .field("purpose", "a")
            .note("summary", "abcdef")
            .item("people_met", item(1), [("age", Value::Int(3))]),
    );
    let mut other = copy(&one, 2);
    let theirs = edit(&mut other, Edit::new().field("purpose", "b").note("summary", "abXdef"));
    edit(&mut one, Edit::new().field("purpose", "c").file(file(1), photo.clone()));
    receive(&mut one, &[&theirs]);
    let base = copy(&one, 1);
    let mut writer = copy(&one, 3);
    let changes = vec![
        edit(
            &mut writer,
            Edit::new()
                .field("visits", 7)
                .field("share", 1)
                .note("summary", "bXdeffff")
                .segment("1", [1, 2, 3]),
        )
        .bytes,
        edit(
            &mut writer,
            Edit::new()
                .item("people_met", item(1), [("age", Value::Int(4))])
                .remove("people_met", item(1)),
        )
        .bytes,
        edit(
            &mut writer,
            Edit::new()
                .item("people_met", item(2), [("name", "n".into())])
                .file(file(1), FileRef { bytes: 8, ..photo }),
        )
        .bytes,
    ];
    (base, changes)
}

/// Panics inside automerge are what this is about: they need no report each.
fn silence_automerge() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let file = info.location().map_or("", std::panic::Location::file);
        if !file.contains("automerge-") && !file.contains("hexane-") {
            usual(info);
        }
    }));
}

/// Puts a mutant among its honest fellows through the guard and checks what came of it. Gives the mutant's code.
fn judge(base: &Document, changes: &[Vec<u8>], index: usize, mutant: &[u8]) -> &'static str {
    let bytes = |at: usize| if at == index { mutant } else { &changes[at][..] };
    let incoming: Vec<_> = (0..changes.len())
        .map(|at| Incoming {
            bytes: bytes(at),
            settles: true,
            actors: None,
        })
        .collect();
    let report = check(base, &incoming, Unknown::Refuse);
    for outcome in &report.outcomes[..index] {
        assert!(matches!(outcome, Outcome::Admitted { .. }), "{outcome:?}");
    }
    let reloaded = Document::open_as(base.shape(), actor(8), Some(&report.document.save()), &[] as &[&[u8]]).unwrap();
    assert_eq!(reloaded.view().unwrap(), report.document.view().unwrap());
    assert_eq!(reloaded.history().unwrap(), report.document.history().unwrap());
    match &report.outcomes[index] {
        Outcome::Admitted { .. } => "admitted",
        Outcome::Duplicate { .. } => "duplicate",
        Outcome::Needs { .. } => "needs",
        Outcome::Refused(fault) => fault.code(),
    }
}

#[test]
fn no_mutated_byte_gets_a_panic_out_or_an_unloadable_change_in() {
    silence_automerge();
    let (base, changes) = scene();
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 1..=6_000 {
        let mut numbers = Numbers(seed);
        let index = numbers.below(changes.len());
        // Magic, checksum, type and one or two bytes of length.
        let start = if changes[index][9] & 0x80 == 0 { 10 } else { 11 };
        let mut body = changes[index][start..].to_vec();
        // Half the mutants leave the head as it is, to get at the columns.
        let from = if seed % 2 == 0 { 0 } else { body.len() / 2 };
        for _ in 0..=numbers.below(3) {
            let at = from + numbers.below(body.len() - from);
            match numbers.below(6) {
                0 => body.insert(at, numbers.below(256) as u8),
                1 if body.len() > from + 1 => drop(body.remove(at)),
                2 => body[at] = numbers.below(256) as u8,
                3 => body[at] = body[at].wrapping_add(1),
                _ => body[at] ^= 1 << numbers.below(8),
            }
        }
        *codes.entry(judge(&base, &changes, index, &chunk(&body))).or_default() += 1;
    }
    let expected = [
        "admitted",
        "malformed",
        "needs",
        "not_canonical",
        "sequence_gap",
        "unknown_field",
        "unseen",
        "wrong_type",
    ];
    assert!(expected.iter().all(|code| codes.contains_key(code)), "{codes:?}");
    assert!(
        !codes.contains_key("crashed") && !codes.contains_key("does_not_reload"),
        "automerge met what the checks let by: {codes:?}"
    );
}

#[test]
fn no_mutated_operation_gets_a_panic_out_or_an_unloadable_change_in() {
    silence_automerge();
    let (base, changes) = scene();
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut poisonous = 0;
    for seed in 1..=3_000 {
        let mut numbers = Numbers(seed);
        let index = numbers.below(changes.len());
        let mutant = rewrite(&changes[index], |change| {
            for _ in 0..=numbers.below(2) {
                mutate(change, &mut numbers);
            }
        });
        *codes.entry(judge(&base, &changes, index, &mutant)).or_default() += 1;
        poisonous += usize::from(is_poison(&base, &changes[..index], &mutant));
    }
    assert!(
        poisonous > 20,
        "only {poisonous} mutants would harm a document without a guard: they prove nothing"
    );
    let expected = [
        "admitted",
        "deletes",
        "nests",
        "not_canonical",
        "unknown_field",
        "unseen",
        "wrong_type",
    ];
    assert!(expected.iter().all(|code| codes.contains_key(code)), "{codes:?}");
    assert!(
        !codes.contains_key("crashed") && !codes.contains_key("does_not_reload"),
        "{codes:?}"
    );
}

/// Whether automerge alone panics on a change, or takes it in and cannot load what it saves.
fn is_poison(base: &Document, before: &[Vec<u8>], mutant: &[u8]) -> bool {
    let result = calmly(|| {
        let mut automerge = base.automerge().clone();
        for bytes in before.iter().map(Vec::as_slice).chain([mutant]) {
            let change = automerge::Change::try_from(bytes).map_err(|_| DocumentError::OtherGenesis)?;
            automerge.apply_changes([change]).map_err(|_| DocumentError::OtherGenesis)?;
        }
        automerge::Automerge::load(&automerge.save_nocompress())?;
        Ok::<_, DocumentError>(())
    });
    matches!(result, Err(DocumentError::Crashed(_) | DocumentError::Damaged { .. }))
}

/// Alters one operation: what a clever phone would try.
fn mutate(change: &mut ExpandedChange, numbers: &mut Numbers) {
    let count = change.operations.len();
    let (at, from) = (numbers.below(count), numbers.below(count));
    let donor = change.operations[from].clone();
    let op = &mut change.operations[at];
    match numbers.below(10) {
        0 => op.key = donor.key,
        1 => op.obj = donor.obj,
        2 => op.pred = donor.pred,
        3 => op.action = donor.action,
        4 => op.insert = !op.insert,
        5 => {
            op.action = [
                OpType::Delete,
                OpType::Make(automerge::ObjType::Map),
                OpType::Put(true.into()),
            ][numbers.below(3)]
            .clone()
        }
        6 => op.key = Key::Map(["purpose", "visits", "removed", "x", "fields"][numbers.below(5)].into()),
        7 => {
            if let ObjectId::Id(object) = &mut op.obj {
                object.0 = numbers.below(60) as u64;
            }
        }
        8 => {
            if let Key::Seq(ElementId::Id(letter)) = &mut op.key {
                letter.0 = numbers.below(60) as u64;
            }
        }
        _ => change.operations.swap(at, from),
    }
}
