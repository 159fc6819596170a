//! Requests whose sender has not said yet who he is. A message of a few kilobytes may unpack to the most that one may have, and who is to be
//! challenged is named within it: so only few of them are unpacked at a time. Whoever bears a phone's token is no stranger; he
//! waits for nothing but room ([`crate::room`]).

use beatbook_protocol::codec::{self, CodecError};
use beatbook_protocol::id::BookId;
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
        self.0.try_acquire().map_err(|_| busy("the station is busy: try again later"))
    }
}

/// A call that is to come again soon.
pub(crate) fn busy(text: &str) -> Refusal {
    Refusal {
        retry_after_ms: Some(RETRY_MS),
        ..Refusal::new(&RefusalCode::TryLater, text)
    }
}

/// Whose token this is; none of what is no phone's.
pub(crate) fn book_of(station: &Station, token: Option<&str>, now: UnixMillis) -> Result<Option<BookId>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    let found = station.store.read(|tx| tokens::find(tx, token, now));
    found
        .map(|row| row.and_then(|row| row.book))
        .map_err(|fault: StationError| refusal_of(&fault))
}

/// Unpacks a message of a call that takes short ones from anybody, to so many bytes at most.
pub(crate) fn unpack_short(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, CodecError> {
    codec::decompress("message", packed, bytes_max)
}
