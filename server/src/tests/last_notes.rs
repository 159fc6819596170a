//! Emergency notes of a phone that was put out of use: its token is no good any more, and what it had to say is heard all the same.

use beatbook_protocol::id::BookId;
use beatbook_protocol::page::BookKey;
use beatbook_protocol::wire::{NotesRequest, NotesSigned, RefusalCode, WIRE_VERSION};
use minicbor::bytes::ByteVec;

use super::unlock::{carry, note};
use crate::testing::World;

#[test]
fn the_notes_of_a_book_that_ended_are_taken_under_its_signature_alone() {
    let world = World::new();
    let (phone, other) = (world.phone("李", "officer"), world.phone("张", "officer"));
    let notes = vec![
        note(
            &world,
            &phone,
            "三号楼起火",
            std::slice::from_ref(&world.station.keys.sealing),
        )
        .into(),
    ];
    let signed = |book, notes: &Vec<ByteVec>, origin: &str, key: &BookKey| NotesRequest {
        version: WIRE_VERSION,
        notes: notes.clone(),
        signed: Some(NotesSigned::sign(book, notes, origin, key).unwrap()),
    };
    let origin = world.station.origin.clone();
    let sound = signed(phone.book, &notes, &origin, &phone.key);
    let is_refused = |token, request: &NotesRequest| matches!(carry(&world, token, request), Err(refusal) if refusal.code() == RefusalCode::SignIn);
    assert!(is_refused(None, &sound), "while it is written in its token is asked for");
    world.station.end_book(Some(&world.chief), phone.book, "lost").unwrap();
    let swapped = NotesRequest {
        notes: vec![note(&world, &phone, "another", std::slice::from_ref(&world.station.keys.sealing)).into()],
        ..sound.clone()
    };
    let unsigned = NotesRequest {
        signed: None,
        ..sound.clone()
    };
    for forged in [
        &signed(phone.book, &notes, &origin, &other.key),
        &signed(other.book, &notes, &origin, &other.key),
        &signed(phone.book, &notes, "beatbook/other", &phone.key),
        &signed(BookId::from_bytes([3; 16]), &notes, &origin, &phone.key),
        &swapped,
        &unsigned,
    ] {
        assert!(is_refused(None, forged));
    }
    assert!(
        is_refused(Some(&phone.enrolled.token), &sound),
        "the token is no good any more"
    );
    assert!(world.station.notes(&world.chief, None).unwrap().notes.is_empty());
    for _ in 0..2 {
        let answers = carry(&world, None, &sound).unwrap().answers;
        assert!(answers[0].code.is_none(), "{answers:?}");
    }
    let page = world.station.notes(&world.chief, None).unwrap();
    assert_eq!((page.notes.len(), page.notes[0].text.as_deref()), (1, Some("三号楼起火")));
    assert_eq!((page.notes[0].user, page.notes[0].is_signed), (phone.enrolled.user, true));
}
