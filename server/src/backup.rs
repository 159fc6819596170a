//! Backup while work goes on, database first, then the blobs that the copy lacks; and restore into a new life of the ledger that phones accept. Keys are in neither.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beatbook_protocol::id::{Hash, IncarnationId};
use beatbook_protocol::ledger::Position;
use beatbook_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::audit::{self, Line};
use crate::blobs::{Blobs, FOLDER, kept, remove_destroyed};
use crate::destruction::{Hand, again, scrub};
use crate::ended;
use crate::environment::Environment;
use crate::error::StationError;
use crate::keys::{Keys, io, refuse_filled, refuse_nested, sync_dir};
use crate::kinds::Kinds;
use crate::ledger;
use crate::registry::tokens::random;
use crate::report::{BackupReport, RestoreReport};
use crate::setup;
use crate::station::{DATABASE, Station};
use crate::store::{EpochRow, StationRow, Store, copy_into, look};

/// What lies beside a copy: enough to know it again and to see that it is whole.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    origin: String,
    position: Position,
    bytes: u64,
    sha256: Hash,
    made_at: UnixMillis,
}

/// Copies the database into a directory.
pub(crate) fn backup(station: &Station, to: &Path) -> Result<BackupReport, StationError> {
    refuse_nested_copy(&station.data, to)?;
    fs::create_dir_all(to).map_err(io(to))?;
    // A copy is an export of all there is, and what it holds of the log is fixed in the ledger that it holds.
    audit::write(station, &Line::of(None, "station.backup", "database and blobs"))?;
    audit::anchor(station)?;
    let made_at = station.env.clock.now();
    let draft = to.join(format!("beatbook-{}.part", made_at.0));
    if draft.exists() {
        fs::remove_file(&draft).map_err(io(&draft))?;
    }
    copy_into(&station.data.join(DATABASE), &draft)?;
    File::open(&draft).and_then(|file| file.sync_all()).map_err(io(&draft))?;
    let (bytes, sha256) = kept::digest(&draft)?;
    let position = look(&draft, |tx| Ok::<_, StationError>(ledger::position(tx)?))?;
    let file = to.join(format!("beatbook-{}-{}-{}.db", position.epoch, position.size, made_at.0));
    fs::rename(&draft, &file).map_err(io(&file))?;
    // After the database: what it names and what had arrived by then is there to be copied.
    let blobs = kept::copy(&station.data.join(FOLDER), &to.join(FOLDER))?;
    // Of the copies made before, the database is the operator's to delete; what was destroyed since is not kept beside them.
    for hash in station.store.read(|tx| {
        let gone = tx.blobs_destroyed(true)?;
        let mut unnamed = Vec::new();
        for hash in gone {
            if !tx.is_named(&hash)? {
                unnamed.push(hash);
            }
        }
        Ok::<_, StationError>(unnamed)
    })? {
        let copy = kept::place(&to.join(FOLDER), &hash);
        if copy.is_file() {
            fs::remove_file(&copy).map_err(io(&copy))?;
        }
    }
    let manifest = Manifest {
        version: 1,
        origin: station.origin.clone(),
        position,
        bytes,
        sha256,
        made_at,
    };
    let text = serde_json::to_string_pretty(&manifest).map_err(|fault| StationError::Store(fault.to_string()))?;
    let beside = manifest_path(&file);
    fs::write(&beside, text).map_err(io(&beside))?;
    File::open(&beside).and_then(|file| file.sync_all()).map_err(io(&beside))?;
    sync_dir(to)?;
    station
        .store
        .write(|tx| Ok::<_, StationError>(tx.put_backed_up_to(position.size)?))?;
    station.count("backups");
    Ok(BackupReport {
        file,
        bytes,
        sha256,
        position,
        blobs: blobs.blobs,
        blob_bytes: blobs.bytes,
        blobs_damaged: blobs.damaged,
    })
}

