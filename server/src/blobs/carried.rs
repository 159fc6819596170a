//! Pieces of blobs that came in a parcel: each goes on with its author's upload as if he had called. Knows neither parcel nor carrier.

use std::collections::BTreeSet;

use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::wire::{BlobPiece, BlobStanding};

use super::{BlobFault, begin, end, standing, write};
use crate::error::StationError;
use crate::station::Station;

/// Takes the pieces in, and says what the station has then of each of their blobs. A piece that does not fit is left aside: what is said of
/// its blob tells the author where to go on.
pub(crate) fn take_pieces(station: &Station, book: BookId, pieces: &[BlobPiece]) -> Result<Vec<BlobStanding>, StationError> {
    for piece in pieces {
        match take(station, book, piece) {
            Ok(()) => {}
            Err(BlobFault::Station(fault)) => return Err(fault),
            Err(fault) => tracing::warn!(%book, blob = %piece.blob, %fault, "a piece in a parcel was left aside"),
        }
    }
    let blobs: BTreeSet<Hash> = pieces.iter().map(|piece| piece.blob).collect();
    let mut stands = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let found = standing(station, book, &[blob]).map_err(|fault| match fault {
            BlobFault::Station(fault) => fault,
            BlobFault::Refused(_) | BlobFault::Malformed(_) => StationError::Store(fault.to_string()),
        })?;
        stands.push(found.into_iter().next().unwrap_or(BlobStanding {
            blob,
            bytes: 0,
            arrived: false,
        }));
    }
    Ok(stands)
}

fn take(station: &Station, book: BookId, piece: &BlobPiece) -> Result<(), BlobFault> {
    // Whoever writes it now is the author himself, or another carrier of the same.
    let Some(turn) = station.blobs.turns.take_now(book, piece.blob) else {
        return Ok(());
    };
    let piece_end = piece.offset.saturating_add(piece.bytes.len() as u64);
    if piece_end > piece.length {
        return Err(BlobFault::Malformed("a piece ends behind its blob".into()));
    }
    let progress = begin(station, &turn, piece.length)?;
    let there = progress
        .offset
        .checked_sub(piece.offset)
        .and_then(|bytes| usize::try_from(bytes).ok());
    let fresh = there.and_then(|bytes| piece.bytes.get(bytes..)).unwrap_or_default();
    if fresh.is_empty() {
        // Here already, or a piece before it has not come.
        return Ok(());
    }
    let mut writing = write(station, turn, progress.offset, None)?;
    writing.append(fresh)?;
    end(station, writing)?;
    Ok(())
}
