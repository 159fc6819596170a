//! Digests of what is held: equal on both ends exactly when the same records are held in the same accepted state. A sum over records, so
//! that either end keeps it up to date at the cost of the record that changed, whatever the number of the others.
//!
//! They find accidents, not attacks: whoever lies about his digest deceives himself only.

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::codec::domain;
use crate::id::{Hash, RecordId};

/// Buckets of a reconciliation.
pub const BUCKETS: usize = 256;
/// Bytes that each bucket's digest takes in a request.
const BUCKET_BYTES: usize = 8;

/// Stands between heads and acts, so that none passes for the other.
const NO_HASH: Hash = Hash::from_bytes([0; 32]);

/// The accepted state of one record, as far as its holder may read it: the sum of its parts, so that a part can be taken away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct RecordDigest(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

impl RecordDigest {
    /// The part that everybody in scope holds: the heads of the accepted changes of `facts`, ascending, and all accepted acts in the order of
    /// their places, since a state is what they led to one after another.
    #[must_use]
    pub fn facts(record: RecordId, heads: &[Hash], acts: &[Hash]) -> Self {
        Self::part(record, 0, heads, Some(acts))
    }

    /// The part of those who may read `private`: the heads of its accepted changes, ascending. Nothing when nobody has written in it.
    #[must_use]
    pub fn private(record: RecordId, heads: &[Hash]) -> Self {
        if heads.is_empty() {
            return Self::default();
        }
        Self::part(record, 1, heads, None)
    }

    /// Both parts together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(
            u128::from_le_bytes(self.0)
                .wrapping_add(u128::from_le_bytes(other.0))
                .to_le_bytes(),
        )
    }

    /// Without a part.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(
            u128::from_le_bytes(self.0)
                .wrapping_sub(u128::from_le_bytes(other.0))
                .to_le_bytes(),
        )
    }

    /// As it is stored.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// From storage.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn part(record: RecordId, part: u8, heads: &[Hash], acts: Option<&[Hash]>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(domain::STATE);
        hasher.update(record.as_bytes());
        hasher.update([part]);
        for head in heads {
            hasher.update(head.as_bytes());
        }
        if let Some(acts) = acts {
            hasher.update(NO_HASH.as_bytes());
            acts.iter().for_each(|act| hasher.update(act.as_bytes()));
        }
        let full: [u8; 32] = hasher.finalize().into();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Self(short)
    }
}

/// The digest of a set of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub struct SetDigest {
    /// How many records there are.
    #[n(0)]
    pub records: u64,
    /// The sum of their digests.
    #[n(1)]
    pub sum: RecordDigest,
}

impl SetDigest {
    /// With another record of this digest.
    #[must_use]
    pub const fn with(self, record: RecordDigest) -> Self {
        Self {
            records: self.records.wrapping_add(1),
            sum: self.sum.with(record),
        }
    }

    /// Without a record of this digest.
    #[must_use]
    pub const fn without(self, record: RecordDigest) -> Self {
        Self {
            records: self.records.wrapping_sub(1),
            sum: self.sum.without(record),
        }
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            records: self.records.wrapping_add(other.records),
            sum: self.sum.with(other.sum),
        }
    }
}

/// The bucket of a record: the last byte of its id, which is random.
#[must_use]
pub const fn bucket_of(record: RecordId) -> u8 {
    record.as_bytes()[15]
}

/// The digests of all buckets of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets(Vec<SetDigest>);

impl Default for Buckets {
    fn default() -> Self {
        Self(vec![SetDigest::default(); BUCKETS])
    }
}

impl Buckets {
    /// Adds a record.
    pub fn add(&mut self, record: RecordId, digest: RecordDigest) {
        if let Some(bucket) = self.0.get_mut(usize::from(bucket_of(record))) {
            *bucket = bucket.with(digest);
        }
    }

    /// As they travel: of each bucket's sum, with the count added, the first 8 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let short = |bucket: &SetDigest| {
            let sum = u128::from_le_bytes(bucket.sum.to_bytes()).wrapping_add(u128::from(bucket.records));
            let mut short = [0; BUCKET_BYTES];
            short.copy_from_slice(&sum.to_le_bytes()[..BUCKET_BYTES]);
            short
        };
        self.0.iter().flat_map(short).collect()
    }

    /// The buckets in which what another end sent differs; all of them when it is no such message.
    #[must_use]
    pub fn differing(&self, others: &[u8]) -> Vec<u8> {
        let own = self.to_bytes();
        let pairs = own.chunks(BUCKET_BYTES).zip(others.chunks(BUCKET_BYTES));
        if others.len() != own.len() {
            return (0..=u8::MAX).collect();
        }
        (0..=u8::MAX)
            .zip(pairs)
            .filter(|(_, (own, other))| own != other)
            .map(|(bucket, _)| bucket)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(last: u8) -> RecordId {
        let mut bytes = [7; 16];
        bytes[15] = last;
        RecordId::from_bytes(bytes)
    }

    fn head(byte: u8) -> Hash {
        Hash::from_bytes([byte; 32])
    }

    #[test]
    fn a_digest_tells_records_heads_and_acts_apart_and_forgets_what_is_taken_away() {
        let plain = RecordDigest::facts(record(1), &[head(1)], &[]);
        for other in [
            RecordDigest::facts(record(2), &[head(1)], &[]),
            RecordDigest::facts(record(1), &[head(2)], &[]),
            RecordDigest::facts(record(1), &[head(1), head(2)], &[]),
            RecordDigest::facts(record(1), &[head(1)], &[head(2)]),
            RecordDigest::private(record(1), &[head(1)]),
        ] {
            assert_ne!(plain, other);
        }
        let acts =
            |acts: &[u8]| RecordDigest::facts(record(1), &[head(1)], &acts.iter().map(|act| head(*act)).collect::<Vec<_>>());
        assert_ne!(acts(&[2, 3]), acts(&[3, 2]), "what they led to depends on their order");
        assert_ne!(acts(&[2, 3]), acts(&[4, 3]), "an older one counts as well");
        let private = RecordDigest::private(record(1), &[head(3)]);
        assert_eq!(plain.with(private).without(private), plain);
        assert_eq!(plain.with(RecordDigest::private(record(1), &[])), plain);
        let set = SetDigest::default().with(plain).with(private);
        assert_eq!(set.without(plain), SetDigest::default().with(private));
        assert_eq!(SetDigest::default().with(plain).and(SetDigest::default().with(private)), set);
    }

    #[test]
    fn buckets_show_where_two_sets_differ_and_nowhere_else() {
        let (mut here, mut there) = (Buckets::default(), Buckets::default());
        for last in 0..=255 {
            let digest = RecordDigest::facts(record(last), &[head(last)], &[]);
            here.add(record(last), digest);
            there.add(record(last), digest);
        }
        assert_eq!(here.differing(&there.to_bytes()), Vec::<u8>::new());
        there.add(record(9), RecordDigest::facts(record(9), &[head(1)], &[]));
        there.add(record(200), RecordDigest::default());
        assert_eq!(
            here.differing(&there.to_bytes()),
            [9, 200],
            "an empty digest still counts as a record"
        );
        assert_eq!(
            here.differing(&[0; 8]).len(),
            BUCKETS,
            "what is no message differs everywhere"
        );
    }
}
