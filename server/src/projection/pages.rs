//! Which pages are known, and where each book's chain ends.

use beatbook_protocol::ledger::Leaf;
use beatbook_protocol::page::{Header, Tip, header_hash};

use crate::error::StationError;
use crate::store::WriteTx;

/// Folds a leaf's page.
pub(crate) fn fold(tx: &WriteTx<'_>, number: u64, leaf: &Leaf, header: &Header) -> Result<(), StationError> {
    let hash = header_hash(&leaf.header);
    let tip = Tip {
        incarnation: header.incarnation,
        next: header.sequence + 1,
        last: hash,
    };
    Ok(tx.put_page(number, header.book, leaf.received, &tip)?)
}
