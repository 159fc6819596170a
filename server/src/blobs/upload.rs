//! Uploads: begun, gone on with piece by piece, verified as a whole. How much has come says the part's length and nothing else, so that a
//! process that dies between any two writes leaves no two truths; after a power cut the hash at the end tells what the disk had kept.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use beatbook_protocol::blob::{BlobHasher, check_length};
use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{BlobRefusal, BlobStanding};
use sha1::Digest as _;

use super::{BlobFault, Turn, kept, sweep_when_due};
use crate::error::StationError;
use crate::keys::{io, sync_dir};
use crate::station::Station;
use crate::store::{ReadTx, UploadRow};

/// Bytes that a book may have under way, or have brought, without a record that names them: a day's photos whose records come later.
const UNNAMED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Likewise in number: each costs a file and a row.
const UNNAMED_UPLOADS_MAX: u64 = 2_000;
/// How often a long upload is noted as going on; sweeping looks at days.
const TOUCH_MS: i64 = 60 * 60 * 1000;

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes that have come.
    pub(crate) offset: u64,
    /// Bytes that will have come.
    pub(crate) length: u64,
}

/// An upload that is being written.
#[derive(Debug)]
pub(crate) struct Writing {
    turn: Turn,
    file: File,
    path: PathBuf,
    begun_at: u64,
    progress: Progress,
    checksum: Option<Checksum>,
}

/// What a piece must add up to (tus checksum extension).
#[derive(Debug)]
pub(crate) struct Checksum {
    expected: Vec<u8>,
    sum: Sum,
}

#[derive(Debug)]
enum Sum {
    Sha1(Box<sha1::Sha1>),
    Sha256(Box<BlobHasher>),
}

/// Reads `Upload-Checksum`'s algorithm and sum.
pub(crate) fn checked(algorithm: &str, expected: Vec<u8>) -> Result<Checksum, BlobFault> {
    let sum = match algorithm {
        "sha1" => Sum::Sha1(Box::default()),
        "sha256" => Sum::Sha256(Box::default()),
        _ => return Err(BlobFault::Malformed("Upload-Checksum is of sha1 or sha256".into())),
    };
    Ok(Checksum { expected, sum })
}

/// Begins an upload, or finds out how far it is: the same call again is no harm, and a blob that is here is whole at once.
pub(crate) fn begin(station: &Station, turn: &Turn, length: u64) -> Result<Progress, BlobFault> {
    check_length(length).map_err(|fault| BlobFault::Malformed(fault.to_string()))?;
    sweep_when_due(station)?;
    let (book, hash) = (turn.book(), turn.hash());
    if let Some(arrived) = note_arrived(station, book, &hash)? {
        if arrived != length {
            let why = format!("the blob of this SHA-256 has {arrived} bytes, not {length}");
            return Err(BlobFault::Malformed(why));
        }
        return Ok(Progress { offset: length, length });
    }
    let path = station.blobs.part(book, &hash);
    let before = station.store.read(|tx| {
        refuse_over_quota(tx, book, &hash, length)?;
        Ok::<_, BlobFault>(tx.upload(book, &hash)?)
    })?;
    if before.is_none_or(|before| before.length != length) {
        remove(&path)?;
    }
    touch(station, book, hash, length, false)?;
    let part = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
    let offset = part.metadata().map_err(io(&path))?.len();
    settled(station, turn, Progress { offset, length })
}

/// How far an upload of this book is; none when there is none. A whole one is a verified one.
pub(crate) fn resume(station: &Station, turn: &Turn) -> Result<Option<Progress>, BlobFault> {
    match progress(station, turn.book(), &turn.hash())? {
        Some(found) => settled(station, turn, found).map(Some),
        None => Ok(None),
    }
}

/// A part that is as long as it should be, and was not verified since the station died before: verified now.
fn settled(station: &Station, turn: &Turn, found: Progress) -> Result<Progress, BlobFault> {
    if found.offset >= found.length && station.blobs.arrived(&turn.hash()).is_none() {
        finish(station, turn, found.length)?;
    }
    Ok(found)
}

