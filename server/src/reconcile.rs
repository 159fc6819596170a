//! Do a phone and its station hold the same? The digest of all that a scope holds, from sums alone; and, when it differs, the records of
//! the buckets that differ. Sends nothing itself: the phone asks for what it wants.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest, bucket_of};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::wire::{BucketRecords, RecordState};

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::scope::Scope;
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
                sum: seen(kinds, scope, &row)?,
            });
        }
    }
    for digest in granted(tx, kinds, scope)?.into_values() {
        sum = sum.with(digest);
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
    let mut records = granted(tx, kinds, scope)?;
    for unit in &scope.units {
        for (record, row) in tx.digests_of_unit(*unit)? {
            records.insert(record, seen(kinds, scope, &row)?);
        }
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

/// The digests of the records outside the scope's units that are granted there.
fn granted(tx: &ReadTx<'_>, kinds: &Kinds, scope: &Scope) -> Result<BTreeMap<RecordId, RecordDigest>, StationError> {
    let mut found = BTreeMap::new();
    let mut known = BTreeSet::new();
    for grantee in scope.grantees() {
        for (record, row) in tx.digests_granted(grantee)? {
            if !scope.units.contains(&row.group.unit) && known.insert(record) {
                found.insert(record, seen(kinds, scope, &row)?);
            }
        }
    }
    Ok(found)
}

/// What a scope sees of a digest: its private part only where that may be read.
fn seen(kinds: &Kinds, scope: &Scope, row: &DigestRow) -> Result<RecordDigest, StationError> {
    Ok(if scope.reads(kinds, &row.group.kind, row.group.opener)? {
        row.parts.facts.with(row.parts.private)
    } else {
        row.parts.facts
    })
}
