//! `POST /sync/v1/notes`: emergency notes go up under the book's token, once the app was unlocked. A note may come any number of times.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::id::Hash;

/// A phone brings emergency notes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NotesRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// Notes' files, as they were sealed ([`crate::note`]).
    #[n(1)]
    pub notes: Vec<ByteVec>,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NotesResponse {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// An answer to each, in order.
    #[n(1)]
    pub answers: Vec<NoteAnswer>,
}

/// What became of a note.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NoteAnswer {
    /// The note, by its hash ([`crate::note::note_hash`]).
    #[n(0)]
    pub note: Hash,
    /// Why the station did not take it; none when it has it.
    #[n(1)]
    pub code: Option<String>,
    /// The same, for people.
    #[n(2)]
    pub text: Option<String>,
}
