//! Parcels of own pages that wait for their answers, parcels of others that are carried, and the station's sealing key. Knows nothing of
//! what is in a parcel.

use beatbook_protocol::id::Hash;
use beatbook_protocol::parcel::{SealingKey, SealingPublicKey};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// Own parcels whose answers can be opened: a phone that is offline for weeks makes some tens, and the newest holds all that waits.
const MADE_MAX: i64 = 64;

/// How a parcel that is carried stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It was not delivered yet.
    Waiting,
    /// The station has answered.
    Answered,
    /// The station would not have it.
    Refused {
        /// Code.
        code: String,
        /// For people.
        text: String,
    },
}

/// A parcel that is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CarriedRow {
    /// Its name.
    pub(crate) parcel: Hash,
    /// How it stands.
    pub(crate) state: Carried,
    /// When it was taken along.
    pub(crate) taken_at: UnixMillis,
    /// When the station answered.
    pub(crate) answered_at: Option<UnixMillis>,
    /// When the answer was handed out.
    pub(crate) handed_at: Option<UnixMillis>,
    /// What was last said of it while it waits.
    pub(crate) note: Option<String>,
}

/// A parcel that was made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MadeRow {
    /// Its name.
    pub(crate) parcel: Hash,
    /// Own entries in it.
    pub(crate) entries: u64,
    /// When it was made.
    pub(crate) made_at: UnixMillis,
    /// When its answer was taken in.
    pub(crate) answered_at: Option<UnixMillis>,
}

/// The sealing key of the station of this name, and when it was told.
pub(crate) fn sealing_key(tx: &Tx<'_>, origin: &str) -> Result<Option<(SealingPublicKey, UnixMillis)>, StoreError> {
    let row = tx
        .prepare_cached("SELECT key, told_at FROM sealing WHERE origin = ?1")?
        .query_row([origin], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(key, at)| (SealingPublicKey::from_bytes(key), UnixMillis(at))))
}

/// Keeps a sealing key that was verified.
pub(crate) fn set_sealing_key(tx: &Tx<'_>, origin: &str, key: &SealingPublicKey, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sealing (one, origin, key, told_at) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET origin = excluded.origin, key = excluded.key, told_at = excluded.told_at",
        (origin, key.as_bytes(), now.0),
    )?;
    Ok(())
}

/// Keeps what opens the answer to a parcel. The oldest are forgotten: their pages are in newer parcels, or answered.
pub(crate) fn put_made(tx: &Tx<'_>, parcel: &Hash, secret: &[u8; 32], entries: u64, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO parcel_made (parcel, secret, entries, made_at) VALUES (?1, ?2, ?3, ?4)",
        (parcel.as_bytes(), secret, entries.cast_signed(), now.0),
    )?;
    tx.execute(
        "DELETE FROM parcel_made WHERE n <= (SELECT max(n) FROM parcel_made) - ?1",
        [MADE_MAX],
    )?;
    Ok(())
}

