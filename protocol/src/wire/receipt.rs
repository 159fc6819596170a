//! Receipts: one signature over all that a reply held, so that a phone can show later what the station took in.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use super::{FeedLeaf, PageAnswer};
use crate::codec::{self, domain};
use crate::id::Hash;
use crate::ledger::merkle;

/// The station's word on a reply.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// Root over the reply's items, see [`receipt_root`].
    #[n(0)]
    pub root: Hash,
    /// Ed25519 signature over it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl Receipt {
    /// Signs a root.
    #[must_use]
    pub fn sign(root: Hash, key: &SigningKey) -> Self {
        Self {
            root,
            signature: key.sign(&message(root)).to_bytes().to_vec(),
        }
    }

    /// Whether the receipt is the station's word on exactly these items.
    #[must_use]
    pub fn holds(&self, answers: &[PageAnswer], feed: &[FeedLeaf], fill: &[FeedLeaf], key: &VerifyingKey) -> bool {
        self.root == receipt_root(answers, feed, fill)
            && Signature::from_slice(&self.signature)
                .is_ok_and(|signature| key.verify_strict(&message(self.root), &signature).is_ok())
    }
}

/// The Merkle root over the items of a reply: its page answers, then its feed leaves, then those that fill, each in its deterministic
/// bytes.
#[must_use]
pub fn receipt_root(answers: &[PageAnswer], feed: &[FeedLeaf], fill: &[FeedLeaf]) -> Hash {
    let answers = answers.iter().map(codec::to_bytes);
    let feed = feed.iter().chain(fill).map(codec::to_bytes);
    let hashes: Vec<Hash> = answers.chain(feed).map(|item| merkle::leaf_hash(&item)).collect();
    merkle::root_of(&hashes)
}

fn message(root: Hash) -> Vec<u8> {
    [domain::RECEIPT, root.as_bytes()].concat()
}