/// How much of a book's upload is here, whole or not.
fn progress(station: &Station, book: BookId, hash: &Hash) -> Result<Option<Progress>, BlobFault> {
    if let Some(length) = note_arrived(station, book, hash)? {
        return Ok(Some(Progress { offset: length, length }));
    }
    let row = station.store.read(|tx| Ok::<_, StationError>(tx.upload(book, hash)?))?;
    Ok(row.filter(|row| !row.arrived).map(|row| Progress {
        offset: fs::metadata(station.blobs.part(book, hash)).map_or(0, |part| part.len()),
        length: row.length,
    }))
}

/// What the station has of many blobs, for a book.
pub(crate) fn standing(station: &Station, book: BookId, blobs: &[Hash]) -> Result<Vec<BlobStanding>, BlobFault> {
    let mut found = Vec::new();
    for blob in blobs {
        if let Some(progress) = progress(station, book, blob)? {
            found.push(BlobStanding {
                blob: *blob,
                bytes: progress.offset,
                arrived: station.blobs.arrived(blob).is_some(),
            });
        }
    }
    Ok(found)
}

/// Goes on with an upload where it stands.
pub(crate) fn write(station: &Station, turn: Turn, offset: u64, checksum: Option<Checksum>) -> Result<Writing, BlobFault> {
    let (book, hash) = (turn.book(), turn.hash());
    if station.blobs.arrived(&hash).is_some() {
        return Err(BlobRefusal::WrongOffset.into());
    }
    let row = station.store.read(|tx| Ok::<_, StationError>(tx.upload(book, &hash)?))?;
    let row = row.filter(|row| !row.arrived).ok_or(BlobRefusal::NotFound)?;
    let path = station.blobs.part(book, &hash);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io(&path))?;
    if file.seek(SeekFrom::End(0)).map_err(io(&path))? != offset {
        return Err(BlobRefusal::WrongOffset.into());
    }
    Ok(Writing {
        turn,
        file,
        path,
        begun_at: offset,
        progress: Progress {
            offset,
            length: row.length,
        },
        checksum,
    })
}

impl Writing {
    /// Ends when another call of the same book wants to go on with this upload.
    pub(crate) fn asked_to_give_up(&self) -> impl Future<Output = ()> + Send + 'static {
        self.turn.asked_to_give_up()
    }

    /// Writes the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), BlobFault> {
        let next = self.progress.offset + bytes.len() as u64;
        if next > self.progress.length {
            let why = format!("the upload was announced with {} bytes, and more came", self.progress.length);
            return Err(BlobFault::Malformed(why));
        }
        self.file.write_all(bytes).map_err(io(&self.path))?;
        self.progress.offset = next;
        match self.checksum.as_mut().map(|checksum| &mut checksum.sum) {
            Some(Sum::Sha1(sum)) => sum.update(bytes),
            Some(Sum::Sha256(sum)) => sum.update(bytes),
            None => {}
        }
        Ok(())
    }

    /// The call broke off: what came stays, unless its checksum could not be looked at.
    pub(crate) fn cut(self) -> Result<(), BlobFault> {
        if self.checksum.is_some() {
            self.file.set_len(self.begun_at).map_err(io(&self.path))?;
        }
        Ok(self.file.sync_data().map_err(io(&self.path))?)
    }

    fn refuse_wrong_checksum(&mut self) -> Result<(), BlobFault> {
        let Some(Checksum { expected, sum }) = self.checksum.take() else {
            return Ok(());
        };
        let found = match sum {
            Sum::Sha1(sum) => sum.finalize().to_vec(),
            Sum::Sha256(sum) => sum.finish().as_bytes().to_vec(),
        };
        if found == expected {
            return Ok(());
        }
        self.file.set_len(self.begun_at).map_err(io(&self.path))?;
        Err(BlobRefusal::WrongChecksum.into())
    }
}

/// A call's body is at its end. The last one's whole is verified and takes its place among the blobs, or is thrown away.
pub(crate) fn end(station: &Station, mut writing: Writing) -> Result<Progress, BlobFault> {
    writing.refuse_wrong_checksum()?;
    writing.file.sync_all().map_err(io(&writing.path))?;
    let Writing { turn, progress, .. } = writing;
    if progress.offset < progress.length {
        touch(station, turn.book(), turn.hash(), progress.length, false)?;
    } else {
        finish(station, &turn, progress.length)?;
    }
    Ok(progress)
}

