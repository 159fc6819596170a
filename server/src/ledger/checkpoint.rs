//! Where the ledger stands, and the station's signed word on it. What is signed was noted in the keys directory's log before.

use beatbook_protocol::ledger::{Checkpoint, Position, merkle};

use crate::error::StationError;
use crate::keys::Keys;
use crate::store::{ReadTx, StoreError};

/// The ledger's end.
pub(crate) fn position(tx: &ReadTx<'_>) -> Result<Position, StoreError> {
    position_at(tx, tx.size()?)
}

/// The ledger as it was at a size, in its present life.
pub(crate) fn position_at(tx: &ReadTx<'_>, size: u64) -> Result<Position, StoreError> {
    Ok(Position {
        epoch: tx.epoch()?.epoch,
        size,
        root: merkle::root(tx, size)?,
    })
}

/// Notes the ledger's end in the log of what was signed, and gives it.
pub(crate) fn note(tx: &ReadTx<'_>, keys: &Keys) -> Result<Position, StationError> {
    let position = position(tx)?;
    keys.note(position)?;
    Ok(position)
}

/// The signed checkpoint of the ledger's end; nothing is signed while the history is in doubt.
pub(crate) fn sign(tx: &ReadTx<'_>, keys: &Keys, origin: &str) -> Result<(Position, String), StationError> {
    if tx.alarm()?.is_some() {
        return Err(StationError::OtherHistory);
    }
    let position = note(tx, keys)?;
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        position,
        follows: tx.epoch()?.follows,
    };
    Ok((position, checkpoint.sign(&keys.checkpoint)))
}
