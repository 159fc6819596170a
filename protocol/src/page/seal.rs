//! Sealing: entries to a header, a header to a signature. The header's bytes exist, and are stored, before anybody signs them, so
//! that a crash between the two never makes two different pages of one number.

use minicbor::bytes::ByteVec;

use super::{Break, Header, KeyError, SealedPage, Signer, entries_root};
use crate::codec::{self, domain};
use crate::id::{BookId, Hash, IncarnationId};
use crate::time::Stamp;

/// The hash that the next header names.
#[must_use]
pub fn header_hash(header: &[u8]) -> Hash {
    Hash::of(&[domain::HEADER, header])
}

/// A page before its header is made.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Suite of the book's key.
    pub suite: u8,
    /// The book.
    pub book: BookId,
    /// The life of the database.
    pub incarnation: IncarnationId,
    /// Number within it.
    pub sequence: u64,
    /// Hash of the header before; zeros before the first.
    pub previous: Hash,
    /// What the phone knows of time.
    pub stamp: Stamp,
    /// Where an earlier incarnation was left, on the first page after it.
    pub follows: Option<Break>,
    /// Random bytes, fresh for each page.
    pub seed: [u8; 32],
    /// The entries' bytes.
    pub entries: &'a [Vec<u8>],
}

impl Draft<'_> {
    /// The header's bytes, to be stored and then signed.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        codec::to_bytes(&Header {
            suite: self.suite,
            book: self.book,
            incarnation: self.incarnation,
            sequence: self.sequence,
            previous: self.previous,
            entries: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            root: entries_root(&self.seed, self.entries.iter().map(Vec::as_slice)),
            stamp: self.stamp.clone(),
            follows: self.follows.clone(),
        })
    }
}

impl SealedPage {
    /// Signs a stored header and puts the page together.
    ///
    /// # Errors
    /// Those of the keystore.
    pub fn seal(header: Vec<u8>, seed: [u8; 32], entries: Vec<Vec<u8>>, signer: &dyn Signer) -> Result<Self, KeyError> {
        let signature = signer.sign(&Self::message(&header))?;
        Ok(Self {
            header,
            signature,
            seed,
            entries: entries.into_iter().map(ByteVec::from).collect(),
        })
    }

    pub(super) fn message(header: &[u8]) -> Vec<u8> {
        [domain::PAGE, header].concat()
    }
}
