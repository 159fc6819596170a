//! Rows of blobs: what is here and under which key, what waits for the station, what is wanted, which records name it. The bytes are
//! files, elsewhere.

mod files;

use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{OptionalExtension, Row};

use super::{StoreError, Tx};
pub(crate) use files::{files, give_up, give_up_unnamed, leave, named, put_files, release};

/// A blob as this phone knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobRow {
    /// Its name.
    pub(crate) hash: Hash,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its key; none when nothing of it is here.
    pub(crate) secret: Option<[u8; 32]>,
    /// Bytes that are here.
    pub(crate) held: u64,
    /// Whether all of it is here.
    pub(crate) whole: bool,
    /// Since when the station says that it has it.
    pub(crate) arrived_at: Option<UnixMillis>,
}

/// A captured blob.
#[derive(Debug, Clone)]
pub(crate) struct Captured<'a> {
    /// Its name.
    pub(crate) hash: Hash,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its media type.
    pub(crate) media_type: &'a str,
    /// The key of its file.
    pub(crate) secret: [u8; 32],
    /// Whether it is the small picture of another.
    pub(crate) thumbnail: bool,
}

/// A blob that waits for the station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaitingRow {
    /// Its name.
    pub(crate) hash: Hash,
    /// The record that it was attached to.
    pub(crate) record: RecordId,
    /// Its media type.
    pub(crate) media_type: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// Whether its upload was begun: the station may have some of it.
    pub(crate) begun: bool,
    /// What the station said that it has.
    pub(crate) sent: u64,
    /// Whether it is a small picture.
    pub(crate) thumbnail: bool,
    /// Whether its author asked to have it sent whatever it costs.
    pub(crate) asked: bool,
    /// Since when it waits.
    pub(crate) since: UnixMillis,
    /// What went wrong last.
    pub(crate) fault: Option<String>,
}

/// A blob by its name.
pub(crate) fn get(tx: &Tx<'_>, hash: &Hash) -> Result<Option<BlobRow>, StoreError> {
    Ok(tx
        .prepare_cached("SELECT hash, bytes, secret, held, whole, arrived_at FROM blob WHERE hash = ?1")?
        .query_row([hash.as_bytes()], read_blob)
        .optional()?)
}

/// Keeps a captured blob. The key of the file that holds it from now on; of another one, with nothing to it, when that was here before.
pub(crate) fn capture(tx: &Tx<'_>, blob: &Captured<'_>, record: RecordId, now: UnixMillis) -> Result<[u8; 32], StoreError> {
    let before = get(tx, &blob.hash)?;
    if let Some(secret) = before.as_ref().filter(|before| before.whole).and_then(|before| before.secret) {
        if before.is_some_and(|before| before.arrived_at.is_none()) {
            enqueue(tx, blob, record, now)?;
        }
        return Ok(secret);
    }
    tx.prepare_cached(
        "INSERT INTO blob (hash, bytes, media_type, secret, held, whole, asked_at, used_at) VALUES (?1, ?2, ?3, ?4, ?2, 1, 0, ?5)
         ON CONFLICT (hash) DO UPDATE SET bytes = excluded.bytes, media_type = excluded.media_type, secret = excluded.secret,
           held = excluded.held, whole = 1, used_at = excluded.used_at",
    )?
    .execute((
        blob.hash.as_bytes(),
        blob.bytes.cast_signed(),
        blob.media_type,
        blob.secret,
        now.0,
    ))?;
    tx.execute("DELETE FROM blob_wanted WHERE hash = ?1", [blob.hash.as_bytes()])?;
    if before.is_none_or(|before| before.arrived_at.is_none()) {
        enqueue(tx, blob, record, now)?;
    }
    Ok(blob.secret)
}

fn enqueue(tx: &Tx<'_>, blob: &Captured<'_>, record: RecordId, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO blob_outbox (hash, record, thumbnail, asked, since, begun, sent) VALUES (?1, ?2, ?3, 0, ?4, 0, 0) ON CONFLICT (hash) DO NOTHING",
    )?
    .execute((blob.hash.as_bytes(), record.as_bytes(), blob.thumbnail, now.0))?;
    Ok(())
}