/// Makes a new data directory from a copy and opens a new epoch.
pub(crate) fn restore(backup: &Path, data: &Path, keys_dir: &Path, env: &Environment) -> Result<RestoreReport, StationError> {
    refuse_nested(data, keys_dir)?;
    refuse_filled(data)?;
    Keys::complete(keys_dir, env, || look(backup, |tx| Ok(tx.has_sealed()?)))?;
    let keys = Keys::open(keys_dir)?;
    let beside = manifest_path(backup);
    let text = fs::read_to_string(&beside).map_err(io(&beside))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|fault| StationError::Invalid(format!("{} is no manifest of a backup: {fault}", beside.display())))?;
    if kept::digest(backup)? != (manifest.bytes, manifest.sha256) {
        return Err(StationError::Damaged(format!(
            "{} is not the copy that its manifest tells of",
            backup.display()
        )));
    }
    fs::create_dir_all(data).map_err(io(data))?;
    let file = data.join(DATABASE);
    fs::copy(backup, &file).map_err(io(&file))?;
    File::open(&file).and_then(|file| file.sync_all()).map_err(io(&file))?;
    let store = Store::open(&file, Some(Arc::clone(&keys.column)))?;
    let mut report = begin_epoch(&store, &keys, env)?;
    // First of all: what ended since the backup must not come back with it, nor what was destroyed.
    report.books_ended_again = ended::replay(&store, &keys, env, &setup::kinds_of(&store)?)?;
    env.steps.passes("books ended again");
    report.destroyed_again = destroy_again(&store, &keys, env)?;
    report.position = store.read(|tx| ledger::note(tx, &keys))?;
    let shelves = backup.parent().unwrap_or(Path::new(".")).join(FOLDER);
    let blobs = kept::copy(&shelves, &data.join(FOLDER))?;
    report.blobs = blobs.blobs;
    report.blobs_damaged = blobs.damaged;
    remove_destroyed(&store, &Blobs::open(data)?)?;
    scrub(&store);
    let named = store.read(|tx| Ok::<_, StationError>(tx.named_blobs()?))?;
    let is_missing = |hash: &&Hash| !kept::place(&data.join(FOLDER), hash).is_file();
    report.blobs_missing = named.iter().filter(is_missing).count() as u64;
    sync_dir(data)?;
    Ok(report)
}

fn begin_epoch(store: &Store, keys: &Keys, env: &Environment) -> Result<RestoreReport, StationError> {
    let incarnation = IncarnationId::from_parts(env.clock.now(), random(env)?);
    let report = store.write(|tx| {
        let found = ledger::position(tx)?;
        let book = keys.book_key();
        let station = tx
            .station()?
            .ok_or_else(|| StationError::Damaged("the station's own line is missing".into()))?;
        if tx.book(station.book)?.is_none_or(|row| row.key != book) {
            return Err(StationError::Keys(
                "they are not the keys of the station in this backup".into(),
            ));
        }
        let follows = keys.signed().unwrap_or(found);
        let epoch = follows.epoch.max(found.epoch) + 1;
        tx.put_epoch(&EpochRow {
            epoch,
            size: found.size,
            follows: Some(follows),
        })?;
        tx.clear_alarm()?;
        let audit_lost = audit::append_restored(tx, env, keys)?;
        // Sessions that were ended since the copy was made must not live again, nor invitations that were used.
        tx.drop_all_sessions()?;
        // The chain that the lost pages went on must not be gone on from here a second time.
        tx.put_station(&StationRow {
            incarnation,
            backed_up_to: found.size,
            ..station
        })?;
        Ok(RestoreReport {
            position: ledger::position(tx)?,
            follows,
            audit_lost,
            blobs: 0,
            destroyed_again: 0,
            blobs_missing: 0,
            blobs_damaged: Vec::new(),
            books_ended_again: 0,
        })
    })?;
    keys.note(report.position)?;
    env.steps.passes("epoch begun");
    Ok(report)
}

/// What was destroyed after the backup was made is in it still: the keys directory remembers, and it goes again before anybody sees it.
fn destroy_again(store: &Store, keys: &Keys, env: &Environment) -> Result<u64, StationError> {
    if keys.destroyed.lines()?.is_empty() {
        return Ok(0);
    }
    let kinds = Kinds::of(store.read(|tx| setup::catalogue(tx, &[]))?)?;
    setup::freshen(store, &kinds)?;
    let hand = Hand {
        keys,
        kinds: &kinds,
        env,
    };
    again(hand, store)
}

fn manifest_path(file: &Path) -> PathBuf {
    file.with_extension("json")
}

/// A copy inside the data directory would be lost with it.
fn refuse_nested_copy(data: &Path, to: &Path) -> Result<(), StationError> {
    let inside = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    if inside.starts_with(&data) {
        return Err(StationError::Invalid(format!(
            "{} lies inside the data directory: a backup belongs elsewhere",
            to.display()
        )));
    }
    Ok(())
}
