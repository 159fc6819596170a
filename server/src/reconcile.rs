//! Do a phone and its station hold the same? The digest of all that a scope holds, from sums alone; and, when it differs, the records of
//! the buckets that differ. Sends nothing itself: the phone asks for what it wants.

use std::collections::BTreeMap;

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest, bucket_of};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::wire::{BucketRecords, RecordState};

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::scope::{About, Scope};
use crate::store::{DigestRow, ReadTx};

/// Bytes that a record takes in a reply: its id, its digest, and their frame.
const STATE_BYTES: usize = 36;

/// The digest of what a scope holds.
pub(crate) fn digest(tx: &ReadTx<'_>, kinds: &Kinds, scope: &Scope) -> Result<SetDigest, StationError> {
    let mut sum = SetDigest::default();
    for unit in &scope.units {
        for row in tx.digest_sums(*unit)? {
            sum = sum.and(SetDigest {
                records: row.records,
                sum: seen(&row, reads_in(kinds, scope, &row)?),
            });
        }
    }
    for (record, row) in granted(tx, scope)? {
        let reads = reads(tx, kinds, scope, record, &row)?;
        if !scope.units.contains(&row.group.unit) {
            sum = sum.with(seen(&row, reads));
        } else if reads && !reads_in(kinds, scope, &row)? {
            // Counted with its unit, without what the grant shows of it besides.
            sum.sum = sum.sum.with(row.parts.private);
        }
    }
    Ok(sum)
}

/// The records of the buckets that differ from a phone's, as many buckets as go into a budget, and one at least.
pub(crate) fn buckets(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    scope: &Scope,
    others: &[u8],
    budget: usize,
) -> Result<Vec<BucketRecords>, StationError> {
    let mut records = BTreeMap::new();
    for unit in &scope.units {
        for (record, row) in tx.digests_of_unit(*unit)? {
            records.insert(record, seen(&row, reads_in(kinds, scope, &row)?));
        }
    }
    for (record, row) in granted(tx, scope)? {
        records.insert(record, seen(&row, reads(tx, kinds, scope, record, &row)?));
    }
    let mut own = Buckets::default();
    for (record, digest) in &records {
        own.add(*record, *digest);
    }
    let mut differing: BTreeMap<u8, Vec<RecordState>> =
        own.differing(others).into_iter().map(|bucket| (bucket, Vec::new())).collect();
    for (record, digest) in records {
        if let Some(states) = differing.get_mut(&bucket_of(record)) {
            states.push(RecordState { record, digest });
        }
    }
    let mut bytes = 0;
    let mut found = Vec::new();
    for (bucket, records) in differing {
        bytes += STATE_BYTES * (records.len() + 1);
        if bytes > budget && !found.is_empty() {
            break;
        }
        found.push(BucketRecords { bucket, records });
    }
    Ok(found)
}

/// The records that a grant brings into the scope, or may show more of than their unit does.
fn granted(tx: &ReadTx<'_>, scope: &Scope) -> Result<BTreeMap<RecordId, DigestRow>, StationError> {
    let mut found = BTreeMap::new();
    for grantee in scope.grantees() {
        for (record, row) in tx.digests_granted(grantee)? {
            if scope.postings.len() > 1 || !scope.units.contains(&row.group.unit) {
                found.insert(record, row);
            }
        }
    }
    Ok(found)
}

/// What is seen of a digest: its private part only where that may be read.
fn seen(row: &DigestRow, reads: bool) -> RecordDigest {
    if reads {
        row.parts.facts.with(row.parts.private)
    } else {
        row.parts.facts
    }
}

/// Whether the private part of a unit's records of a kind and opener may be read, grants left aside.
fn reads_in(kinds: &Kinds, scope: &Scope, row: &DigestRow) -> Result<bool, StationError> {
    scope.reads_in(kinds, &about(RecordId::from_bytes([0; 16]), row))
}

fn reads(tx: &ReadTx<'_>, kinds: &Kinds, scope: &Scope, record: RecordId, row: &DigestRow) -> Result<bool, StationError> {
    scope.reads(tx, kinds, &about(record, row))
}

fn about(record: RecordId, row: &DigestRow) -> About<'_> {
    About {
        record,
        unit: row.group.unit,
        kind: &row.group.kind,
        opener: row.group.opener,
    }
}
