//! How much one exchange carries: less after the line broke, more again with each that held. Knows no line and no time.

use beatbook_protocol::limits::{EXCHANGE_PAGES_MAX, REPLY_BYTES};

/// Below this the form of a reply takes as much as what is in it.
const FEED_BYTES_MIN: usize = 8 * 1024;

/// What the next exchange may carry at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Pages up.
    pub(super) pages: usize,
    /// Bytes of entries down, before compression.
    feed_bytes: usize,
}

impl Load {
    /// All that the protocol lets through.
    pub(super) fn whole() -> Self {
        Self {
            pages: EXCHANGE_PAGES_MAX,
            feed_bytes: REPLY_BYTES,
        }
    }

    /// The line broke in an exchange with so many pages. Which way is not known, so that both carry less; down a quarter, since a reply that was
    /// cut is lost whole, and a sync ends after a few failures.
    pub(super) fn broke(&mut self, pages: usize) {
        self.pages = (pages / 2).max(1);
        self.feed_bytes = (self.feed_bytes / 4).max(FEED_BYTES_MIN);
    }

    /// It held.
    pub(super) fn held(&mut self) {
        self.pages = self.pages.saturating_mul(2).min(EXCHANGE_PAGES_MAX);
        self.feed_bytes = self.feed_bytes.saturating_mul(2).min(REPLY_BYTES);
    }

    /// Bytes to ask for, where the budget asks for so many; none leaves it to the station.
    pub(super) fn feed_bytes(&self, budget: Option<u32>) -> Option<u32> {
        let own = u32::try_from(self.feed_bytes).ok().filter(|_| self.feed_bytes < REPLY_BYTES);
        own.into_iter().chain(budget).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_breaks_is_asked_for_less_down_to_a_floor_and_one_that_holds_for_more() {
        let mut load = Load::whole();
        assert_eq!((load.feed_bytes(None), load.feed_bytes(Some(100))), (None, Some(100)));
        load.broke(9);
        assert_eq!((load.pages, load.feed_bytes(None)), (4, Some(512 * 1024)));
        assert_eq!(load.feed_bytes(Some(u32::MAX)), Some(512 * 1024));
        for _ in 0..9 {
            load.broke(1);
        }
        assert_eq!((load.pages, load.feed_bytes(None)), (1, Some(8 * 1024)));
        for _ in 0..20 {
            load.held();
        }
        assert_eq!(load, Load::whole());
    }
}
