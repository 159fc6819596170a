//! What applying a reply did, as it adds up: counts, events, and the records touched. Writes nothing.

use std::collections::BTreeSet;

use beatbook_protocol::id::RecordId;
use beatbook_protocol::wire::Verdict;

use super::SyncEvent;
use super::agree::Differs;
use crate::store::pages::Settled;

/// What applying a reply did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) pages: u64,
    pub(super) entries: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) feed_entries: u64,
    /// Pages set aside and sealed anew.
    pub(super) resealed: u32,
    /// Whether anything came of it at all.
    pub(super) moved: bool,
    /// Whether the phone has something to send now.
    pub(super) to_send: bool,
    /// Whether nothing is left on either side.
    pub(super) complete: bool,
    /// What differs, when all else is done.
    pub(super) differs: Differs,
    pub(super) events: Vec<SyncEvent>,
    /// Records touched.
    pub(super) changed: BTreeSet<RecordId>,
    /// Of those: in conflict before the feed.
    pub(super) conflicted_before: BTreeSet<RecordId>,
}

impl Applied {
    /// Tells first which records it touched.
    pub(super) fn tell_changed(&mut self) {
        if !self.changed.is_empty() {
            let changed = std::mem::take(&mut self.changed).into_iter().collect();
            self.events.insert(0, SyncEvent::RecordsChanged(changed));
        }
    }

    /// Counts an entry that the station has judged.
    pub(super) fn count(&mut self, settled: Settled) {
        self.entries += 1;
        self.changed.extend(settled.record);
        match settled.verdict {
            Verdict::Accepted | Verdict::Duplicate | Verdict::Offered => self.accepted += 1,
            Verdict::Refused { code, text, .. } => {
                self.refused += 1;
                self.events.push(SyncEvent::CameBack {
                    record: settled.record,
                    entry: settled.entry,
                    code,
                    text,
                });
            }
            Verdict::Needs { .. } | Verdict::Other(_) => {}
        }
    }
}
