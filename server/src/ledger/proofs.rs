//! Proofs for phones: that what they saw is the beginning of what is now.

use beatbook_protocol::id::Hash;
use beatbook_protocol::ledger::{Position, merkle};

use crate::store::{ReadTx, StoreError};

/// What a position that a phone names is to this ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldPosition {
    /// A beginning of this ledger, of this size.
    Beginning(u64),
    /// Of a life that was lost in part: what is shared ends at this size.
    Lost(u64),
    /// No history of ours.
    Strange,
}

/// Finds a phone's position in this ledger.
pub(crate) fn place_of(tx: &ReadTx<'_>, old: &Position) -> Result<OldPosition, StoreError> {
    let (size, epoch) = (tx.size()?, tx.epoch()?);
    if old.epoch > epoch.epoch {
        return Ok(OldPosition::Strange);
    }
    let shared = tx.shared_with(old.epoch)?.unwrap_or(size);
    if old.size <= shared {
        let same = merkle::root(tx, old.size)? == old.root;
        return Ok(if same {
            OldPosition::Beginning(old.size)
        } else {
            OldPosition::Strange
        });
    }
    // Beyond what a restored backup held: it was signed in the old life, and lost.
    Ok(if old.epoch < epoch.epoch {
        OldPosition::Lost(shared)
    } else {
        OldPosition::Strange
    })
}

/// The proof from one size to another.
pub(crate) fn consistency(tx: &ReadTx<'_>, old: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
    merkle::prove_consistency(tx, old, size)
}
