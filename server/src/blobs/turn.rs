//! One writer an upload. A phone whose line broke comes again while the station still waits for the old call's next byte: the newcomer
//! is the one that lives, so the old call is told to give up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use beatbook_protocol::id::{BookId, Hash};
use tokio::sync::Notify;

/// How long a newcomer waits for the old call to write down what it has: some hundred kilobytes on a slow disk.
const WAIT_MAX: Duration = Duration::from_secs(5);

type Name = (BookId, Hash);
type Held = Arc<Mutex<BTreeMap<Name, Arc<Place>>>>;

/// Who writes what.
#[derive(Debug, Default)]
pub(super) struct Turns(Held);

#[derive(Debug, Default)]
struct Place {
    give_up: Notify,
    free: Notify,
}

/// The right to write one upload; given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    name: Name,
    place: Arc<Place>,
    held: Held,
}

impl Turns {
    /// Takes a turn; none when the old call does not end in time.
    pub(super) async fn take(&self, book: BookId, hash: Hash) -> Option<Turn> {
        self.take_within(WAIT_MAX, (book, hash)).await
    }

    /// Takes a turn at once; none when somebody writes.
    pub(super) fn take_now(&self, book: BookId, hash: Hash) -> Option<Turn> {
        let name = (book, hash);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(&name) {
            return None;
        }
        let place = Arc::new(Place::default());
        held.insert(name, Arc::clone(&place));
        Some(Turn {
            name,
            place,
            held: Arc::clone(&self.0),
        })
    }

    async fn take_within(&self, wait_max: Duration, name: Name) -> Option<Turn> {
        let waited = tokio::time::timeout(wait_max, async {
            loop {
                let other = {
                    let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                    match held.get(&name) {
                        None => {
                            let place = Arc::new(Place::default());
                            held.insert(name, Arc::clone(&place));
                            break place;
                        }
                        Some(other) => Arc::clone(other),
                    }
                };
                other.give_up.notify_one();
                // Freed between the look and the wait: the permit is kept, and the wait ends at once.
                other.free.notified().await;
            }
        });
        let place = waited.await.ok()?;
        Some(Turn {
            name,
            place,
            held: Arc::clone(&self.0),
        })
    }
}

impl Turn {
    /// Ends when somebody else wants the turn.
    pub(crate) fn asked_to_give_up(&self) -> impl Future<Output = ()> + Send + 'static {
        let place = Arc::clone(&self.place);
        async move { place.give_up.notified().await }
    }

    pub(super) fn book(&self) -> BookId {
        self.name.0
    }

    pub(super) fn hash(&self) -> Hash {
        self.name.1
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        // One permit for whoever comes to wait a moment late, and a call to all that wait already.
        self.place.free.notify_waiters();
        self.place.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newcomer_gets_the_turn_when_the_old_call_gives_up() {
        let turns = Turns::default();
        let (book, hash) = (BookId::from_bytes([1; 16]), Hash::from_bytes([2; 32]));
        let old = turns.take(book, hash).await.unwrap();
        let old = tokio::spawn(async move {
            old.asked_to_give_up().await;
            drop(old);
        });
        let new = turns.take(book, hash).await.unwrap();
        old.await.unwrap();
        drop(new);
        assert!(turns.take(book, hash).await.is_some());
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_call_that_does_not_give_up_keeps_its_turn() {
        let turns = Turns::default();
        let (book, hash) = (BookId::from_bytes([1; 16]), Hash::from_bytes([2; 32]));
        let _old = turns.take(book, hash).await.unwrap();
        assert!(turns.take_within(Duration::from_millis(1), (book, hash)).await.is_none());
        assert!(turns.take(BookId::from_bytes([3; 16]), hash).await.is_some());
    }
}
