//! The last rounds of a sync: comparing what both ends hold, asking for what differs, giving back what a restored station lost. Counts
//! them, so that two ends that cannot agree stop asking each other.

use beatbook_protocol::digest::SetDigest;

use super::SyncEvent;
use super::apply::Applied;
use super::ask::Said;

/// How often in a row a sync compares all records with the station's while nothing here moves.
const ROUNDS_MAX: u32 = 3;
/// How often at all: each reply names as many buckets as it has room for, at least one.
const ROUNDS_ALL_MAX: u32 = 1_024;

/// What the next request is for, beside what waits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Next {
    /// Whether to find the records that differ, how often that was done in a row for nothing, and how often at all.
    compares: bool,
    rounds: u32,
    rounds_all: u32,
    /// What was held here at the last comparison.
    compared: Option<SetDigest>,
    /// Whether to count the digests anew from the entries before.
    recounts: bool,
    /// Whether the phone had caught up by the last reply.
    pub(super) has_caught_up: bool,
    /// Whether to show the station the checkpoint that it does not know.
    pub(super) shows_witness: bool,
}

impl Next {
    /// At the beginning of a sync; whether a comparison of all records is due.
    pub(super) fn begin(is_due: bool) -> Self {
        Self {
            compares: is_due,
            recounts: is_due,
            ..Self::default()
        }
    }

    /// All records are to be compared, from their entries.
    pub(super) fn compare_all(&mut self) {
        (self.compares, self.recounts) = (true, true);
    }

    /// Whether the next request compares, and whether the digests are to be counted anew before. What comes by the feed would differ, too:
    /// all is compared at first, or when nothing more is to come.
    pub(super) fn comparison(&mut self, is_first: bool) -> (bool, bool) {
        let compares = self.compares && (is_first || self.has_caught_up);
        (compares, compares && std::mem::take(&mut self.recounts))
    }

    /// Whether something is to be done about what differs, now that all else is done.
    pub(super) fn go_on(&mut self, applied: &mut Applied, said: &Said) -> bool {
        if said.compares {
            self.compares = false;
            self.rounds_all += 1;
            let has_moved = self.compared != said.digest;
            self.compared = said.digest;
            self.rounds = if has_moved { 1 } else { self.rounds + 1 };
            // Where a round did not help, the sums may be wrong.
            self.recounts = !has_moved || self.rounds_all == 1;
        }
        let differs = applied.differs;
        if differs.wants || differs.gives {
            return true;
        }
        if differs.digests && (self.rounds >= ROUNDS_MAX || self.rounds_all >= ROUNDS_ALL_MAX) {
            applied.events.push(SyncEvent::DigestsDiffer);
            self.compares = false;
            return false;
        }
        self.compares |= differs.digests;
        self.compares
    }
}
