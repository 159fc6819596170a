//! What left a phone's scope is told in as many replies as it takes, and nothing is let go that came back or came later.

use beatbook_protocol::id::{RecordId, UnitId};
use beatbook_protocol::wire::{ExchangeResponse, Verdict};

use super::moves::two_units;
use crate::testing::{Phone, World, visit};

/// Bytes of a reply into which three ids go.
const BUDGET: u32 = 60;

fn opened(world: &World, phone: &mut Phone, unit: UnitId) -> RecordId {
    let record = world.record_id();
    let opening = phone.write(record, Some(unit), visit());
    assert_eq!(world.verdicts(phone, vec![opening]), [Verdict::Accepted]);
    record
}

fn asked(world: &World, phone: &mut Phone) -> ExchangeResponse {
    let mut request = phone.request(vec![]);
    request.feed_bytes_max = Some(BUDGET);
    world.ask(phone, &request)
}

fn sorted(mut records: Vec<RecordId>) -> Vec<RecordId> {
    records.sort_unstable();
    records
}

fn held(phone: &Phone) -> Vec<RecordId> {
    phone.held.records.keys().copied().collect()
}

#[test]
fn what_left_is_told_in_parts_and_all_of_it_before_anything_is_brought() {
    let (world, units, [mut east, mut west]) = two_units();
    let ours: Vec<RecordId> = (0..11).map(|_| opened(&world, &mut east, units[0])).collect();
    let theirs = opened(&world, &mut west, units[1]);
    world.sync(&mut east, None);
    world
        .station
        .move_user(None, east.enrolled.user, Some(units[1]), None)
        .unwrap();
    let mut told = Vec::new();
    for _ in 0..100 {
        let reply = asked(&world, &mut east);
        let left = reply.left.unwrap_or_default();
        assert!(left.len() <= 3, "{}", left.len());
        told.extend(left);
        assert!(reply.fill.is_none() || told.len() == ours.len());
        if reply.more.is_none() {
            break;
        }
    }
    assert_eq!(sorted(told), sorted(ours));
    assert_eq!(held(&east), [theirs]);
    assert_eq!(world.sync(&mut east, None).digest, None);
}

#[test]
fn what_came_back_before_it_was_told_stays_and_what_was_told_comes_again() {
    let (world, units, [mut east, mut west]) = two_units();
    let ours: Vec<RecordId> = (0..11).map(|_| opened(&world, &mut east, units[0])).collect();
    opened(&world, &mut west, units[1]);
    world.sync(&mut east, None);
    let user = east.enrolled.user;
    world.station.move_user(None, user, Some(units[1]), None).unwrap();
    let reply = asked(&world, &mut east);
    assert_eq!((reply.left.unwrap().len(), reply.more), (3, Some(true)));
    world.station.move_user(None, user, Some(units[0]), None).unwrap();
    let later = opened(&world, &mut east, units[0]);
    for _ in 0..100 {
        if asked(&world, &mut east).more.is_none() {
            break;
        }
    }
    let all = ours.into_iter().chain([later]).collect();
    assert_eq!(sorted(held(&east)), sorted(all));
    assert_eq!(world.sync(&mut east, None).digest, None);
}
