//! The guard against hostile bytes, author marks, numbers and orders: each attack by hand.

use std::collections::BTreeSet;

use automerge::transaction::Transactable;

use super::forge::{at, forge, nulls, outcome, outcomes, puts_at_root, refusal, rewrite, run, unsigned, with_columns};
use super::*;
use crate::document::sample::{actor, copy, document, edit, receive};
use crate::document::{Change, Edit};
use crate::limits::{CHANGE_BYTES_MAX, DOCUMENT_CHANGES_MAX};

#[test]
fn a_run_of_millions_of_rows_is_refused_before_it_unpacks() {
    let document = document(1);
    for len in [50_001, 1 << 31, 1 << 60] {
        for bomb in [
            vec![(0x42, run(len, 1))],
            vec![(0x42, nulls(len))],
            vec![
                (0x34, {
                    let mut out = Vec::new();
                    unsigned(&mut out, len);
                    out
                }),
                (0x42, run(1, 1)),
            ],
            vec![
                (0x42, run(1, 1)),
                (0x70, run(1, 0x7f)),
                (0x71, nulls(len)),
                (0x73, nulls(len)),
            ],
            vec![(0x42, run(10_000, 1)), (0x56, run(10_000, 0)), (0x70, run(10_000, 0x7f))],
        ] {
            assert_eq!(
                refusal(&document, &with_columns(&document, &bomb)),
                "too_many_operations",
                "{len} {bomb:?}"
            );
        }
    }
}

#[test]
fn bytes_that_are_no_plain_change_are_refused() {
    let mut written = document(1);
    let long = edit(&mut written, Edit::new().note("summary", "long ".repeat(200)));
    let document = document(2);
    let deflated = automerge::Change::try_from(&long.bytes[..]).unwrap().bytes().to_vec();
    assert_eq!(deflated[8], 2);
    assert_eq!(refusal(&document, &deflated), "compressed");
    assert_eq!(refusal(&document, &written.save()), "malformed");
    assert_eq!(refusal(&document, b""), "malformed");
    assert_eq!(refusal(&document, &long.bytes[..long.bytes.len() - 1]), "malformed");
    assert_eq!(refusal(&document, &[&long.bytes[..], &[0]].concat()), "malformed");
    let mut flipped = long.bytes.clone();
    flipped[40] ^= 1;
    assert_eq!(refusal(&document, &flipped), "checksum_wrong");
    assert_eq!(refusal(&document, &vec![0; CHANGE_BYTES_MAX + 1]), "too_large");
    assert!(matches!(outcome(&document, &long.bytes, false), Outcome::Admitted { .. }));
}

#[test]
fn what_means_the_same_in_other_bytes_is_refused() {
    let document = document(1);
    let honest = edit(&mut document.clone(), Edit::new().field("visits", 3));
    for (why, bytes) in [
        (
            "message",
            rewrite(&honest.bytes, |change| change.message = Some("hello".into())),
        ),
        (
            "extra bytes",
            rewrite(&honest.bytes, |change| change.extra_bytes = vec![1, 2]),
        ),
        ("empty", rewrite(&honest.bytes, |change| change.operations.clear())),
        ("no dependencies", rewrite(&honest.bytes, |change| change.deps.clear())),
        (
            "a gap in the counters",
            rewrite(&honest.bytes, |change| change.start_op = change.start_op.saturating_add(1)),
        ),
        (
            "two runs for one",
            with_columns(&document, &puts_at_root([run(1, 1), run(1, 1)].concat())),
        ),
        (
            "a column that nobody needs",
            with_columns(&document, &[(0x42, run(1, 1)), (0x94, run(1, 1))]),
        ),
        (
            "columns that begin anew",
            with_columns(&document, &[(0x42, run(1, 1)), (0x42, run(1, 1))]),
        ),
        (
            "a column too short",
            with_columns(&document, &[(0x42, run(2, 1)), (0x56, run(1, 0))]),
        ),
    ] {
        assert!(["not_canonical", "malformed"].contains(&refusal(&document, &bytes)), "{why}");
    }
    assert_eq!(
        refusal(&document, &with_columns(&document, &puts_at_root(run(2, 1)))),
        "unknown_field"
    );
}

#[test]
fn an_author_mark_belongs_to_its_author() {
    let document = document(1);
    let bytes = edit(&mut copy(&document, 2), Edit::new().field("visits", 3)).bytes;
    let check_as = |allowed: &[u8]| {
        let actors: BTreeSet<ActorId> = allowed.iter().map(|&number| actor(number)).collect();
        let incoming = Incoming {
            bytes: &bytes,
            settles: false,
            actors: Some(&actors),
        };
        check(&document, &[incoming], Unknown::Refuse).outcomes.remove(0)
    };
    assert_eq!(check_as(&[1, 3]), Outcome::Refused(GuardFault::ForeignActor));
    assert!(matches!(check_as(&[2, 3]), Outcome::Admitted { .. }));
    let genesis = crate::document::genesis(&crate::document::sample::kind(), crate::kind::DocumentName::Facts).unwrap();
    let maker = envelope(&genesis[0]).unwrap().actor;
    let forged = rewrite(&bytes, |change| {
        change.actor_id = automerge::ActorId::from(maker.as_bytes().as_slice())
    });
    assert_eq!(refusal(&document, &forged), "foreign_actor");
    assert!(matches!(outcome(&document, &genesis[0], false), Outcome::Duplicate { .. }));
}

