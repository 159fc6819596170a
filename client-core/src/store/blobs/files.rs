//! Which files a record names, and where each of them is. Rows alone; what a name means, and when a file goes, is decided elsewhere.

use beatbook_protocol::facts::{Facts, FileRef};
use beatbook_protocol::id::{Hash, RecordId};

use crate::store::{StoreError, Tx};

/// A file that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRow {
    /// The blob.
    pub(crate) hash: Hash,
    /// What the record says of it.
    pub(crate) file: FileRef,
    /// Whether its content is here, and whether the station has it.
    pub(crate) stands: (bool, bool),
    /// The same of its small picture.
    pub(crate) thumbnail_stands: Option<(bool, bool)>,
}

/// Puts the files that a record names, in place of those it named before.
pub(crate) fn put_files(tx: &Tx<'_>, record: RecordId, documents: [Option<&Facts>; 2]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM record_file WHERE record = ?1")?
        .execute([record.as_bytes()])?;
    for (hash, file) in documents.into_iter().flatten().flat_map(|facts| &facts.files) {
        tx.prepare_cached(
            "INSERT INTO record_file (record, hash, field, media_type, bytes, thumbnail, removed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO NOTHING",
        )?
        .execute((
            record.as_bytes(),
            hash.as_bytes(),
            &file.field,
            &file.media_type,
            file.bytes.cast_signed(),
            file.thumbnail.as_ref().map(Hash::as_bytes),
            file.removed,
        ))?;
        let small = file.thumbnail.map(|small| (small, 0, "image/jpeg"));
        for (hash, bytes, media_type) in [(*hash, file.bytes, &*file.media_type)].into_iter().chain(small) {
            tx.prepare_cached(
                "INSERT INTO blob (hash, bytes, media_type, held, whole, asked_at, used_at) VALUES (?1, ?2, ?3, 0, 0, 0, 0)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((hash.as_bytes(), bytes.cast_signed(), media_type))?;
        }
    }
    Ok(())
}

/// A record leaves this phone, and with it the blobs that no other one names. What waits for the station stays until it is there.
pub(crate) fn leave(tx: &Tx<'_>, record: RecordId) -> Result<(), StoreError> {
    let named = named(tx, record)?;
    tx.prepare_cached("DELETE FROM record_file WHERE record = ?1")?
        .execute([record.as_bytes()])?;
    release(tx, &named)
}

/// A record is destroyed: what waits for the station in its name waits in the name of another record that has it too, and else not any more.
/// What the station had may have gone with it there: it is asked after again.
pub(crate) fn give_up(tx: &Tx<'_>, record: RecordId) -> Result<(), StoreError> {
    for sql in [
        "UPDATE blob SET asked_at = 0 WHERE arrived_at IS NOT NULL AND hash IN (
           SELECT hash FROM record_file WHERE record = ?1
           UNION SELECT thumbnail FROM record_file WHERE record = ?1 AND thumbnail IS NOT NULL)",
        "UPDATE blob_outbox SET record = other.record FROM (
           SELECT o.hash, min(f.record) AS record FROM blob_outbox AS o JOIN record_file AS f ON f.hash = o.hash OR f.thumbnail = o.hash
           WHERE o.record = ?1 AND f.record <> ?1 GROUP BY o.hash) AS other
         WHERE blob_outbox.hash = other.hash",
        "DELETE FROM blob_outbox WHERE record = ?1",
    ] {
        tx.prepare_cached(sql)?.execute([record.as_bytes()])?;
    }
    Ok(())
}

/// A record's private document is destroyed: likewise with those of these blobs that the record names no more.
pub(crate) fn give_up_unnamed(tx: &Tx<'_>, record: RecordId, blobs: &[Hash]) -> Result<(), StoreError> {
    let is_unnamed = "NOT EXISTS (SELECT 1 FROM record_file WHERE record = ?1 AND (hash = ?2 OR thumbnail = ?2))";
    for hash in blobs {
        for sql in [
            format!("UPDATE blob SET asked_at = 0 WHERE hash = ?2 AND arrived_at IS NOT NULL AND {is_unnamed}"),
            format!(
                "UPDATE blob_outbox SET record = other.record FROM (
                   SELECT min(record) AS record FROM record_file WHERE record <> ?1 AND (hash = ?2 OR thumbnail = ?2)) AS other
                 WHERE blob_outbox.hash = ?2 AND blob_outbox.record = ?1 AND other.record IS NOT NULL AND {is_unnamed}"
            ),
            format!("DELETE FROM blob_outbox WHERE hash = ?2 AND record = ?1 AND {is_unnamed}"),
        ] {
            tx.prepare_cached(&sql)?.execute((record.as_bytes(), hash.as_bytes()))?;
        }
    }
    Ok(())
}

/// The blobs that a record names, as a file or a small picture.
pub(crate) fn named(tx: &Tx<'_>, record: RecordId) -> Result<Vec<Hash>, StoreError> {
    let named = "SELECT hash FROM record_file WHERE record = ?1 UNION SELECT thumbnail FROM record_file WHERE record = ?1 AND thumbnail IS NOT NULL";
    let mut named = tx.prepare_cached(named)?;
    let named = named.query_map([record.as_bytes()], |row| Ok(Hash::from_bytes(row.get(0)?)))?;
    Ok(named.collect::<Result<_, _>>()?)
}

/// Lets go of those of these blobs that no record names and that do not wait for the station.
pub(crate) fn release(tx: &Tx<'_>, blobs: &[Hash]) -> Result<(), StoreError> {
    let free =
        "?1 NOT IN (SELECT hash FROM blob_outbox) AND NOT EXISTS (SELECT 1 FROM record_file WHERE hash = ?1 OR thumbnail = ?1)";
    for hash in blobs {
        for sql in [
            format!(
                "INSERT OR IGNORE INTO blob_left (secret) SELECT secret FROM blob WHERE hash = ?1 AND secret IS NOT NULL AND {free}"
            ),
            format!("DELETE FROM blob_wanted WHERE hash = ?1 AND {free}"),
            format!("DELETE FROM blob WHERE hash = ?1 AND {free}"),
        ] {
            tx.prepare_cached(&sql)?.execute([hash.as_bytes()])?;
        }
    }
    Ok(())
}

/// The files that a record names, and where each is.
pub(crate) fn files(tx: &Tx<'_>, record: RecordId) -> Result<Vec<FileRow>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT f.hash, f.field, f.media_type, f.bytes, f.thumbnail, f.removed, b.whole, b.arrived_at IS NOT NULL,
                t.whole, t.arrived_at IS NOT NULL
         FROM record_file AS f JOIN blob AS b ON b.hash = f.hash LEFT JOIN blob AS t ON t.hash = f.thumbnail
         WHERE f.record = ?1 ORDER BY f.field, f.hash",
    )?;
    let rows = rows.query_map([record.as_bytes()], |row| {
        let thumbnail = row.get::<_, Option<[u8; 32]>>(4)?.map(Hash::from_bytes);
        Ok(FileRow {
            hash: Hash::from_bytes(row.get(0)?),
            file: FileRef {
                field: row.get(1)?,
                media_type: row.get(2)?,
                bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                thumbnail,
                removed: row.get(5)?,
            },
            stands: (row.get(6)?, row.get(7)?),
            thumbnail_stands: match (thumbnail, row.get(8)?) {
                (Some(_), Some(whole)) => Some((whole, row.get(9)?)),
                _ => None,
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
