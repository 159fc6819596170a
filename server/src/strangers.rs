//! Requests whose sender has not said yet who he is. A message of a few kilobytes may unpack to the most that one may have, and who is to be
//! challenged is named within it: so only few of them are unpacked at a time. Whoever bears a phone's token is no stranger and never waits.

use beatbook_protocol::codec::{self, CodecError};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Refusal, RefusalCode};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::StationError;
use crate::refused::refusal_of;
use crate::registry::tokens;
use crate::station::Station;

/// Requests of strangers that are unpacked at once: each may take some ten megabytes, and an honest one is done within milliseconds.
pub(crate) const PLACES: usize = 2;
/// How long one pauses that finds no place.
const RETRY_MS: u64 = 1_000;

/// Where strangers' requests are unpacked.
#[derive(Debug)]
pub(crate) struct Strangers(Semaphore);

impl Default for Strangers {
    fn default() -> Self {
        Self(Semaphore::new(PLACES))
    }
}

impl Strangers {
    /// A place, until it is dropped.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.0.try_acquire().map_err(|_| Refusal {
            retry_after_ms: Some(RETRY_MS),
            ..Refusal::new(&RefusalCode::TryLater, "the station is busy: try again later")
        })
    }
}

/// The place that a request with this token, or without one, is to be unpacked in; none is needed by one that a phone's token is with.
pub(crate) fn place<'s>(
    station: &'s Station,
    token: Option<&str>,
    now: UnixMillis,
) -> Result<Option<SemaphorePermit<'s>>, Refusal> {
    let is_known = |token: &str| {
        let found = station.store.read(|tx| tokens::find(tx, token, now));
        found.map(|row| row.is_some_and(|row| row.book.is_some()))
    };
    match token.map_or(Ok::<_, StationError>(false), is_known) {
        Ok(true) => Ok(None),
        Ok(false) => station.strangers.place().map(Some),
        Err(fault) => Err(refusal_of(&fault)),
    }
}

/// Unpacks a message of a call that takes short ones from anybody, to so many bytes at most.
pub(crate) fn unpack_short(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, CodecError> {
    codec::decompress("message", packed, bytes_max)
}
