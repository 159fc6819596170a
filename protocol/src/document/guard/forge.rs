//! Makes the bytes that no edit of ours makes, for tests of the guard, and puts them through it.

use automerge::transaction::{CommitOptions, Transaction};
use automerge::{ExpandedChange, ObjId, ROOT, ReadDoc};

use super::*;
use crate::document::Edit;
use crate::document::sample::{actor, copy, document, edit, receive};

/// One change through the guard.
pub(super) fn outcome(document: &Document, bytes: &[u8], settles: bool) -> Outcome {
    let report = check(
        document,
        &[Incoming {
            bytes,
            settles,
            actors: None,
        }],
        Unknown::Refuse,
    );
    let [outcome] = &report.outcomes[..] else {
        panic!("{:?}", report.outcomes)
    };
    if !matches!(outcome, Outcome::Admitted { .. }) {
        assert_eq!(report.document.save(), document.save());
    }
    outcome.clone()
}

/// The code that a change is refused with.
pub(super) fn refusal(document: &Document, bytes: &[u8]) -> &'static str {
    match outcome(document, bytes, false) {
        Outcome::Refused(fault) => fault.code(),
        other => panic!("{other:?}"),
    }
}

/// Several changes through the guard.
pub(super) fn outcomes(document: &Document, changes: &[&[u8]]) -> Vec<Outcome> {
    let incoming: Vec<_> = changes
        .iter()
        .map(|bytes| Incoming {
            bytes,
            settles: false,
            actors: None,
        })
        .collect();
    check(document, &incoming, Unknown::Refuse).outcomes
}

/// A change that automerge makes and we would not.
pub(super) fn forge(document: &Document, number: u8, write: impl FnOnce(&mut Transaction<'_>)) -> Vec<u8> {
    let mut automerge = document.automerge().clone();
    automerge.set_actor(automerge::ActorId::from(actor(number).as_bytes().as_slice()));
    let mut tx = automerge.transaction();
    write(&mut tx);
    tx.commit_with(CommitOptions::default().with_time(7));
    automerge.get_last_local_change().unwrap().raw_bytes().to_vec()
}

/// An object by its way from the root.
pub(super) fn at(tx: &Transaction<'_>, way: &[&str]) -> ObjId {
    way.iter().fold(ROOT, |object, key| tx.get(&object, *key).unwrap().unwrap().1)
}

/// A change with its operations or its head rewritten, in canonical form.
pub(super) fn rewrite(bytes: &[u8], alter: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
    let mut expanded = automerge::Change::try_from(bytes).unwrap().decode();
    alter(&mut expanded);
    automerge::Change::from(expanded).raw_bytes().to_vec()
}

/// A chunk of a body, with length and checksum as they must be.
pub(super) fn chunk(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    unsigned(&mut framed, body.len() as u64);
    framed.extend_from_slice(body);
    let hash = Hash::of(&[&[1], &framed]);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash.as_bytes()[..4], &[1], &framed].concat()
}

pub(super) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A first change made of columns by hand.
pub(super) fn with_columns(document: &Document, columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend_from_slice(document.heads()[0].as_bytes());
    body.push(16);
    body.extend_from_slice(actor(9).as_bytes());
    body.push(1);
    unsigned(&mut body, document.log().ops() + 1);
    body.extend_from_slice(&[0, 0, 0]);
    unsigned(&mut body, columns.len() as u64);
    for (spec, column) in columns {
        unsigned(&mut body, *spec);
        unsigned(&mut body, column.len() as u64);
    }
    columns.iter().for_each(|(_, column)| body.extend_from_slice(column));
    chunk(&body)
}

pub(super) fn run(len: u64, value: u8) -> Vec<u8> {
    let mut out = Vec::new();
    // Signed LEB128 of a positive number: one more bit for the sign.
    let mut rest = len;
    while rest >= 0x40 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.extend_from_slice(&[rest as u8, value]);
    out
}

pub(super) fn nulls(len: u64) -> Vec<u8> {
    let mut out = vec![0];
    unsigned(&mut out, len);
    out
}

/// Two values put at the root, under keys of one letter.
pub(super) fn puts_at_root(actions: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
    vec![
        (0x15, vec![0x7e, 1, b'a', 1, b'b']),
        (0x34, vec![2]),
        (0x42, actions),
        (0x56, run(2, 0)),
        (0x70, run(2, 0)),
    ]
}

/// A document that two people left with a conflict, seen by the first.
pub(super) fn conflicted() -> Document {
    let mut one = document(1);
    let mut other = copy(&one, 2);
    edit(&mut one, Edit::new().field("purpose", "mine"));
    let theirs = edit(&mut other, Edit::new().field("purpose", "theirs"));
    receive(&mut one, &[&theirs]);
    one
}
