//! The bodies of requests that stand in memory: all of them together, over all connections, take a bounded number of bytes, and those of one
//! caller a quarter of it, so that nobody keeps others out by sending slowly. What is streamed to disk is none of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use super::places::caller;

/// The part of the room that one caller may take: one in so many.
const SHARES: usize = 4;

/// The room for bodies.
#[derive(Debug, Clone)]
pub(crate) struct Bodies(Arc<Room>);

#[derive(Debug)]
struct Room {
    bytes_max: usize,
    taken: Mutex<Taken>,
}

/// Bytes that stand in memory.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: BTreeMap<Option<IpAddr>, usize>,
}

/// A body as far as it has come; its room is free again once it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    caller: Option<IpAddr>,
    room: Bodies,
}

impl Bodies {
    /// Room for so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Room {
            bytes_max,
            taken: Mutex::default(),
        }))
    }

    /// A body of which nothing has come yet, and from where it comes.
    pub(crate) fn begin(&self, from: Option<IpAddr>) -> Held {
        Held {
            bytes: Vec::new(),
            caller: from.map(caller),
            room: self.clone(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes what comes next, if there is room for it.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let bytes_max = self.room.0.bytes_max;
        let mut taken = self.room.taken();
        let of_caller = taken.by.get(&self.caller).copied().unwrap_or_default();
        if taken.all + piece.len() > bytes_max || of_caller + piece.len() > bytes_max / SHARES {
            return Err(Fault::Busy);
        }
        taken.all += piece.len();
        taken.by.insert(self.caller, of_caller + piece.len());
        drop(taken);
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all -= self.bytes.len();
        let of_caller = taken.by.remove(&self.caller).unwrap_or_default();
        if of_caller > self.bytes.len() {
            taken.by.insert(self.caller, of_caller - self.bytes.len());
        }
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, number]))
    }

    #[test]
    fn bodies_share_their_room_and_give_it_back() {
        let bodies = Bodies::new(4000);
        let mut held: Vec<Held> = (0..4).map(|number| bodies.begin(from(number))).collect();
        for body in &mut held {
            body.take(&[1; 600]).unwrap();
            body.take(&[1; 400]).unwrap();
        }
        let mut late = bodies.begin(from(9));
        assert!(matches!(late.take(&[1]), Err(Fault::Busy)), "there is none left");
        held.pop();
        late.take(&[1; 1000]).unwrap();
        assert_eq!(late.len(), 1000);
        drop((held, late));
        let taken = bodies.taken();
        assert!(taken.all == 0 && taken.by.is_empty(), "{taken:?}");
    }

    #[test]
    fn one_caller_takes_a_quarter_however_many_bodies_he_sends() {
        let bodies = Bodies::new(4000);
        let (mut one, mut two) = (bodies.begin(from(1)), bodies.begin(from(1)));
        one.take(&[1; 700]).unwrap();
        two.take(&[1; 300]).unwrap();
        assert!(matches!(two.take(&[1]), Err(Fault::Busy)));
        bodies.begin(from(2)).take(&[1; 1000]).unwrap();
        drop(one);
        two.take(&[1; 700]).unwrap();
    }
}
