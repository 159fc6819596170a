//! What this phone holds accepted, as digests: one in each record's row, and their sum. A save does not touch them, since what waits is
//! not in them; whatever the station says about a record counts that record anew, once a transaction.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest, bucket_of};
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::BucketRecords;
use rusqlite::OptionalExtension;

use super::records::Records;
use super::rows::split;
use super::{StoreError, Tx};

/// The digest of all that is accepted here and in scope.
pub(crate) fn total(tx: &Tx<'_>) -> Result<SetDigest, StoreError> {
    let row: Option<(i64, [u8; 16])> = tx
        .prepare_cached("SELECT records, sum FROM digest")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map_or_else(SetDigest::default, |(records, sum)| SetDigest {
        records: records.cast_unsigned(),
        sum: RecordDigest::from_bytes(sum),
    }))
}

/// The same, record by record, as far as the filter goes.
fn each(tx: &Tx<'_>, wanted: impl Fn(RecordId) -> bool) -> Result<BTreeMap<RecordId, RecordDigest>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT record, digest FROM record WHERE digest IS NOT NULL")?;
    let mut rows = rows.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let record = RecordId::from_bytes(row.get(0)?);
        if wanted(record) {
            found.insert(record, RecordDigest::from_bytes(row.get(1)?));
        }
    }
    Ok(found)
}

/// The digests of the 256 buckets.
pub(crate) fn buckets(tx: &Tx<'_>) -> Result<Buckets, StoreError> {
    let mut buckets = Buckets::default();
    for (record, digest) in each(tx, |_| true)? {
        buckets.add(record, digest);
    }
    Ok(buckets)
}

/// How the records of some buckets differ from the station's: those that are to be sent whole, and those that must not be here.
pub(crate) fn differing(tx: &Tx<'_>, station: &[BucketRecords]) -> Result<(Vec<RecordId>, Vec<RecordId>), StoreError> {
    let named: BTreeSet<u8> = station.iter().map(|bucket| bucket.bucket).collect();
    let mut here = each(tx, |record| named.contains(&bucket_of(record)))?;
    let mut wanted = Vec::new();
    for state in station.iter().flat_map(|bucket| &bucket.records) {
        if here.remove(&state.record) != Some(state.digest) {
            wanted.push(state.record);
        }
    }
    Ok((wanted, here.into_keys().collect()))
}

/// Notes records that are to be sent whole.
pub(crate) fn want(tx: &Tx<'_>, records: &[RecordId]) -> Result<(), StoreError> {
    let mut note = tx.prepare_cached("INSERT INTO wanted (record) VALUES (?1) ON CONFLICT DO NOTHING")?;
    for record in records {
        note.execute([record.as_bytes()])?;
    }
    Ok(())
}

