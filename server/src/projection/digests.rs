//! Digests of records and their sums, brought up to date once a leaf: what a phone must hold is then known without its records being
//! looked at.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::RecordDigest;
use beatbook_protocol::id::RecordId;

use super::record::RecordState;
use crate::error::StationError;
use crate::store::{DigestGroup, DigestParts, ReadTx, WriteTx};

/// What a leaf does to one sum.
#[derive(Default)]
struct Moved {
    records: u64,
    added: DigestParts,
    taken: DigestParts,
}

/// Brings the digests of the records that a leaf touched up to date.
pub(crate) fn fold(tx: &WriteTx<'_>, leaf: u64, touched: &BTreeSet<RecordId>) -> Result<(), StationError> {
    let mut groups: BTreeMap<DigestGroup, Moved> = BTreeMap::new();
    for id in touched {
        let Some(state) = tx.record(*id)? else { continue };
        let (before, now) = (tx.record_digest(*id)?, digest_of(tx, &state)?);
        if before == Some(now) {
            continue;
        }
        tx.put_record_digest(*id, leaf, now)?;
        let opens = state.opening.opens;
        let group = DigestGroup {
            unit: opens.unit,
            kind: (opens.kind, opens.version),
            opener: state.opening.user,
        };
        let moved = groups.entry(group).or_default();
        moved.records += u64::from(before.is_none());
        moved.added = both(moved.added, now);
        moved.taken = both(moved.taken, before.unwrap_or_default());
    }
    for (group, moved) in groups {
        tx.add_to_digest_sum(&group, moved.records, moved.added, moved.taken)?;
    }
    Ok(())
}

/// The digest of a record as its rows have it.
pub(crate) fn digest_of(tx: &ReadTx<'_>, state: &RecordState) -> Result<DigestParts, StationError> {
    Ok(DigestParts {
        facts: RecordDigest::facts(state.id, &state.heads, &tx.act_entries(state.id)?),
        private: RecordDigest::private(state.id, &state.private_heads),
    })
}

fn both(one: DigestParts, other: DigestParts) -> DigestParts {
    DigestParts {
        facts: one.facts.with(other.facts),
        private: one.private.with(other.private),
    }
}
