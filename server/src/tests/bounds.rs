//! What a request may ask for beside its pages is bounded.

use beatbook_protocol::id::{BookId, RecordId};
use beatbook_protocol::limits::{APP_CHARS_MAX, GIVEN_MAX, WANTED_MAX};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{ExchangeRequest, GivenEntry, RefusalCode, pack};

use crate::testing::{Phone, World, visit};

fn refused(world: &World, phone: &Phone, request: &ExchangeRequest) -> Option<RefusalCode> {
    let answer = world
        .station
        .exchange(&pack(request).unwrap(), Some(&phone.enrolled.token), None);
    answer.err().map(|refusal| refusal.code())
}

#[test]
fn what_a_request_gives_back_wants_and_calls_itself_is_bounded() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    let entry = phone.write(record, Some(world.unit), visit());
    world.verdicts(&mut phone, vec![entry]);

    let given = |count| {
        let entry = GivenEntry {
            entry: b"junk".to_vec().into(),
            book: BookId::from_bytes([9; 16]),
            received: UnixMillis(1),
        };
        let mut request = phone.request(vec![]);
        request.given = Some(vec![entry; count]);
        request
    };
    assert_eq!(refused(&world, &phone, &given(GIVEN_MAX)), None);
    assert_eq!(refused(&world, &phone, &given(GIVEN_MAX + 1)), Some(RefusalCode::TooLarge));

    for (unknown, comes) in [(WANTED_MAX - 1, true), (WANTED_MAX, false)] {
        let mut request = phone.request(vec![]);
        let mut wanted = vec![RecordId::from_bytes([3; 16]); unknown];
        wanted.push(record);
        request.wanted = Some(wanted);
        let filled = world.ask(&mut phone, &request).fill.is_some_and(|fill| !fill.is_empty());
        assert_eq!(filled, comes, "the record is number {} of those wanted", unknown + 1);
    }

    let mut request = phone.request(vec![]);
    request.app = "長".repeat(APP_CHARS_MAX + 1);
    world.ask(&mut phone, &request);
    let phones = world.station.phones(&world.chief).unwrap();
    let app = phones
        .iter()
        .find(|seen| seen.book == phone.book)
        .unwrap()
        .app
        .clone()
        .unwrap();
    assert_eq!(app, "長".repeat(APP_CHARS_MAX));
}
