//! `POST /sync/v1/notes`: emergency notes go up under the book's token, once the app was unlocked, or under its signature, once it has ended.
//! A note may come any number of times. Knows nothing of what is in them.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use sha2::{Digest as _, Sha256};

use crate::codec::domain;
use crate::id::{BookId, Hash};
use crate::note::note_hash;
use crate::page::{BookPublicKey, KeyError, Signer};

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
    /// Whose they are, when his book has ended, so that no token is good any more.
    #[n(2)]
    pub signed: Option<NotesSigned>,
}

/// The word of a book that has ended, in the place of its token, for these notes alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NotesSigned {
    /// The book.
    #[n(0)]
    pub book: BookId,
    /// Its signature over [`notes_message`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl NotesSigned {
    /// Signs notes by the book's key.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(book: BookId, notes: &[ByteVec], origin: &str, key: &dyn Signer) -> Result<Self, KeyError> {
        Ok(Self {
            book,
            signature: key.sign(&notes_message(origin, book, notes))?,
        })
    }

    /// Whether the book's key signed just these notes, in this order, for this station.
    #[must_use]
    pub fn is_of(&self, notes: &[ByteVec], key: &BookPublicKey, origin: &str) -> bool {
        key.verifies(&notes_message(origin, self.book, notes), &self.signature)
    }
}

/// What a book that has ended signs for its notes: the station, the book, and SHA-256 of the notes' hashes in a row.
#[must_use]
pub fn notes_message(origin: &str, book: BookId, notes: &[ByteVec]) -> Vec<u8> {
    let mut all = Sha256::new();
    for note in notes {
        all.update(note_hash(note).as_bytes());
    }
    [domain::NOTES, origin.as_bytes(), &[0], book.as_bytes(), &all.finalize()].concat()
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