fn finish(station: &Station, turn: &Turn, length: u64) -> Result<(), BlobFault> {
    let (book, hash) = (turn.book(), turn.hash());
    let path = station.blobs.part(book, &hash);
    // Read again from the disk: what is vouched for is what is kept.
    if kept::digest(&path)?.1 != hash {
        remove(&path)?;
        station
            .store
            .write(|tx| Ok::<_, StationError>(tx.drop_upload(book, &hash)?))?;
        station.count("blobs_wrong");
        return Err(BlobRefusal::WrongHash.into());
    }
    kept::take_over(&station.blobs.folder, &path, &hash)?;
    station.store.write(|tx| {
        if tx.is_named(&hash)? {
            Ok::<_, StationError>(tx.drop_upload(book, &hash)?)
        } else {
            Ok(tx.put_upload(&row(station, book, hash, length, true))?)
        }
    })?;
    station.count("blobs_arrived");
    Ok(())
}

/// Gives an upload up. A blob that has arrived stays.
pub(crate) fn terminate(station: &Station, turn: &Turn) -> Result<(), BlobFault> {
    let (book, hash) = (turn.book(), turn.hash());
    let row = station.store.read(|tx| Ok::<_, StationError>(tx.upload(book, &hash)?))?;
    if row.is_none_or(|row| row.arrived) {
        return Err(BlobRefusal::NotFound.into());
    }
    remove(&station.blobs.part(book, &hash))?;
    Ok(station
        .store
        .write(|tx| Ok::<_, StationError>(tx.drop_upload(book, &hash)?))?)
}

/// The length of a blob that is here. While no record names it, that this book has spoken of it keeps it for the time of grace: it may
/// count on what it is told.
fn note_arrived(station: &Station, book: BookId, hash: &Hash) -> Result<Option<u64>, StationError> {
    let Some(length) = station.blobs.arrived(hash) else {
        return Ok(None);
    };
    let (named, known) = station
        .store
        .read(|tx| Ok::<_, StationError>((tx.is_named(hash)?, tx.upload(book, hash)?)))?;
    let now = station.env.clock.now();
    if named || known.is_some_and(|known| known.arrived && now.since(known.touched_at) < TOUCH_MS) {
        return Ok(Some(length));
    }
    // Sweeping deletes within a step of its own: after this one is done, the file is there and stays, or it is gone.
    station
        .store
        .write(|tx| Ok::<_, StationError>(tx.put_upload(&row(station, book, *hash, length, true))?))?;
    Ok(station.blobs.arrived(hash))
}

fn refuse_over_quota(tx: &ReadTx<'_>, book: BookId, hash: &Hash, length: u64) -> Result<(), BlobFault> {
    if tx.is_named(hash)? {
        return Ok(());
    }
    let (uploads, bytes) = tx.unnamed_uploads(book, hash)?;
    if uploads >= UNNAMED_UPLOADS_MAX || bytes + length > UNNAMED_BYTES_MAX {
        return Err(BlobRefusal::Quota.into());
    }
    Ok(())
}

fn touch(station: &Station, book: BookId, hash: Hash, length: u64, arrived: bool) -> Result<(), StationError> {
    let now = station.env.clock.now();
    let known = station.store.read(|tx| Ok::<_, StationError>(tx.upload(book, &hash)?))?;
    let is_fresh =
        |known: &UploadRow| known.length == length && known.arrived == arrived && now.since(known.touched_at) < TOUCH_MS;
    if known.as_ref().is_some_and(is_fresh) {
        return Ok(());
    }
    station
        .store
        .write(|tx| Ok(tx.put_upload(&row(station, book, hash, length, arrived))?))
}

fn row(station: &Station, book: BookId, hash: Hash, length: u64, arrived: bool) -> UploadRow {
    let touched_at: UnixMillis = station.env.clock.now();
    UploadRow {
        book,
        hash,
        length,
        touched_at,
        arrived,
    }
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &std::path::Path) -> Result<(), StationError> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => Err(io(path)(fault)),
        _ => path.parent().map_or(Ok(()), sync_dir),
    }
}
