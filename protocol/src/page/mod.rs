//! Pages: a sealed run of one book's entries. One signature covers many entries, and any one of them can be proved without showing
//! the others, since the signed root is over salted entries.
//!
//! `seal` makes pages, `verify` is the only way to a [`VerifiedPage`], and only a verified page can be taken in.

mod seal;
mod suite;
mod verify;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
pub use seal::{Draft, header_hash};
pub use suite::{BookKey, BookPublicKey, KeyError, P256_SHA256, Signer, plain_signature};
pub use verify::{PageFault, Tip, VerifiedPage};

use crate::id::{BookId, Hash, IncarnationId};
use crate::ledger::merkle;
use crate::time::Stamp;

/// What a book signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// Signature suite, fixed at enrolment; 1 is P-256 with SHA-256.
    #[n(0)]
    pub suite: u8,
    /// The book.
    #[n(1)]
    pub book: BookId,
    /// The life of the phone's database.
    #[n(2)]
    pub incarnation: IncarnationId,
    /// Number within the incarnation, from 0, without gaps.
    #[n(3)]
    pub sequence: u64,
    /// Hash of the header before, in this incarnation; zeros before the first.
    #[n(4)]
    pub previous: Hash,
    /// Entries.
    #[n(5)]
    pub entries: u32,
    /// Root over the salted entries.
    #[n(6)]
    pub root: Hash,
    /// What the phone knew of time.
    #[n(7)]
    pub stamp: Stamp,
    /// On the first page of an incarnation that follows another: where the other was left.
    #[n(8)]
    pub follows: Option<Break>,
}

/// Where an earlier incarnation was left.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Break {
    /// The earlier incarnation.
    #[n(0)]
    pub incarnation: IncarnationId,
    /// Its first page that was given up and resealed.
    #[n(1)]
    pub sequence: u64,
    /// Why, as a code (`restored`, `quarantined`, ...).
    #[n(2)]
    pub reason: String,
}

/// A page as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedPage {
    /// The header's bytes, as signed.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub header: Vec<u8>,
    /// The book's signature over them.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
    /// What the salts are derived from; the station keeps the salts and drops this.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// The entries' bytes.
    #[n(3)]
    pub entries: Vec<ByteVec>,
}

/// The salt of entry `position` of a page: 16 bytes that hide an entry from whoever holds only its hash.
#[must_use]
pub fn salt(seed: &[u8; 32], position: u32) -> [u8; 16] {
    let hash = Hash::of(&[crate::codec::domain::SALT, seed, &position.to_be_bytes()]);
    let mut salt = [0; 16];
    salt.copy_from_slice(&hash.as_bytes()[..16]);
    salt
}

/// The hash of an entry in its page's tree.
#[must_use]
pub fn salted_hash(salt: &[u8; 16], entry: &[u8]) -> Hash {
    Hash::of(&[&[0], salt, entry])
}

fn entries_root<'a>(seed: &[u8; 32], entries: impl Iterator<Item = &'a [u8]>) -> Hash {
    let hashes: Vec<Hash> = (0_u32..)
        .zip(entries)
        .map(|(position, entry)| salted_hash(&salt(seed, position), entry))
        .collect();
    merkle::root_of(&hashes)
}
