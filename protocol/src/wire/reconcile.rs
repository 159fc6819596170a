//! Finding the few records that differ between a phone and its station, however many they share: 256 buckets first, then the records of
//! those that differ.

use minicbor::{Decode, Encode};

use crate::digest::RecordDigest;
use crate::id::RecordId;

/// The records of one bucket, as the station has them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct BucketRecords {
    /// The bucket ([`crate::digest::bucket_of`]).
    #[n(0)]
    pub bucket: u8,
    /// Its records that the phone must hold, by id.
    #[n(1)]
    pub records: Vec<RecordState>,
}

/// What a record is like at the station.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RecordState {
    /// The record.
    #[n(0)]
    pub record: RecordId,
    /// Its digest, as far as the phone may read it.
    #[n(1)]
    pub digest: RecordDigest,
}
