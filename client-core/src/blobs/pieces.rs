//! Pieces of blobs that wait, for others to carry: cut as there is room, from where the station was last known to have each. Knows nothing
//! of parcels, and takes nothing off the list of what waits.

use std::collections::VecDeque;

use beatbook_protocol::limits::{BLOB_PIECE_BYTES_MIN, PARCEL_PIECES_MAX};
use beatbook_protocol::wire::BlobPiece;

use crate::core::Core;
use crate::error::CoreError;
use crate::store::blobs::{self, WaitingRow};

/// What waits, from its first byte that the station is not known to have.
#[derive(Debug)]
pub(crate) struct Pieces<'c> {
    core: &'c Core,
    rows: VecDeque<WaitingRow>,
    bytes_left: u64,
}

impl<'c> Pieces<'c> {
    /// All that waits, in the order in which it would be sent, and at most so many bytes of it.
    pub(crate) fn waiting(core: &'c Core, bytes_max: u64) -> Result<Self, CoreError> {
        Ok(Self {
            core,
            rows: core.read(blobs::waiting)?.into(),
            bytes_left: bytes_max,
        })
    }

    /// The next pieces, for one parcel with so much room. A blob goes on in the next parcel; what cannot be read any more is left to the
    /// next upload, which says so.
    pub(crate) fn next(&mut self, room: usize) -> Result<Vec<BlobPiece>, CoreError> {
        let mut pieces = Vec::new();
        let mut room = room;
        while pieces.len() < PARCEL_PIECES_MAX {
            let Some(row) = self.rows.front_mut() else { break };
            let rest = row.bytes.saturating_sub(row.sent);
            let fits = usize::try_from(rest.min(self.bytes_left).min(room as u64)).unwrap_or(room);
            if fits < BLOB_PIECE_BYTES_MIN && (fits as u64) < rest {
                // A smaller one may fit where this one does not, but their order is what their author wants first.
                break;
            }
            let (blob, length, offset) = (row.hash, row.bytes, row.sent);
            let bytes = read(self.core, row, fits).unwrap_or_default();
            if bytes.is_empty() {
                self.rows.pop_front();
                continue;
            }
            row.sent += bytes.len() as u64;
            if row.sent >= length {
                self.rows.pop_front();
            }
            room = room.saturating_sub(bytes.len());
            self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
            pieces.push(BlobPiece {
                blob,
                length,
                offset,
                bytes,
            });
        }
        Ok(pieces)
    }
}

fn read(core: &Core, row: &WaitingRow, bytes_max: usize) -> Result<Vec<u8>, CoreError> {
    let secret = core.read(|tx| blobs::get(tx, &row.hash))?.and_then(|blob| blob.secret);
    let content = secret.map(|secret| core.blob_folder().open(&secret, row.bytes)).transpose()?;
    match content.flatten() {
        Some(mut content) => Ok(content.piece(row.sent, bytes_max)?),
        None => Ok(Vec::new()),
    }
}
