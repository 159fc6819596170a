//! The word that the ledger grew: whom it may concern, and nothing of what came. Said by the store after each commit, heard by the
//! streams of hints. Knows neither sockets nor entries; whoever does not keep up hears one word instead of many.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use beatbook_protocol::id::{BookId, UnitId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::store::Grantee;

/// Words kept for a listener that is behind; more become one.
const WORDS_MAX: usize = 64;

/// Whom a commit may concern.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growth {
    /// Whether leaves were appended.
    pub(crate) leaves: bool,
    /// The books whose pages they are; they have them.
    pub(crate) books: BTreeSet<BookId>,
    /// The units of the records that were touched.
    pub(crate) units: BTreeSet<UnitId>,
    /// To whom they are granted, or were until now: records reach people of other units too, and people of roles that hold none by unit.
    pub(crate) grantees: BTreeSet<Grantee>,
    /// Whether units, people or books changed, which concerns all.
    pub(crate) registry: bool,
}

impl Growth {
    fn concerns(&self, book: BookId, reach: &Reach) -> bool {
        let only_its_own = !self.books.is_empty() && self.books.iter().all(|of| *of == book);
        let touches = !self.units.is_disjoint(&reach.units) || !self.grantees.is_disjoint(&reach.grantees);
        !only_its_own && (self.registry || touches)
    }
}

/// By what records reach one that listens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reach {
    /// The units whose records he holds.
    pub(crate) units: BTreeSet<UnitId>,
    /// He and the units by which a grant reaches him.
    pub(crate) grantees: BTreeSet<Grantee>,
}

/// Where commits are told and listeners join.
#[derive(Debug)]
pub(crate) struct News(Mutex<Option<broadcast::Sender<Arc<Growth>>>>);

impl Default for News {
    fn default() -> Self {
        Self(Mutex::new(Some(broadcast::channel(WORDS_MAX).0)))
    }
}

impl News {
    /// Tells who listens. Never waits.
    pub(crate) fn tell(&self, growth: Growth) {
        if let Some(sender) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody listening is no fault.
            let _ = sender.send(Arc::new(growth));
        }
    }

    /// Begins to listen for a book that records reach so; none once the news are closed.
    pub(crate) fn listen(&self, book: BookId, reach: Reach) -> Option<Hearing> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.subscribe();
        Some(Hearing { words, book, reach })
    }

    /// Ends all listening: the station stops.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// One that listens.
#[derive(Debug)]
pub(crate) struct Hearing {
    words: broadcast::Receiver<Arc<Growth>>,
    book: BookId,
    /// What records concern it.
    pub(crate) reach: Reach,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Records in scope.
    Records,
    /// Units, people or books: the scope may be another one now. Or too much at once to tell.
    Registry,
}

impl Hearing {
    /// Waits for the next word that concerns the book; none when the news are closed.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        loop {
            match self.words.recv().await {
                Ok(growth) if growth.concerns(self.book, &self.reach) => {
                    return Some(if growth.registry { Heard::Registry } else { Heard::Records });
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some(Heard::Registry),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(book: u8, unit: u8) -> Growth {
        Growth {
            leaves: true,
            books: [BookId::from_bytes([book; 16])].into(),
            units: [UnitId::from_bytes([unit; 16])].into(),
            ..Growth::default()
        }
    }

    #[tokio::test]
    async fn only_what_others_wrote_in_the_units_of_a_book_is_heard() {
        let news = News::default();
        let reach = Reach {
            units: [UnitId::from_bytes([7; 16])].into(),
            ..Reach::default()
        };
        let mut hearing = news.listen(BookId::from_bytes([1; 16]), reach).unwrap();
        news.tell(growth(1, 7));
        news.tell(growth(2, 8));
        news.tell(growth(2, 7));
        news.tell(Growth {
            registry: true,
            units: BTreeSet::new(),
            ..growth(2, 8)
        });
        assert_eq!(hearing.next().await, Some(Heard::Records), "the third of the four");
        assert_eq!(hearing.next().await, Some(Heard::Registry), "the fourth");
        news.close();
        assert_eq!(hearing.next().await, None);
        assert!(news.listen(BookId::from_bytes([1; 16]), Reach::default()).is_none());
    }

    #[tokio::test]
    async fn a_listener_that_slept_hears_one_word_for_many() {
        let news = News::default();
        let mut hearing = news.listen(BookId::from_bytes([1; 16]), Reach::default()).unwrap();
        for _ in 0..1000 {
            news.tell(growth(2, 8));
        }
        assert_eq!(hearing.next().await, Some(Heard::Registry));
    }
}