/// What opens the answer to a parcel that was made here.
pub(crate) fn answer_key(tx: &Tx<'_>, parcel: &Hash) -> Result<Option<SealingKey>, StoreError> {
    let secret: Option<[u8; 32]> = tx
        .prepare_cached("SELECT secret FROM parcel_made WHERE parcel = ?1")?
        .query_row([parcel.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(secret.map(|secret| SealingKey::from_bytes(&secret)))
}

/// The answer to a parcel was taken in; false when it was before.
pub(crate) fn note_answered(tx: &Tx<'_>, parcel: &Hash, now: UnixMillis) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE parcel_made SET answered_at = ?2 WHERE parcel = ?1 AND answered_at IS NULL",
        (parcel.as_bytes(), now.0),
    )?;
    Ok(changed > 0)
}

/// Parcels made here, in order.
pub(crate) fn made(tx: &Tx<'_>) -> Result<Vec<MadeRow>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT parcel, entries, made_at, answered_at FROM parcel_made ORDER BY n")?;
    let rows = rows.query_map([], |row| {
        Ok(MadeRow {
            parcel: Hash::from_bytes(row.get(0)?),
            entries: row.get::<_, i64>(1)?.cast_unsigned(),
            made_at: UnixMillis(row.get(2)?),
            answered_at: row.get::<_, Option<i64>>(3)?.map(UnixMillis),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes a parcel along. One that the station refused is tried again; false when it is here already.
pub(crate) fn carry(tx: &Tx<'_>, parcel: &Hash, file: &[u8], now: UnixMillis) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "INSERT INTO parcel_carried (parcel, state, taken_at, bytes) VALUES (?1, 'waiting', ?3, ?2)
         ON CONFLICT (parcel) DO UPDATE SET state = 'waiting', code = NULL, text = NULL, bytes = excluded.bytes
         WHERE state = 'refused'",
        (parcel.as_bytes(), file, now.0),
    )?;
    Ok(changed > 0)
}

/// Whether another parcel may be taken along: what was handed back leaves first, the oldest before the others.
pub(crate) fn make_room(tx: &Tx<'_>, parcel: &Hash, parcels_max: usize) -> Result<bool, StoreError> {
    let max = i64::try_from(parcels_max).unwrap_or(i64::MAX);
    tx.execute(
        "DELETE FROM parcel_carried WHERE n IN (
           SELECT n FROM parcel_carried WHERE handed_at IS NOT NULL ORDER BY n
           LIMIT max(0, (SELECT count(*) FROM parcel_carried WHERE parcel <> ?1) + 1 - ?2))",
        (parcel.as_bytes(), max),
    )?;
    let others: i64 = tx.query_row(
        "SELECT count(*) FROM parcel_carried WHERE parcel <> ?1",
        [parcel.as_bytes()],
        |row| row.get(0),
    )?;
    Ok(others < max)
}

/// What is carried, in order.
pub(crate) fn carried(tx: &Tx<'_>) -> Result<Vec<CarriedRow>, StoreError> {
    let mut rows =
        tx.prepare_cached("SELECT parcel, state, taken_at, answered_at, handed_at, code, text FROM parcel_carried ORDER BY n")?;
    let rows = rows.query_map([], |row| {
        let (code, text): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
        let state: String = row.get(1)?;
        let state = match state.as_str() {
            "answered" => Carried::Answered,
            "refused" => Carried::Refused {
                code: code.unwrap_or_default(),
                text: text.clone().unwrap_or_default(),
            },
            _ => Carried::Waiting,
        };
        Ok(CarriedRow {
            parcel: Hash::from_bytes(row.get(0)?),
            note: text.filter(|_| state == Carried::Waiting),
            state,
            taken_at: UnixMillis(row.get(2)?),
            answered_at: row.get::<_, Option<i64>>(3)?.map(UnixMillis),
            handed_at: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The file of a parcel that waits, or of the answer to it.
pub(crate) fn file(tx: &Tx<'_>, parcel: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
    let bytes = tx
        .prepare_cached("SELECT bytes FROM parcel_carried WHERE parcel = ?1")?
        .query_row([parcel.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(bytes)
}

/// The station has answered: the answer takes the parcel's place.
pub(crate) fn put_answer(tx: &Tx<'_>, parcel: &Hash, answer: &[u8], now: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE parcel_carried SET state = 'answered', answered_at = ?3, code = NULL, text = NULL, bytes = ?2
         WHERE parcel = ?1 AND state = 'waiting'",
        (parcel.as_bytes(), answer, now.0),
    )?;
    Ok(())
}

/// What the station said of a parcel that it did not take; it goes on waiting unless that was final. The file stays.
pub(crate) fn put_refusal(tx: &Tx<'_>, parcel: &Hash, code: &str, text: &str, is_final: bool) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE parcel_carried SET state = iif(?4, 'refused', state), code = ?2, text = ?3 WHERE parcel = ?1 AND state = 'waiting'",
        (parcel.as_bytes(), code, text, is_final),
    )?;
    Ok(())
}

/// The answer was handed out.
pub(crate) fn note_handed(tx: &Tx<'_>, parcel: &Hash, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE parcel_carried SET handed_at = coalesce(handed_at, ?2) WHERE parcel = ?1",
        (parcel.as_bytes(), now.0),
    )?;
    Ok(())
}

/// Puts a parcel of another down; false when there is none.
pub(crate) fn put_down(tx: &Tx<'_>, parcel: &Hash) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM parcel_carried WHERE parcel = ?1", [parcel.as_bytes()])? > 0)
}
