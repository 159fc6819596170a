//! A leaf: one page's header and signature, the verdict on each of its entries, and when it came. Refusals leave a trace here too.

use minicbor::{Decode, Encode};

use super::merkle;
use crate::codec;
use crate::id::Hash;
use crate::time::UnixMillis;
use crate::wire::VerdictRun;

/// One leaf of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Leaf {
    /// Version of the leaf's form: 1.
    #[n(0)]
    pub version: u32,
    /// The page's header, as signed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub header: Vec<u8>,
    /// The book's signature over it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
    /// What became of its entries, first to last without gaps.
    #[n(3)]
    pub verdicts: Vec<VerdictRun>,
    /// When the station took it in, by the station's clock.
    #[n(4)]
    pub received: UnixMillis,
}

impl Leaf {
    /// The leaf's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::to_bytes(self)
    }

    /// The hash of leaf bytes in the tree.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> Hash {
        merkle::leaf_hash(bytes)
    }
}
