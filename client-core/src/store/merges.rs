//! Which record stands for which on this phone, from the merges that acts say. Links follow by it in lists; no row of a linking record is
//! touched. Merges that make a loop (two people offline, before the station has refused one) lead nowhere until it is gone.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::id::RecordId;
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// Puts what a record was merged into, or that it stands for itself.
pub(crate) fn put(tx: &Tx<'_>, record: RecordId, target: Option<RecordId>) -> Result<(), StoreError> {
    let before: Option<[u8; 16]> = tx
        .prepare_cached("SELECT target FROM merged WHERE record = ?1")?
        .query_row([record.as_bytes()], |row| row.get(0))
        .optional()?;
    if before.map(RecordId::from_bytes) == target {
        return Ok(());
    }
    match target {
        Some(target) => tx
            .prepare_cached(
                "INSERT INTO merged (record, target) VALUES (?1, ?2) ON CONFLICT (record) DO UPDATE SET target = excluded.target",
            )?
            .execute([record.as_bytes(), target.as_bytes()])?,
        None => tx
            .prepare_cached("DELETE FROM merged WHERE record = ?1")?
            .execute([record.as_bytes()])?,
    };
    find_roots(tx)
}

/// The records that ended in this one, in the order of their registering.
pub(crate) fn merged_here(tx: &Tx<'_>, record: RecordId) -> Result<Vec<RecordId>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT record FROM merged WHERE root = ?1 ORDER BY record")?;
    let rows = rows.query_map([record.as_bytes()], |row| Ok(RecordId::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Merges are few on a phone, and seldom change: all ends are found anew.
fn find_roots(tx: &Tx<'_>) -> Result<(), StoreError> {
    let targets: BTreeMap<RecordId, RecordId> = tx
        .prepare_cached("SELECT record, target FROM merged ORDER BY record")?
        .query_map([], |row| {
            Ok((RecordId::from_bytes(row.get(0)?), RecordId::from_bytes(row.get(1)?)))
        })?
        .collect::<Result<_, _>>()?;
    let mut put = tx.prepare_cached("UPDATE merged SET root = ?2 WHERE record = ?1 AND root IS NOT ?2")?;
    for record in targets.keys() {
        let root = root(&targets, *record).map(|root| *root.as_bytes());
        put.execute((record.as_bytes(), root))?;
    }
    Ok(())
}

/// Where merges lead; nowhere in a loop.
fn root(targets: &BTreeMap<RecordId, RecordId>, record: RecordId) -> Option<RecordId> {
    let mut passed = BTreeSet::new();
    let mut at = record;
    while let Some(next) = targets.get(&at) {
        if !passed.insert(at) {
            return None;
        }
        at = *next;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_lead_to_the_end_of_a_chain_and_nowhere_in_a_loop() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|byte| RecordId::from_bytes([byte; 16]));
        let chain = BTreeMap::from([(b, a), (a, c)]);
        assert_eq!([b, a].map(|record| root(&chain, record)), [Some(c); 2]);
        let ring = BTreeMap::from([(a, b), (b, a), (d, a)]);
        assert_eq!([a, b, d].map(|record| root(&ring, record)), [None; 3]);
    }
}
