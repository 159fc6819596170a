//! The guard against hostile operations: each attack by hand, made by automerge itself where it makes it.

use automerge::legacy::{ElementId, Key, ObjectId, OpType};
use automerge::transaction::{Transactable, Transaction};
use automerge::{ObjType, ROOT, ScalarValue};

use super::forge::{at, conflicted, forge, outcome, refusal, rewrite};
use super::*;
use crate::document::sample::{actor, copy, document, edit, file, item, receive, shape};
use crate::document::{Change, Edit};
use crate::facts::{FileRef, Value};
use crate::id::ItemId;

const PEOPLE: [&str; 2] = ["lists", "people_met"];
const NOTE: [&str; 2] = ["notes", "summary"];

/// Lets somebody write what he should not into a document with some of everything, and expects the code.
fn refuses(code: &str, attack: impl FnOnce(&mut Transaction<'_>)) {
    let mut base = document(1);
    let person = Edit::new().item("people_met", item(1), [("name", "b".into())]);
    edit(&mut base, person.field("purpose", "a").note("summary", "abc"));
    assert_eq!(refusal(&base, &forge(&base, 9, attack)), code);
}

fn put(tx: &mut Transaction<'_>, way: &[&str], key: &str, value: impl Into<ScalarValue>) {
    tx.put(at(tx, way), key, value).unwrap();
}

fn make(tx: &mut Transaction<'_>, way: &[&str], key: &str, made: ObjType) {
    tx.put_object(at(tx, way), key, made).unwrap();
}

#[test]
fn nothing_is_deleted_outside_notes() {
    refuses("deletes", |tx| tx.delete(at(tx, &["fields"]), "purpose").unwrap());
    refuses("deletes", |tx| tx.delete(at(tx, &PEOPLE), item(1).to_string()).unwrap());
    refuses("deletes", |tx| tx.delete(ROOT, "fields").unwrap());
}

#[test]
fn no_container_is_overwritten() {
    refuses("overwrites_container", |tx| put(tx, &[], "notes", 1));
    refuses("overwrites_container", |tx| put(tx, &["notes"], "summary", "x"));
    refuses("overwrites_container", |tx| put(tx, &PEOPLE, &item(1).to_string(), 1));
    refuses("overwrites_container", |tx| make(tx, &[], "fields", ObjType::Map));
    refuses("overwrites_container", |tx| {
        make(tx, &PEOPLE, &item(1).to_string(), ObjType::Map)
    });
}

#[test]
fn no_container_is_made_but_items_and_files() {
    refuses("nests", |tx| make(tx, &["fields"], "visits", ObjType::Map));
    refuses("nests", |tx| make(tx, &["fields"], "visits", ObjType::Text));
    refuses("nests", |tx| make(tx, &["files"], &file(1).to_string(), ObjType::List));
    refuses("nests", |tx| make(tx, &["track"], "1", ObjType::Map));
    refuses("nests", |tx| drop(tx.insert_object(at(tx, &NOTE), 0, ObjType::Map).unwrap()));
    refuses("unknown_field", |tx| make(tx, &[], "meta", ObjType::Map));
    refuses("unknown_field", |tx| make(tx, &["lists"], "others", ObjType::Map));
    refuses("wrong_type", |tx| make(tx, &PEOPLE, "anna", ObjType::Map));
    refuses("wrong_type", |tx| {
        make(tx, &PEOPLE, &item(0xab).to_string().to_uppercase(), ObjType::Map)
    });
    refuses("wrong_type", |tx| make(tx, &["files"], "photo.jpg", ObjType::Map));
}

#[test]
fn values_are_of_their_fields_type() {
    let person = item(1).to_string();
    refuses("unknown_field", |tx| put(tx, &["fields"], "id_number", "1"));
    refuses("unknown_field", |tx| put(tx, &["lists", "people_met", &person], "height", 1));
    refuses("unknown_field", |tx| put(tx, &["track"], "a/b", vec![1_u8]));
    refuses("wrong_type", |tx| put(tx, &["fields"], "visits", ScalarValue::counter(1)));
    refuses("wrong_type", |tx| put(tx, &["fields"], "visits", ScalarValue::Uint(1)));
    refuses("wrong_type", |tx| put(tx, &["fields"], "visits", ScalarValue::Timestamp(1)));
    refuses("wrong_type", |tx| put(tx, &["fields"], "visits", vec![1_u8]));
    refuses("wrong_type", |tx| put(tx, &["fields"], "share", f64::NAN));
    refuses("wrong_type", |tx| put(tx, &["track"], "1", "text"));
    refuses("wrong_type", |tx| {
        put(tx, &["lists", "people_met", &person], "removed", "yes")
    });
    refuses("wrong_type", |tx| put(tx, &PEOPLE, &item(2).to_string(), 1));
    refuses("wrong_type", |tx| tx.insert(at(tx, &NOTE), 0, 1).unwrap());
    refuses("wrong_type", |tx| tx.insert(at(tx, &NOTE), 0, "two").unwrap());
    refuses("wrong_type", |tx| tx.put(at(tx, &NOTE), 0, "x").unwrap());
    refuses("not_canonical", |tx| {
        let mark = automerge::marks::Mark::new("bold".into(), true, 0, 2);
        tx.mark(at(tx, &NOTE), mark, automerge::marks::ExpandMark::Both).unwrap();
    });
    refuses("not_canonical", |tx| {
        put(tx, &["fields"], "visits", 1);
        put(tx, &["fields"], "visits", 2);
    });
}

#[test]
fn nothing_is_longer_or_more_than_allowed() {
    refuses("over_limit", |tx| put(tx, &["fields"], "purpose", "x".repeat(4_001)));
    refuses("over_limit", |tx| {
        tx.splice_text(at(tx, &NOTE), 0, 0, &"x".repeat(19_998)).unwrap()
    });
    refuses("over_limit", |tx| put(tx, &["track"], "1", vec![0_u8; 33_000]));
    refuses("over_limit", |tx| {
        for number in 0..200_u8 {
            let mut id = [7; 16];
            id[0] = number;
            make(tx, &PEOPLE, &ItemId::from_bytes(id).to_string(), ObjType::Map);
        }
    });
}

#[test]
fn a_write_over_a_conflict_must_be_marked() {
    let document = conflicted();
    let settled = edit(&mut document.clone(), Edit::new().field("purpose", "ours").settling());
    assert!(settled.settles);
    assert_eq!(refusal(&document, &settled.bytes), "settles_unmarked");
    assert!(matches!(outcome(&document, &settled.bytes, true), Outcome::Admitted { .. }));
}

#[test]
fn a_write_names_exactly_what_its_author_saw() {
    let mut base = document(1);
    edit(&mut base, Edit::new().field("purpose", "a").note("summary", "abc"));
    let honest = edit(&mut copy(&base, 2), Edit::new().field("purpose", "b")).bytes;
    let cut = edit(&mut copy(&base, 2), Edit::new().note("summary", "ac")).bytes;
    let blind = rewrite(&honest, |change| change.operations[0].pred = vec![].into());
    let elsewhere = rewrite(&honest, |change| change.operations[0].key = Key::Map("visits".into()));
    let same_letter = rewrite(&cut, |change| {
        let again = change.operations[0].clone();
        change.operations.push(again);
    });
    let never = rewrite(&cut, |change| {
        let Key::Seq(ElementId::Id(letter)) = &mut change.operations[0].key else {
            panic!()
        };
        letter.0 += 500;
        change.operations[0].pred = vec![letter.clone()].into();
    });
    let nowhere = rewrite(&honest, |change| {
        let ObjectId::Id(object) = &mut change.operations[0].obj else {
            panic!()
        };
        object.0 += 500;
    });
    for bytes in [blind, elsewhere, same_letter, never, nowhere] {
        assert_eq!(refusal(&base, &bytes), "unseen");
    }
    let turned = rewrite(&honest, |change| change.operations[0].action = OpType::Increment(1));
    assert_eq!(refusal(&base, &turned), "wrong_type");
}

#[test]
fn a_phone_keeps_fields_of_a_version_it_does_not_have() {
    let base = document(1);
    let newer = forge(&base, 2, |tx| tx.put(at(tx, &["fields"]), "since_version_2", "x").unwrap());
    assert_eq!(refusal(&base, &newer), "unknown_field");
    let report = check(
        &base,
        &[Incoming {
            bytes: &newer,
            settles: false,
            actors: None,
        }],
        Unknown::Keep,
    );
    assert!(matches!(report.outcomes[..], [Outcome::Admitted { .. }]));
    assert_eq!(
        report.document.view().unwrap().facts.fields["since_version_2"],
        Value::from("x")
    );
}

#[test]
fn two_honest_halves_of_a_note_may_be_more_than_one_may_write() {
    let base = document(1);
    let halves: Vec<Change> = (2..=3)
        .map(|number| edit(&mut copy(&base, number), Edit::new().note("summary", "x".repeat(15_000))))
        .collect();
    let mut together = base.clone();
    receive(&mut together, &[&halves[0], &halves[1]]);
    assert_eq!(together.view().unwrap().facts.notes["summary"].len(), 30_000);
    let more = forge(&together, 4, |tx| {
        tx.splice_text(at(tx, &["notes", "summary"]), 0, 0, "x").unwrap()
    });
    assert_eq!(refusal(&together, &more), "over_limit");
    let less = forge(&together, 4, |tx| {
        tx.splice_text(at(tx, &["notes", "summary"]), 0, 10_001, "x").unwrap()
    });
    assert!(matches!(outcome(&together, &less, false), Outcome::Admitted { .. }));
}

#[test]
fn every_sort_of_honest_change_is_admitted() {
    let mut one = document(1);
    let photo = FileRef {
        field: "photos".into(),
        media_type: "image/jpeg".into(),
        bytes: 9,
        thumbnail: Some(file(2)),
        removed: true,
    };
    let mut changes = [
        edit(
            &mut one,
            Edit::new()
                .note("summary", "一二三")
                .segment("0001", vec![0; 20_000])
                .file(file(1), photo),
        ),
        edit(
            &mut one,
            Edit::new()
                .item("people_met", item(1), [("name", "a".into()), ("age", Value::Null)])
                .field("share", 0),
        ),
        edit(
            &mut one,
            Edit::new()
                .note("summary", "二x三y")
                .remove("people_met", item(1))
                .clear("share"),
        ),
        edit(
            &mut one,
            Edit::new()
                .note("summary", "")
                .field("where", "geo:39.9,116.4")
                .field("day", "2026-11-23"),
        ),
        edit(
            &mut one,
            Edit::new()
                .note("summary", "x".repeat(20_000))
                .segment("0001", [1])
                .field("urgent", true),
        ),
        edit(
            &mut one,
            Edit::new().note("summary", "y".repeat(15_000)).field("urgent", false),
        ),
    ];
    changes.reverse();
    let mut other = Document::begin(&shape(), actor(2));
    receive(&mut other, &changes.iter().collect::<Vec<_>>());
    assert_eq!(other.view(), one.view());
}
