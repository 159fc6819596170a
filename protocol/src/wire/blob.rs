//! `POST /sync/v1/blobs/standing`: which blobs the station has, many in one call; and the codes by which blob calls refuse. The uploads
//! themselves are tus 1.0 and plain HTTP, see `docs/protocol.md`.

use minicbor::{Decode, Encode};

use super::{Refusal, RefusalCode};
use crate::id::Hash;

/// A phone asks after blobs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StandingRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The blobs, at most [`crate::limits::BLOBS_ASKED_MAX`].
    #[n(1)]
    pub blobs: Vec<Hash>,
}

/// What the station has of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StandingResponse {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// One for each blob that was asked after and of which the station has something, in the order of asking.
    #[n(1)]
    pub blobs: Vec<BlobStanding>,
}

/// How far one blob has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobStanding {
    /// The blob.
    #[n(0)]
    pub blob: Hash,
    /// Bytes that the station has: of this book's upload while it is not whole.
    #[n(1)]
    pub bytes: u64,
    /// Whether it is whole, its hash verified.
    #[n(2)]
    pub arrived: bool,
}

/// A piece of a blob, in a parcel that somebody carries. Pieces are put together as those of an upload are: each goes on where the one
/// before it ended, and the whole is verified by its name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobPiece {
    /// The blob.
    #[n(0)]
    pub blob: Hash,
    /// Bytes of the whole blob.
    #[n(1)]
    pub length: u64,
    /// Where the piece begins.
    #[n(2)]
    pub offset: u64,
    /// Its bytes.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// Why a blob call was refused, beside what refuses any call ([`RefusalCode`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobRefusal {
    /// The content is not what its name says: what had come was thrown away, send it from the beginning.
    WrongHash,
    /// A piece is not what its checksum says: nothing of it was kept, send it again.
    WrongChecksum,
    /// The piece does not begin where the upload stands: ask with HEAD, go on from there.
    WrongOffset,
    /// Another call is writing this upload: try again shortly.
    Locked,
    /// No such upload, or no such blob in this book's scope: create it, or ask after the record.
    NotFound,
    /// This book has more under way, or sent without a record that names it, than it may: bring the records first.
    Quota,
    /// The client speaks another version of tus.
    TusVersion,
    /// The range asked for lies outside the blob.
    Range,
}

impl BlobRefusal {
    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongHash => "blob_hash",
            Self::WrongChecksum => "blob_checksum",
            Self::WrongOffset => "blob_offset",
            Self::Locked => "blob_locked",
            Self::NotFound => "blob_unknown",
            Self::Quota => "blob_quota",
            Self::TusVersion => "tus_version",
            Self::Range => "range",
        }
    }

    /// The HTTP status that carries it; 460 is tus's own for a checksum that does not match.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::WrongHash | Self::WrongChecksum => 460,
            Self::WrongOffset => 409,
            Self::Locked => 423,
            Self::NotFound => 404,
            Self::Quota => 429,
            Self::TusVersion => 412,
            Self::Range => 416,
        }
    }

    /// What people are told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::WrongHash => "the content is not what its SHA-256 says: it was thrown away, send it from the beginning",
            Self::WrongChecksum => "the piece is not what its checksum says: nothing of it was kept, send it again",
            Self::WrongOffset => "the piece does not begin where the upload stands: ask with HEAD and go on from there",
            Self::Locked => "another call is writing this upload: try again shortly",
            Self::NotFound => "there is no such blob for this book",
            Self::Quota => "too much is under way, or was sent without a record that names it: bring the records first",
            Self::TusVersion => "this station speaks tus 1.0.0: say Tus-Resumable: 1.0.0",
            Self::Range => "the range lies outside the blob",
        }
    }

    /// As a refusal.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        Refusal::new(&RefusalCode::Other(self.as_str().to_owned()), self.text())
    }

    /// The refusal that a code names.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::WrongHash,
        Self::WrongChecksum,
        Self::WrongOffset,
        Self::Locked,
        Self::NotFound,
        Self::Quota,
        Self::TusVersion,
        Self::Range,
    ];
}
