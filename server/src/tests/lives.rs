//! Pages with a fault, and the new incarnations in which a book goes on after one.

use beatbook_protocol::id::{Hash, IncarnationId};
use beatbook_protocol::wire::Verdict;

use crate::testing::{Phone, World, visit};

/// The phone goes on in a new incarnation.
fn begin_anew(phone: &mut Phone) {
    phone.incarnation = IncarnationId::from_bytes([9; 16]);
    (phone.next, phone.previous) = (0, Hash::from_bytes([0; 32]));
}

#[test]
fn a_faulty_page_is_set_aside_and_the_book_goes_on_in_a_new_incarnation() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let entry = phone.write(world.record_id(), Some(world.unit), visit());
    let mut broken = phone.seal(vec![entry.clone()]);
    broken.seed[0] ^= 1;
    let next = phone.seal(vec![entry.clone()]);
    let reply = world.send(&mut phone, vec![broken, next]);
    assert_eq!(reply.answers[0].fault.as_deref(), Some("page_root"));
    assert_eq!(
        (reply.answers[1].fault.as_deref(), reply.answers[1].expected),
        (Some("page_chain"), Some(0))
    );
    begin_anew(&mut phone);
    assert_eq!(world.verdicts(&mut phone, vec![entry]), [Verdict::Accepted]);
    assert_eq!(world.station.status().unwrap().quarantined, 2);
}

#[test]
fn a_faulty_page_brings_no_feed_so_that_what_a_twin_wrote_comes_with_the_next_life() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    world.send(&mut phone, vec![]);
    let before = (phone.next, phone.previous, phone.cursor.clone());
    let entry = phone.write(world.record_id(), Some(world.unit), visit());
    assert_eq!(world.verdicts(&mut phone, vec![entry.clone()]), [Verdict::Accepted]);
    // Its twin stands where it stood, and its first page comes mangled.
    (phone.next, phone.previous, phone.cursor) = before.clone();
    let other = phone.write(world.record_id(), Some(world.unit), visit());
    let mut broken = phone.seal(vec![other.clone()]);
    broken.seed[0] ^= 1;
    let request = phone.request(vec![broken]);
    let reply = world.ask(&mut phone, &request);
    assert_eq!(reply.answers[0].fault.as_deref(), Some("page_root"));
    assert_eq!((reply.feed.len(), reply.more, Some(reply.cursor)), (0, Some(true), before.2));
    begin_anew(&mut phone);
    let page = phone.seal(vec![other]);
    let reply = world.send(&mut phone, vec![page]);
    let fed: Vec<&[u8]> = reply
        .feed
        .iter()
        .flat_map(|leaf| leaf.entries.iter().map(|entry| entry.entry.as_slice()))
        .collect();
    assert!(fed.contains(&entry.as_slice()));
}
