//! Which blobs may travel now, and why the others wait. Small pictures always may; originals when the network costs nothing, when they
//! are small, or when somebody asked.

use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::limits::BLOB_PIECE_BYTES;
use beatbook_protocol::time::UnixMillis;

use crate::core::Core;
use crate::error::CoreError;
use crate::store::blobs::{self, WaitingRow};

/// What one blob sync may use. It is apart from the exchange's: records come first and wait for no photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobBudget {
    /// Whether bytes cost the user money.
    pub metered: bool,
    /// Bytes of an original that goes over a metered network unasked.
    pub metered_bytes_max: u64,
    /// Bytes up and down together, beyond which no further call begins.
    pub bytes_max: u64,
    /// Calls at most.
    pub calls_max: u32,
    /// Failures in a row, after which it ends.
    pub failures_max: u32,
    /// Bytes of one call's body; cut in halves on a line that breaks.
    pub piece_bytes: usize,
    /// No call and no wait begins that would be after this time.
    pub deadline: Option<UnixMillis>,
}

impl Default for BlobBudget {
    fn default() -> Self {
        Self {
            metered: false,
            metered_bytes_max: 256 * 1024,
            bytes_max: u64::MAX,
            calls_max: 10_000,
            failures_max: 4,
            piece_bytes: BLOB_PIECE_BYTES,
            deadline: None,
        }
    }
}

/// A blob that waits for the station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingBlob {
    /// Its name.
    pub hash: Hash,
    /// The record that it was attached to.
    pub record: RecordId,
    /// Its length.
    pub bytes: u64,
    /// How much of it the station has.
    pub sent: u64,
    /// Whether it is a small picture.
    pub thumbnail: bool,
    /// Since when it waits.
    pub since: UnixMillis,
    /// Why.
    pub why: WhyWaiting,
}

/// Why a blob waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyWaiting {
    /// For its turn: the next blob sync takes it.
    Turn,
    /// For a network that costs nothing; `send_blob` sends it all the same.
    Metered,
    /// Something went wrong the last time; the next blob sync tries again.
    Fault(String),
}

impl BlobBudget {
    /// Whether a waiting blob may go now.
    pub(super) fn allows(&self, blob: &WaitingRow) -> bool {
        !self.metered || blob.thumbnail || blob.asked || blob.bytes <= self.metered_bytes_max
    }
}

impl Core {
    /// The blobs that wait for the station, in the order in which they would go within this budget, and why.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting_blobs(&self, budget: &BlobBudget) -> Result<Vec<WaitingBlob>, CoreError> {
        let rows = self.read(blobs::waiting)?;
        let view = |row: WaitingRow| WaitingBlob {
            why: match (&row.fault, budget.allows(&row)) {
                (_, false) => WhyWaiting::Metered,
                (Some(fault), true) => WhyWaiting::Fault(fault.clone()),
                (None, true) => WhyWaiting::Turn,
            },
            hash: row.hash,
            record: row.record,
            bytes: row.bytes,
            sent: row.sent,
            thumbnail: row.thumbnail,
            since: row.since,
        };
        Ok(rows.into_iter().map(view).collect())
    }
}
