//! Wire messages, one file per call. Additive: unknown map keys are passed over, unknown codes are kept as they are.
//!
//! Every message is deterministic CBOR with integer keys, compressed as one zstd stream; `protocol/wire.cddl` is its grammar.

mod app;
mod blob;
mod ended;
mod enrol;
mod exchange;
mod invitation;
mod notes;
mod parcel;
mod pins;
mod receipt;
mod reconcile;
mod refusal;
mod unlock;
mod verdict;

pub use app::AppVersion;
pub use blob::{BlobPiece, BlobRefusal, BlobStanding, StandingRequest, StandingResponse};
pub use ended::{Held, NotHeld, WipeOrder, WipeReceipt, WipedRequest, WipedResponse, wiped_message};
pub use enrol::{
    Attestation, EnrolRequest, EnrolResponse, attestation_challenge, check_digits, code_letters, enrol_message, enrolled_message,
    station_fingerprint,
};
pub use exchange::{
    Challenged, Cursor, ExchangeRequest, ExchangeResponse, FeedEntry, FeedLeaf, Fill, GivenEntry, KindFile, Owes, PageAnswer,
    exchange_message,
};
pub use invitation::{Invitation, InvitationFault};
pub use notes::{NoteAnswer, NotesRequest, NotesResponse, NotesSigned, notes_message};
pub use parcel::{DeliverRequest, DeliverResponse, SealingOffer};
pub use pins::{PinsOffer, pins_message};
pub use receipt::{Receipt, receipt_root};
pub use reconcile::{BucketRecords, RecordState};
pub use refusal::{Refusal, RefusalCode};
pub use unlock::{KeyShare, LEASE_MS, UnlockRequest, UnlockResponse, share_name, unlock_message};
pub use verdict::{Verdict, VerdictRun, runs, verdict_of};

use minicbor::{Decode, Encode};

use crate::codec::{self, CodecError};
use crate::limits::{EXCHANGE_BYTES_MAX, EXCHANGE_WIRE_BYTES_MAX};

/// The version of these messages, in every request and path.
pub const WIRE_VERSION: u32 = 1;
/// The media type of a compressed message.
pub const MEDIA_TYPE: &str = "application/vnd.beatbook.v1+cbor-zstd";

/// A message as it travels.
///
/// # Errors
/// When it is larger than a message may be, or cannot be compressed.
pub fn pack<T: Encode<()>>(message: &T) -> Result<Vec<u8>, CodecError> {
    packed(&codec::to_bytes(message))
}

/// The same with a message that is let go as soon as its bytes are there: a large one does not stand in memory three times.
///
/// # Errors
/// As [`pack`].
pub fn pack_whole<T: Encode<()>>(message: T) -> Result<Vec<u8>, CodecError> {
    let bytes = codec::to_bytes(&message);
    drop(message);
    packed(&bytes)
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let packed = codec::compress(bytes)?;
    if packed.len() > EXCHANGE_WIRE_BYTES_MAX {
        return Err(CodecError::TooLong {
            what: "message",
            max: EXCHANGE_WIRE_BYTES_MAX,
        });
    }
    Ok(packed)
}

/// Unpacks what travelled. The bytes come back with the message read from them by [`read`], since hashes are over bytes.
///
/// # Errors
/// When it is too long, packed or unpacked, or not zstd.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, CodecError> {
    check_packed(packed)?;
    codec::decompress("message", packed, EXCHANGE_BYTES_MAX)
}

/// Unpacks messages one after the other in one piece of memory: for a station that many ask at once.
#[derive(Debug, Default)]
pub struct MessageUnpacker(codec::Unpacker);

impl MessageUnpacker {
    /// Unpacks what travelled, as [`unpack`] does, until the next is unpacked.
    ///
    /// # Errors
    /// Those of [`unpack`].
    pub fn unpack(&mut self, packed: &[u8]) -> Result<&[u8], CodecError> {
        check_packed(packed)?;
        self.0.unpack("message", packed, EXCHANGE_BYTES_MAX)
    }
}

fn check_packed(packed: &[u8]) -> Result<(), CodecError> {
    if packed.len() > EXCHANGE_WIRE_BYTES_MAX {
        return Err(CodecError::TooLong {
            what: "message",
            max: EXCHANGE_WIRE_BYTES_MAX,
        });
    }
    Ok(())
}

/// Reads a message from unpacked bytes.
///
/// # Errors
/// When the bytes are not that message in deterministic form.
pub fn read<'b, T: Decode<'b, ()>>(what: &'static str, bytes: &'b [u8]) -> Result<T, CodecError> {
    codec::from_bytes(what, bytes)
}
