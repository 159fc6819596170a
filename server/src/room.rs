//! The memory that messages of phones take while they are at work: all of them together a bounded number of bytes, and each book one call
//! at a time, so that whoever has a phone's token does not take it all. Knows nothing of what a message says.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use beatbook_protocol::codec::CodecError;
use beatbook_protocol::id::BookId;
use beatbook_protocol::limits::{EXCHANGE_BYTES_MAX, REPLY_BYTES, REPLY_ENTRY_BYTES};
use beatbook_protocol::wire::{self, ExchangeResponse, MessageUnpacker, Refusal};
use minicbor::Decode;

use crate::refused::refusal_of_codec;
use crate::strangers::busy;

/// Bytes of messages, unpacked, and of their replies at once. Read and judged they take about as much again: with 24 MiB of bodies that makes the
/// 64 MiB over idle that a station may take.
const ROOM_BYTES: usize = EXCHANGE_BYTES_MAX + 2 * REPLY_BYTES;

/// Bytes of entries from which on a reply is long.
const LONG_BYTES: usize = 64 * 1024;

/// Where messages are at work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Taken>,
    freed: Condvar,
    /// Held while a parcel is open.
    parcel: Mutex<()>,
    unpacker: Mutex<MessageUnpacker>,
    /// Held while a long reply is packed.
    packing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    books: BTreeSet<BookId>,
}

/// What one call has taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Room,
    bytes: usize,
    book: Option<BookId>,
}

impl Room {
    /// Waits until there is room for the reply of one more call; who asks, if that is known. A call of a book that has one at work is sent away.
    pub(crate) fn enter(&self, book: Option<BookId>) -> Result<Place, Refusal> {
        let mut place = Place {
            room: self.clone(),
            bytes: 0,
            book: None,
        };
        if let Some(book) = book {
            place.is_of(book)?;
        }
        let mut taken = self.taken();
        while taken.bytes + REPLY_BYTES > ROOM_BYTES {
            taken = self.0.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        taken.bytes += REPLY_BYTES;
        drop(taken);
        place.bytes = REPLY_BYTES;
        Ok(place)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Packs the reply; long ones one after the other, since a reply that is packed stands in memory three times.
    pub(crate) fn pack(&self, reply: ExchangeResponse) -> Result<Vec<u8>, CodecError> {
        let leaves = reply.feed.iter().chain(reply.fill.iter().flatten());
        let entries = leaves.flat_map(|leaf| &leaf.entries);
        let is_long = entries.map(|entry| entry.entry.len() + REPLY_ENTRY_BYTES).sum::<usize>() > LONG_BYTES;
        let _alone = is_long.then(|| self.room.0.packing.lock().unwrap_or_else(PoisonError::into_inner));
        wire::pack_whole(reply)
    }

    /// Says whose call it is, once that is known.
    pub(crate) fn is_of(&mut self, book: BookId) -> Result<(), Refusal> {
        if self.book == Some(book) {
            return Ok(());
        }
        if !self.room.taken().books.insert(book) {
            return Err(busy("another call of this phone is at work: try again"));
        }
        self.book = Some(book);
        Ok(())
    }

    /// Waits until no other parcel is open: each may hold as much as a message.
    pub(crate) fn opens_alone(&self) -> MutexGuard<'_, ()> {
        self.room.0.parcel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unpacks a message and reads it, if there is room for what it holds: one message at a time, in memory that all of them share. It does not
    /// wait for room: two that wait for each other would wait for ever.
    pub(crate) fn read<T>(&mut self, what: &'static str, packed: &[u8]) -> Result<T, Refusal>
    where
        T: for<'b> Decode<'b, ()>,
    {
        let room = self.room.clone();
        let mut unpacker = room.0.unpacker.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = unpacker.unpack(packed).map_err(|fault| refusal_of_codec(&fault))?;
        self.take(bytes.len())?;
        wire::read(what, bytes).map_err(|fault| refusal_of_codec(&fault))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let mut taken = self.room.taken();
        if taken.bytes + bytes > ROOM_BYTES {
            return Err(busy("the station is busy: try again later"));
        }
        taken.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.bytes -= self.bytes;
        if let Some(book) = self.book {
            taken.books.remove(&book);
        }
        drop(taken);
        self.room.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn book(number: u8) -> Option<BookId> {
        Some(BookId::from_bytes([number; 16]))
    }

    fn is_busy<T>(outcome: Result<T, Refusal>) -> bool {
        outcome.is_err_and(|refusal| refusal.code == "try_later" && refusal.retry_after_ms.is_some())
    }

    #[test]
    fn a_book_has_one_call_at_work_and_another_book_is_none_the_worse() {
        let room = Room::default();
        let first = room.enter(book(1)).unwrap();
        assert!(is_busy(room.enter(book(1))));
        let mut stranger = room.enter(None).unwrap();
        assert!(
            is_busy(stranger.is_of(BookId::from_bytes([1; 16]))),
            "known by its signature alone"
        );
        stranger.is_of(BookId::from_bytes([2; 16])).unwrap();
        drop((first, stranger));
        room.enter(book(1)).unwrap();
        let taken = room.taken();
        assert!(taken.bytes == 0 && taken.books.is_empty(), "{taken:?}");
    }

    #[test]
    fn messages_share_the_room_and_give_it_back() {
        let room = Room::default();
        let mut first = room.enter(book(1)).unwrap();
        first.take(EXCHANGE_BYTES_MAX).unwrap();
        let mut second = room.enter(book(2)).unwrap();
        let message = wire::pack(&Refusal::new(&beatbook_protocol::wire::RefusalCode::Malformed, "x")).unwrap();
        assert!(is_busy(second.read::<Refusal>("message", &message)));
        drop(first);
        assert_eq!(second.read::<Refusal>("message", &message).unwrap().text, "x");
    }

    #[test]
    fn a_call_waits_until_there_is_room_for_its_reply() {
        let room = Room::default();
        let mut held: Vec<Place> = (0..ROOM_BYTES / REPLY_BYTES).map(|_| room.enter(None).unwrap()).collect();
        let (waiting, entered) = (room.clone(), Arc::new(Mutex::new(false)));
        let seen = Arc::clone(&entered);
        let thread = std::thread::spawn(move || {
            let place = waiting.enter(book(1)).unwrap();
            *seen.lock().unwrap() = true;
            drop(place);
        });
        std::thread::sleep(Duration::from_millis(200));
        assert!(!*entered.lock().unwrap());
        held.pop();
        thread.join().unwrap();
        assert!(*entered.lock().unwrap());
    }
}
