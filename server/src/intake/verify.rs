//! First step: is it a page of this book, whole, signed, and the next of its chain? Looks into no entry.

use beatbook_protocol::codec;
use beatbook_protocol::ledger::Leaf;
use beatbook_protocol::page::{PageFault, SealedPage, VerifiedPage, header_hash};
use beatbook_protocol::wire::PageAnswer;

use super::Author;
use crate::error::StationError;
use crate::store::ReadTx;

/// What a page is on arrival.
pub(super) enum Arrived {
    /// Taken in before: the stored answer.
    Known(PageAnswer),
    /// Whole, signed, and the next of its chain.
    Verified(Box<VerifiedPage>),
    /// Not to be taken in as a whole.
    Faulty(PageFault),
}

/// Looks at a page.
pub(super) fn verify(tx: &ReadTx<'_>, author: &Author, page: &SealedPage) -> Result<Arrived, StationError> {
    let hash = header_hash(&page.header);
    if let Some(leaf) = tx.page_leaf(&hash)? {
        let bytes = tx
            .leaf(leaf)?
            .ok_or_else(|| StationError::Damaged(format!("leaf {leaf} is missing")))?;
        let stored: Leaf =
            codec::from_bytes("leaf", &bytes).map_err(|fault| StationError::Damaged(format!("leaf {leaf}: {fault}")))?;
        return Ok(Arrived::Known(PageAnswer {
            page: hash,
            leaf: Some(leaf),
            verdicts: stored.verdicts,
            fault: None,
            expected: None,
        }));
    }
    let verified = match page.clone().verify(&author.key) {
        Ok(verified) => verified,
        Err(fault) => return Ok(Arrived::Faulty(fault)),
    };
    if verified.header().book != author.book {
        return Ok(Arrived::Faulty(PageFault::Signature));
    }
    let tip = tx.tip(author.book, verified.header().incarnation)?;
    Ok(match verified.check_follows(&tip) {
        Ok(()) => Arrived::Verified(Box::new(verified)),
        Err(fault) => Arrived::Faulty(fault),
    })
}