#[test]
fn a_number_used_twice_takes_neither_the_first_nor_others_along() {
    let base = document(1);
    let first = edit(&mut base.clone(), Edit::new().field("visits", 3));
    let second = edit(&mut base.clone(), Edit::new().field("visits", 4));
    let other = edit(&mut copy(&base, 2), Edit::new().field("purpose", "a"));
    let found = outcomes(&base, &[&first.bytes, &second.bytes, &other.bytes, &first.bytes]);
    assert_eq!(
        found,
        [
            Outcome::Admitted { hash: first.hash },
            Outcome::Refused(GuardFault::SequenceReused { seq: 1 }),
            Outcome::Admitted { hash: other.hash },
            Outcome::Duplicate { hash: first.hash },
        ]
    );
    let skipped = rewrite(&first.bytes, |change| change.seq = 2);
    assert_eq!(refusal(&base, &skipped), "sequence_gap");
    let mut grown = base.clone();
    receive(&mut grown, &[&first]);
    // The second change of a mark whose author does not know his own first.
    assert_eq!(
        refusal(&grown, &rewrite(&second.bytes, |change| change.seq = 2)),
        "sequence_gap"
    );
}

#[test]
fn an_orphan_waits_and_goes_in_with_its_parent() {
    let mut written = document(1);
    let first = edit(&mut written, Edit::new().field("purpose", "a"));
    let second = edit(&mut written, Edit::new().field("purpose", "b"));
    let third = edit(&mut written, Edit::new().field("purpose", "c"));
    let empty = document(2);
    assert_eq!(
        outcomes(&empty, &[&third.bytes, &second.bytes]),
        [
            Outcome::Needs {
                missing: vec![second.hash]
            },
            Outcome::Needs {
                missing: vec![first.hash]
            }
        ]
    );
    let all = [third, second, first];
    let incoming: Vec<_> = all
        .iter()
        .map(|change| Incoming {
            bytes: &change.bytes,
            settles: false,
            actors: None,
        })
        .collect();
    let report = check(&empty, &incoming, Unknown::Refuse);
    assert!(
        report
            .outcomes
            .iter()
            .zip(&all)
            .all(|(outcome, change)| *outcome == Outcome::Admitted { hash: change.hash })
    );
    assert_eq!(report.document.view(), written.view());
}

#[test]
fn a_refused_change_takes_its_descendants_and_nobody_else() {
    let base = document(1);
    let bad = forge(&base, 1, |tx| tx.put(at(tx, &["fields"]), "nothing", 1).unwrap());
    let mut astray = base.clone();
    astray.take_in(vec![automerge::Change::try_from(&bad[..]).unwrap()]).unwrap();
    let bad_hash = astray.heads()[0];
    let mut other = copy(&astray, 2);
    let child = edit(&mut other, Edit::new().field("visits", 1));
    let grandchild = edit(&mut other, Edit::new().field("visits", 2));
    let good = edit(&mut copy(&base, 3), Edit::new().field("purpose", "a"));
    let found = outcomes(&base, &[&grandchild.bytes, &child.bytes, &bad, &good.bytes]);
    assert_eq!(found[0], Outcome::Refused(GuardFault::Descendant { of: child.hash }));
    assert_eq!(found[1], Outcome::Refused(GuardFault::Descendant { of: bad_hash }));
    assert_eq!(
        found[2],
        Outcome::Refused(GuardFault::UnknownField {
            path: "fields/nothing".into()
        })
    );
    assert_eq!(found[3], Outcome::Admitted { hash: good.hash });
}

#[test]
fn a_document_takes_as_many_changes_as_it_may_and_no_more() {
    let mut written = document(1);
    let mut changes: Vec<Change> = (0..1_000)
        .map(|number| edit(&mut written, Edit::new().field("visits", number)))
        .collect();
    assert_eq!(changes.len(), DOCUMENT_CHANGES_MAX);
    let beyond = forge(&written, 1, |tx| tx.put(at(tx, &["fields"]), "visits", -1).unwrap());
    changes.push(Change {
        bytes: beyond,
        hash: Hash::from_bytes([0; 32]),
        settles: false,
    });
    let mut found = outcomes(
        &document(2),
        &changes.iter().map(|change| &change.bytes[..]).collect::<Vec<_>>(),
    );
    assert_eq!(found.pop(), Some(Outcome::Refused(GuardFault::DocumentFull)));
    assert!(found.iter().all(|outcome| matches!(outcome, Outcome::Admitted { .. })));
}
