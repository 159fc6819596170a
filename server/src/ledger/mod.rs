//! The ledger: one gapless, append-only tree of pages with verdicts. Appends, signs checkpoints, proves, verifies itself. Judges nothing.

mod append;
mod checkpoint;
mod proofs;
mod verify;

pub(crate) use append::append;
pub(crate) use checkpoint::{note, position, position_at, sign};
pub(crate) use proofs::{OldPosition, consistency, place_of};
pub(crate) use verify::verify;