/// What waits for the station: small pictures first, then what was asked for, then in the order of capture.
pub(crate) fn waiting(tx: &Tx<'_>) -> Result<Vec<WaitingRow>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT o.hash, o.record, b.media_type, b.bytes, o.sent, o.thumbnail, o.asked, o.since, o.fault, o.begun
         FROM blob_outbox AS o JOIN blob AS b ON b.hash = o.hash ORDER BY o.thumbnail DESC, o.asked DESC, o.n",
    )?;
    let rows = rows.query_map([], |row| {
        Ok(WaitingRow {
            hash: Hash::from_bytes(row.get(0)?),
            record: RecordId::from_bytes(row.get(1)?),
            media_type: row.get(2)?,
            bytes: row.get::<_, i64>(3)?.cast_unsigned(),
            sent: row.get::<_, i64>(4)?.cast_unsigned(),
            thumbnail: row.get(5)?,
            asked: row.get(6)?,
            since: UnixMillis(row.get(7)?),
            fault: row.get(8)?,
            begun: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many wait, and their bytes that the station does not have.
pub(crate) fn owed(tx: &Tx<'_>) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT count(*), coalesce(sum(b.bytes - o.sent), 0) FROM blob_outbox AS o JOIN blob AS b ON b.hash = o.hash";
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()));
    Ok(tx.prepare_cached(sql)?.query_row([], read)?)
}

/// Asks for a waiting blob to be sent whatever it costs; tells whether it waits.
pub(crate) fn ask_to_send(tx: &Tx<'_>, hash: &Hash) -> Result<bool, StoreError> {
    let asked = tx
        .prepare_cached("UPDATE blob_outbox SET asked = 1 WHERE hash = ?1")?
        .execute([hash.as_bytes()])?;
    Ok(asked > 0)
}

/// Notes that an upload is about to begin: a kill must not hide what the station then has.
pub(crate) fn set_begun(tx: &Tx<'_>, hash: &Hash) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE blob_outbox SET begun = 1 WHERE hash = ?1")?
        .execute([hash.as_bytes()])?;
    Ok(())
}

/// Notes how much the station has of a waiting blob.
pub(crate) fn set_sent(tx: &Tx<'_>, hash: &Hash, sent: u64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE blob_outbox SET sent = ?2, fault = NULL WHERE hash = ?1")?
        .execute((hash.as_bytes(), sent.cast_signed()))?;
    Ok(())
}

/// Notes why a blob waits or is not here.
pub(crate) fn set_fault(tx: &Tx<'_>, hash: &Hash, fault: &str) -> Result<(), StoreError> {
    for sql in [
        "UPDATE blob_outbox SET fault = ?2 WHERE hash = ?1",
        "UPDATE blob_wanted SET fault = ?2 WHERE hash = ?1",
    ] {
        tx.prepare_cached(sql)?.execute((hash.as_bytes(), fault))?;
    }
    Ok(())
}

/// The station has the whole blob and has verified it.
pub(crate) fn set_arrived(tx: &Tx<'_>, hash: &Hash, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE blob SET arrived_at = coalesce(arrived_at, ?2), asked_at = ?2 WHERE hash = ?1")?
        .execute((hash.as_bytes(), now.0))?;
    tx.prepare_cached("DELETE FROM blob_outbox WHERE hash = ?1")?
        .execute([hash.as_bytes()])?;
    Ok(())
}

/// The station does not have the blob. What it had once and is whole here waits for it again.
pub(crate) fn set_absent(tx: &Tx<'_>, hash: &Hash, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO blob_outbox (hash, record, thumbnail, asked, since, begun, sent)
         SELECT b.hash, f.record, coalesce(f.thumbnail = b.hash, 0), 0, ?2, 0, 0 FROM blob AS b
           JOIN record_file AS f ON f.hash = b.hash OR f.thumbnail = b.hash
         WHERE b.hash = ?1 AND b.whole = 1 AND b.arrived_at IS NOT NULL ORDER BY f.record LIMIT 1
         ON CONFLICT (hash) DO NOTHING",
    )?
    .execute((hash.as_bytes(), now.0))?;
    tx.prepare_cached("UPDATE blob SET arrived_at = NULL, asked_at = ?2 WHERE hash = ?1")?
        .execute((hash.as_bytes(), now.0))?;
    Ok(())
}

/// Blobs of which it is not known whether the station has them, asked after before `before` or never; own ones that wait are left out.
pub(crate) fn unsure(tx: &Tx<'_>, before: UnixMillis, limit: usize) -> Result<Vec<Hash>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT hash FROM blob WHERE ((arrived_at IS NOT NULL AND asked_at = 0) OR (arrived_at IS NULL AND asked_at < ?1))
           AND NOT EXISTS (SELECT 1 FROM blob_outbox AS o WHERE o.hash = blob.hash) ORDER BY asked_at, hash LIMIT ?2",
    )?;
    let rows = rows.query_map((before.0, limit as i64), |row| Ok(Hash::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// In a new life of the station's ledger, what had arrived is asked after again.
pub(crate) fn doubt_in_epoch(tx: &Tx<'_>, epoch: u64) -> Result<(), StoreError> {
    let known: Option<i64> = tx
        .query_row("SELECT epoch FROM blob_check", [], |row| row.get(0))
        .optional()?;
    if known == Some(epoch.cast_signed()) {
        return Ok(());
    }
    if known.is_some() {
        tx.execute("UPDATE blob SET asked_at = 0 WHERE arrived_at IS NOT NULL", [])?;
    }
    tx.execute(
        "INSERT INTO blob_check (one, epoch) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch",
        [epoch.cast_signed()],
    )?;
    Ok(())
}

/// Wants a blob that is not here; tells whether this phone knows it.
pub(crate) fn want(tx: &Tx<'_>, hash: &Hash, now: UnixMillis) -> Result<bool, StoreError> {
    let Some(blob) = get(tx, hash)? else { return Ok(false) };
    if !blob.whole {
        tx.prepare_cached("INSERT INTO blob_wanted (hash, since) VALUES (?1, ?2) ON CONFLICT (hash) DO UPDATE SET fault = NULL")?
            .execute((hash.as_bytes(), now.0))?;
    }
    Ok(true)
}

/// What is wanted, in the order of asking, with what went wrong last.
pub(crate) fn wanted(tx: &Tx<'_>) -> Result<Vec<(Hash, Option<String>)>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT hash, fault FROM blob_wanted ORDER BY since, hash")?;
    let rows = rows.query_map([], |row| Ok((Hash::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes how much of a wanted blob is here, under which key; all of it, and it is wanted no more.
pub(crate) fn set_held(tx: &Tx<'_>, blob: &BlobRow, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE blob SET bytes = ?2, secret = ?3, held = ?4, whole = ?5, used_at = ?6 WHERE hash = ?1")?
        .execute((
            blob.hash.as_bytes(),
            blob.bytes.cast_signed(),
            blob.secret,
            blob.held.cast_signed(),
            blob.whole,
            now.0,
        ))?;
    if blob.whole {
        tx.prepare_cached("DELETE FROM blob_wanted WHERE hash = ?1")?
            .execute([blob.hash.as_bytes()])?;
    }
    Ok(())
}

/// Whole blobs that may leave this phone, the longest unused first: the station has each, no small picture, nothing of a record that
/// waits or came back.
pub(crate) fn spare(tx: &Tx<'_>) -> Result<Vec<BlobRow>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT hash, bytes, secret, held, whole, arrived_at FROM blob AS b
         WHERE whole = 1 AND arrived_at IS NOT NULL AND asked_at > 0
           AND NOT EXISTS (SELECT 1 FROM blob_outbox AS o WHERE o.hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM record_file AS f WHERE f.thumbnail = b.hash)
           AND NOT EXISTS (SELECT 1 FROM record_file AS f JOIN record AS r ON r.record = f.record
                           WHERE f.hash = b.hash AND (r.waiting > 0 OR r.refused > 0))
         ORDER BY used_at, hash",
    )?;
    let rows = rows.query_map([], read_blob)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Bytes of whole blobs on this phone.
pub(crate) fn held(tx: &Tx<'_>) -> Result<u64, StoreError> {
    let held: i64 = tx.query_row("SELECT coalesce(sum(held), 0) FROM blob", [], |row| row.get(0))?;
    Ok(held.cast_unsigned())
}

/// The keys of all files, and whether each is whole.
pub(crate) fn secrets(tx: &Tx<'_>) -> Result<Vec<([u8; 32], bool)>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT secret, whole FROM blob WHERE secret IS NOT NULL ORDER BY hash")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keys of files that are to be removed.
pub(crate) fn left(tx: &Tx<'_>) -> Result<Vec<[u8; 32]>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT secret FROM blob_left")?;
    let rows = rows.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The file under this key is gone.
pub(crate) fn forget(tx: &Tx<'_>, secret: &[u8; 32]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM blob_left WHERE secret = ?1")?
        .execute([secret])?;
    Ok(())
}

fn read_blob(row: &Row<'_>) -> rusqlite::Result<BlobRow> {
    Ok(BlobRow {
        hash: Hash::from_bytes(row.get(0)?),
        bytes: row.get::<_, i64>(1)?.cast_unsigned(),
        secret: row.get(2)?,
        held: row.get::<_, i64>(3)?.cast_unsigned(),
        whole: row.get(4)?,
        arrived_at: row.get::<_, Option<i64>>(5)?.map(UnixMillis),
    })
}
