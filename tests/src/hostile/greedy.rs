//! Work on the way down: requests of a few bytes that ask for as much as there is.

use beatbook_protocol::digest::Buckets;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::limits::WANTED_MAX;
use beatbook_protocol::wire::ExchangeRequest;

use super::hazards::{Hazard, hazard};
use super::{Scene, Shot};
use crate::bench::BenchError;

/// What a phone asks for that holds all there is ([`Scene::catch_up`]): work on the way down, for requests of a few bytes.
#[must_use]
#[rustfmt::skip]
pub fn greedy() -> Vec<Hazard> {
    vec![
        hazard("everything from its beginning",    &["records"],                       10, everything),
        hazard("the same, a byte at a time",       &["records"],                       10, byte_by_byte),
        hazard("as many records as go, whole",     &["records"],                       10, wants),
        hazard("as many that nobody has",          &[],                                10, wants_nothing),
        hazard("a comparison with nothing",        &["buckets"],                       10, compares),
    ]
}

fn everything(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    Ok(vec![scene.phone.ask(None, |_| {})?])
}

fn byte_by_byte(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    Ok(vec![scene.phone.ask(None, |request| request.feed_bytes_max = Some(1))?])
}

fn wants(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let wanted = scene.phone.opened().take(WANTED_MAX).collect();
    asks(scene, |request| request.wanted = Some(wanted))
}

fn wants_nothing(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let nobodys = (0..WANTED_MAX).map(|_| RecordId::from_bytes(scene.phone.sixteen())).collect();
    asks(scene, |request| request.wanted = Some(nobodys))
}

fn compares(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    asks(scene, |request| request.buckets = Some(Buckets::default().to_bytes()))
}

fn asks(scene: &Scene, what: impl FnOnce(&mut ExchangeRequest)) -> Result<Vec<Shot>, BenchError> {
    Ok(vec![scene.phone.ask(scene.phone.cursor.clone(), what)?])
}
