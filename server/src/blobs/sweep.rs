//! What nobody goes on with, and what no record ever named, is swept away after a time. A blob that a record names is never swept.

use std::sync::{Mutex, PoisonError};

use beatbook_protocol::time::UnixMillis;

use super::Blobs;
use super::upload::remove;
use crate::error::StationError;
use crate::station::Station;
use crate::store::Store;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A part that nobody went on with: a phone that comes back later begins anew.
const PART_MS: i64 = 7 * DAY_MS;
/// A blob that no record names yet: its record may wait on a phone that is offline or under repair.
const UNNAMED_MS: i64 = 30 * DAY_MS;
/// How often it is looked, at most.
const EVERY_MS: i64 = 60 * 60 * 1000;
/// Rows in one go; the rest is for the next hour.
const ROWS_MAX: u32 = 1_000;

/// When it was swept last.
#[derive(Debug, Default)]
pub(super) struct Swept(Mutex<Option<UnixMillis>>);

/// Sweeps, when it was long ago.
pub(crate) fn sweep_when_due(station: &Station) -> Result<(), StationError> {
    let now = station.env.clock.now();
    {
        let mut last = station.blobs.swept.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| (0..EVERY_MS).contains(&now.since(last))) {
            return Ok(());
        }
        *last = Some(now);
    }
    sweep(station, now)
}

fn sweep(station: &Station, now: UnixMillis) -> Result<(), StationError> {
    let (parts, whole) = station.store.read(|tx| {
        let parts = tx.stale_uploads(false, now.plus(-PART_MS), ROWS_MAX)?;
        Ok::<_, StationError>((parts, tx.stale_uploads(true, now.plus(-UNNAMED_MS), ROWS_MAX)?))
    })?;
    for row in parts {
        station.store.write(|tx| {
            // It may have been gone on with since the look.
            if tx
                .upload(row.book, &row.hash)?
                .is_some_and(|now| now.touched_at == row.touched_at)
            {
                remove(&station.blobs.part(row.book, &row.hash))?;
                tx.drop_upload(row.book, &row.hash)?;
            }
            Ok::<_, StationError>(())
        })?;
    }
    for row in whole {
        station.store.write(|tx| {
            if !tx.is_wanted(&row.hash, now.plus(-UNNAMED_MS))? {
                remove(&station.blobs.file(&row.hash))?;
                tracing::info!(blob = %row.hash, "swept: no record named it in its time");
            }
            Ok::<_, StationError>(tx.drop_upload(row.book, &row.hash)?)
        })?;
    }
    Ok(())
}

/// Removes the files of blobs that a destruction left without a name, and their uploads. One that is named again since stays.
pub(crate) fn remove_destroyed(store: &Store, blobs: &Blobs) -> Result<(), StationError> {
    let hashes = store.read(|tx| Ok::<_, StationError>(tx.blobs_destroyed(false)?))?;
    for hash in hashes {
        store.write(|tx| {
            if !tx.is_named(&hash)? {
                for book in tx.uploaders(&hash)? {
                    remove(&blobs.part(book, &hash))?;
                    tx.drop_upload(book, &hash)?;
                }
                remove(&blobs.file(&hash))?;
            }
            Ok::<_, StationError>(tx.put_blob_removed(&hash)?)
        })?;
    }
    Ok(())
}
