//! The station's ledger: an RFC 6962 tree of pages with verdicts, and its signed checkpoints.

mod checkpoint;
mod leaf;
pub mod merkle;

pub use checkpoint::{Checkpoint, CheckpointError, Followed};
pub use ed25519_dalek::{SigningKey as StationKey, VerifyingKey as StationPublicKey};
pub use leaf::Leaf;
use minicbor::{Decode, Encode};

use crate::id::Hash;

/// A point of the ledger's history: every leaf before `size`, in the life `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(map)]
pub struct Position {
    /// The ledger's life; a station restored from a backup opens a new one.
    #[n(0)]
    pub epoch: u64,
    /// Leaves.
    #[n(1)]
    pub size: u64,
    /// Root over these leaves (RFC 6962, 2.1).
    #[n(2)]
    pub root: Hash,
}
