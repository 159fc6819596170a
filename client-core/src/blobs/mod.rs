//! Photos and recordings on the phone: hashed and encrypted as they are captured, brought to the station when the line and the policy
//! allow, fetched when somebody wants to see them. Records never wait for blobs: they travel in calls of their own, after the exchange.
//!
//! ```text
//!  path or bytes ─ attach ─► folder (chunks sealed by `cipher`, a key per blob in the database) ─► record names it, outbox holds it
//!        └ photo ─ thumbnail ─► a blob of its own, first in line           (one transaction)
//!  outbox ─ policy ─► machine ─► tus calls ~~~ station ~~~ offset ─► acknowledged by its hash: only now it may leave the phone
//!  wanted ──────────► machine ─► range calls ~~ station ~~ bytes ─► sealed, verified by its hash, shown
//! ```

mod attach;
mod calls;
mod cipher;
mod fetch;
mod folder;
mod keep;
mod machine;
mod pieces;
mod policy;
mod report;
mod send;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod thumbnail;

pub use attach::{Attached, Attachment, BlobSource};
pub use folder::Content;
pub(crate) use folder::Folder;
pub use keep::{FileView, RecordFiles};
pub use machine::{BlobMachine, BlobStep};
pub(crate) use pieces::Pieces;
pub use policy::{BlobBudget, WaitingBlob, WhyWaiting};
pub use report::{BlobReport, BlobSyncFault};

use cipher::ChunkDamaged;

use crate::error::{CoreError, Fault};

/// What can go wrong with a blob's file, within this room.
#[derive(Debug, thiserror::Error)]
enum BlobFault {
    /// The file system.
    #[error(transparent)]
    Files(#[from] std::io::Error),
    /// A file that is not what was written.
    #[error(transparent)]
    Damaged(#[from] ChunkDamaged),
    /// Nothing, or too much.
    #[error("a blob of {0} bytes")]
    Length(u64),
}

impl BlobFault {
    /// A fault that came up through `std::io`, as what it was.
    fn from_reading(fault: std::io::Error) -> Self {
        let damaged = fault.get_ref().and_then(|inner| inner.downcast_ref::<ChunkDamaged>());
        match damaged.map(|damaged| damaged.index) {
            Some(index) => Self::Damaged(ChunkDamaged { index }),
            None => Self::Files(fault),
        }
    }
}

impl From<BlobFault> for CoreError {
    fn from(fault: BlobFault) -> Self {
        match fault {
            BlobFault::Files(fault) if fault.kind() == std::io::ErrorKind::StorageFull => Self::StorageFull,
            BlobFault::Length(_) => Self::InvalidInput {
                field: "content".into(),
                why: format!(
                    "a photo or recording has 1 to {} bytes",
                    beatbook_protocol::limits::BLOB_BYTES_MAX
                ),
            },
            BlobFault::Files(_) | BlobFault::Damaged(_) => Self::Internal(fault.to_string()),
        }
    }
}

impl From<BlobFault> for Fault {
    fn from(fault: BlobFault) -> Self {
        Self::Told(fault.into())
    }
}