/// Records that are to be sent whole.
pub(crate) fn wanted(tx: &Tx<'_>, max: usize) -> Result<Vec<RecordId>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT record FROM wanted ORDER BY record LIMIT ?1")?;
    let rows = rows.query_map([i64::try_from(max).unwrap_or(i64::MAX)], |row| {
        Ok(RecordId::from_bytes(row.get(0)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// These have come, or the station does not have them.
pub(crate) fn unwant(tx: &Tx<'_>, records: &[RecordId]) -> Result<(), StoreError> {
    let mut forget = tx.prepare_cached("DELETE FROM wanted WHERE record = ?1")?;
    for record in records {
        forget.execute([record.as_bytes()])?;
    }
    Ok(())
}

impl Records<'_> {
    /// Counts the digests of records of which accepted entries moved. Their rows are there by now.
    pub(super) fn count_moved(&mut self) -> Result<(), StoreError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let before = total(self.tx)?;
        let mut after = before;
        for record in std::mem::take(&mut self.moved) {
            let row: Option<(Option<[u8; 16]>, bool)> = self
                .tx
                .prepare_cached("SELECT digest, leaving FROM record WHERE record = ?1")?
                .query_row([record.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((old, leaving)) = row else { continue };
            let old = old.map(RecordDigest::from_bytes);
            let new = if leaving { None } else { of_record(self.tx, record)? };
            if old == new {
                continue;
            }
            after = old.map_or(after, |old| after.without(old));
            after = new.map_or(after, |new| after.with(new));
            self.tx
                .prepare_cached("UPDATE record SET digest = ?2 WHERE record = ?1")?
                .execute((record.as_bytes(), new.map(RecordDigest::to_bytes)))?;
        }
        if after == before {
            return Ok(());
        }
        set_total(self.tx, after)
    }

    /// Counts all digests anew, from the entries.
    pub(crate) fn count_all(&mut self) -> Result<(), StoreError> {
        set_total(self.tx, SetDigest::default())?;
        self.tx
            .execute("UPDATE record SET digest = NULL WHERE digest IS NOT NULL", [])?;
        for (record, _) in self.returned("SELECT record, updated_at FROM record ORDER BY n", [])? {
            self.moved.insert(record);
        }
        Ok(())
    }

    /// Takes a record's digest out of the sum; its row goes.
    pub(super) fn uncount(&mut self, record: RecordId) -> Result<(), StoreError> {
        let digest: Option<Option<[u8; 16]>> = self
            .tx
            .prepare_cached("SELECT digest FROM record WHERE record = ?1")?
            .query_row([record.as_bytes()], |row| row.get(0))
            .optional()?;
        if let Some(digest) = digest.flatten() {
            set_total(self.tx, total(self.tx)?.without(RecordDigest::from_bytes(digest)))?;
        }
        self.moved.remove(&record);
        Ok(())
    }
}

fn set_total(tx: &Tx<'_>, total: SetDigest) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO digest (one, records, sum) VALUES (1, ?1, ?2)
         ON CONFLICT (one) DO UPDATE SET records = excluded.records, sum = excluded.sum",
    )?
    .execute((total.records.cast_signed(), total.sum.to_bytes()))?;
    Ok(())
}

/// A record's digest out of its entries that have their place on the station's ledger; none when there are none.
fn of_record(tx: &Tx<'_>, record: RecordId) -> Result<Option<RecordDigest>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT document, change_hash, deps FROM change
         WHERE record = ?1 AND document IN (0, 1) AND status IN (0, 3, 4) AND leaf IS NOT NULL",
    )?;
    let mut rows = rows.query([record.as_bytes()])?;
    let mut heads: [BTreeSet<Hash>; 2] = Default::default();
    let mut built_on: [BTreeSet<Hash>; 2] = Default::default();
    let mut is_there = false;
    while let Some(row) = rows.next()? {
        let document = usize::from(row.get::<_, u8>(0)? == 1);
        is_there = true;
        heads[document].extend(row.get::<_, Option<[u8; 32]>>(1)?.map(Hash::from_bytes));
        built_on[document].extend(split(&row.get::<_, Vec<u8>>(2)?)?);
    }
    if !is_there {
        return Ok(None);
    }
    let mut acts =
        tx.prepare_cached("SELECT entry FROM act WHERE record = ?1 AND status = 0 AND leaf IS NOT NULL ORDER BY leaf, position")?;
    let acts = acts.query_map([record.as_bytes()], |row| Ok(Hash::from_bytes(row.get(0)?)))?;
    let acts: Vec<Hash> = acts.collect::<Result<_, _>>()?;
    let left = |document: usize| -> Vec<Hash> { heads[document].difference(&built_on[document]).copied().collect() };
    let facts = RecordDigest::facts(record, &left(0), &acts);
    Ok(Some(facts.with(RecordDigest::private(record, &left(1)))))
}

/// Where the digests stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Agreement {
    /// The last time that they were equal.
    pub(crate) agreed_at: Option<UnixMillis>,
    /// Since when they have not been.
    pub(crate) differs_since: Option<UnixMillis>,
    /// The last time that all records were compared.
    pub(crate) verified_at: Option<UnixMillis>,
    /// Whether a comparison of all records is asked for.
    pub(crate) verify: bool,
}

/// Where the digests stand.
pub(crate) fn agreement(tx: &Tx<'_>) -> Result<Agreement, StoreError> {
    let row = tx
        .prepare_cached("SELECT agreed_at, differs_since, verified_at, verify FROM exchange")?
        .query_row([], |row| {
            let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(UnixMillis));
            Ok(Agreement {
                agreed_at: time(0)?,
                differs_since: time(1)?,
                verified_at: time(2)?,
                verify: row.get(3)?,
            })
        })
        .optional()?;
    Ok(row.unwrap_or_default())
}

/// The digests were compared. The first time that they agree counts as a comparison of all records.
pub(crate) fn log_agreement(tx: &Tx<'_>, now: UnixMillis, is_equal: bool) -> Result<(), StoreError> {
    let sql = if is_equal {
        "UPDATE exchange SET agreed_at = ?1, differs_since = NULL, verified_at = coalesce(verified_at, ?1)"
    } else {
        "UPDATE exchange SET differs_since = coalesce(differs_since, ?1)"
    };
    tx.prepare_cached(sql)?.execute([now.0])?;
    Ok(())
}

/// Asks for a comparison of all records.
pub(crate) fn ask_verify(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO exchange (one, verify) VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET verify = 1")?
        .execute([])?;
    Ok(())
}

/// All records were compared, and both ends agreed.
pub(crate) fn log_verified(tx: &Tx<'_>, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE exchange SET verified_at = ?1, verify = 0")?
        .execute([now.0])?;
    Ok(())
}

/// A comparison of all records is due once a week, by the phone's clock; one that was set back makes it due, and no more than once.
const VERIFY_MS: i64 = 7 * 86_400_000;

/// Whether all records are to be compared now.
pub(crate) fn is_due(agreement: &Agreement, now: UnixMillis) -> bool {
    let is_old = |at: UnixMillis| !(0..VERIFY_MS).contains(&now.since(at));
    agreement.verify || agreement.verified_at.is_some_and(is_old)
}
