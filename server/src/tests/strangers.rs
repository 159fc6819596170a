//! Whoever has not said who he is waits for a place; whoever has a phone's token does not.

use beatbook_protocol::wire::{Refusal, RefusalCode};

use crate::strangers::PLACES;
use crate::testing::World;

fn is_sent_away(outcome: Result<Vec<u8>, Refusal>) -> bool {
    let Err(refusal) = outcome else { return false };
    refusal.code() == RefusalCode::TryLater && refusal.retry_after_ms == Some(1_000) && refusal.challenge.is_none()
}

#[test]
fn few_strangers_are_heard_at_a_time_and_phones_with_a_token_always() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (packed, challenged) = phone.challenged(&world.station);
    let of_chief = world.station.issue_token(None, world.chief.user).unwrap();
    let places: Vec<_> = (0..PLACES).map(|_| world.station.strangers.place().unwrap()).collect();
    let size = world.station.status().unwrap().ledger.size;
    for token in [None, Some("nonsense"), Some(&*of_chief)] {
        assert!(is_sent_away(world.station.exchange(&packed, token, None)), "{token:?}");
    }
    assert!(is_sent_away(world.station.exchange(&packed, None, Some(&challenged))));
    assert!(is_sent_away(world.station.take_notes(b"no notes", None)));
    assert_eq!(world.station.status().unwrap().ledger.size, size);
    assert_eq!(world.sync(&mut phone, None).more, None, "its token is all it takes");

    drop(places);
    let refusal = world.station.take_notes(b"no notes", None).unwrap_err();
    assert_eq!(refusal.code(), RefusalCode::Malformed);
    world.station.exchange(&packed, None, Some(&challenged)).unwrap();
    for _ in 0..=PLACES {
        let refusal = world.station.exchange(&packed, None, None).unwrap_err();
        assert_eq!(refusal.code(), RefusalCode::SignIn, "each gave its place back");
    }
}
