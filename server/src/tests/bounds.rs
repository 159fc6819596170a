//! What a request may ask for beside its pages is bounded.

use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::limits::{APP_CHARS_MAX, GIVEN_MAX, PAGE_BYTES_MAX, REPLY_BYTES, REPLY_ENTRY_BYTES, WANTED_MAX};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{ExchangeRequest, GivenEntry, RefusalCode, Verdict, pack};

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

#[test]
fn a_reply_stops_after_two_mebibytes_of_entries_and_goes_on_with_the_next() {
    let world = World::new();
    let (mut writer, mut reader) = (world.phone("李警官", "officer"), world.phone("赵警官", "officer"));
    let first = reader.request(vec![]);
    world.ask(&mut reader, &first);
    let mut sent = 0;
    // Each of its own record, and hardly to be packed: sixteen bits of hash for each sign.
    for number in 0_u64.. {
        if sent > REPLY_BYTES + PAGE_BYTES_MAX {
            break;
        }
        let text: String = (0_u64..500)
            .flat_map(|part| *Hash::of(&[&number.to_be_bytes(), &part.to_be_bytes()]).as_bytes())
            .collect::<Vec<u8>>()
            .chunks_exact(2)
            .filter_map(|pair| char::from_u32(0x4e00 + u32::from(u16::from_be_bytes([pair[0], pair[1]])) % 20_000))
            .collect();
        let entry = writer.write(world.record_id(), Some(world.unit), visit().note("notes", &text));
        sent += entry.len();
        assert_eq!(world.verdicts(&mut writer, vec![entry]), [Verdict::Accepted]);
    }
    let mut got = Vec::new();
    loop {
        let mut request = reader.request(vec![]);
        request.feed_bytes_max = Some(u32::MAX);
        let reply = world.ask(&mut reader, &request);
        let entries = reply.feed.iter().flat_map(|leaf| &leaf.entries);
        got.push(entries.map(|entry| entry.entry.len() + REPLY_ENTRY_BYTES).sum::<usize>());
        if reply.more != Some(true) {
            break;
        }
    }
    assert!(got.len() == 2 && got[0] >= REPLY_BYTES, "{got:?}");
    assert!(got[0] <= REPLY_BYTES + PAGE_BYTES_MAX && got[1] > 0, "{got:?}");
}
