//! What is here of a record's files and what has arrived, reading content, wanting it, and making room. Content leaves the phone only
//! after the station acknowledged its hash.

use std::collections::BTreeMap;

use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{Hash, RecordId};

use super::folder::{Content, FETCHED, FRESH, Folder};
use crate::core::Core;
use crate::error::{CoreError, Fault};
use crate::store::blobs::{self, BlobRow};
use crate::store::{StoreError, sync_state};

/// The files of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFiles {
    /// Each that the record names, removed ones included.
    pub files: Vec<FileView>,
    /// Whether the station has every one that was not removed, small pictures included, as far as this phone has been told.
    pub complete: bool,
}

/// One file of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    /// The blob's name.
    pub hash: Hash,
    /// What the record says of it.
    pub file: FileRef,
    /// Whether its content is on this phone.
    pub here: bool,
    /// Whether its small picture is.
    pub thumbnail_here: bool,
    /// Whether the station has it, and its small picture.
    pub arrived: bool,
}

impl Core {
    /// The files that a record names, and where each is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn record_files(&self, record: RecordId) -> Result<RecordFiles, CoreError> {
        let rows = self.read(|tx| blobs::files(tx, record))?;
        let files: Vec<FileView> = rows
            .into_iter()
            .map(|row| FileView {
                hash: row.hash,
                here: row.stands.0,
                thumbnail_here: row.thumbnail_stands.is_some_and(|stands| stands.0),
                arrived: row.stands.1 && row.thumbnail_stands.is_none_or(|stands| stands.1),
                file: row.file,
            })
            .collect();
        let complete = files.iter().all(|file| file.arrived || file.file.removed);
        Ok(RecordFiles { files, complete })
    }

    /// A blob's content, decrypted as it is read; none when it is not on this phone: want it then.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn blob(&self, hash: &Hash) -> Result<Option<Content>, CoreError> {
        let row = self.read(|tx| blobs::get(tx, hash))?;
        let whole = row.filter(|row| row.whole);
        let Some((secret, bytes)) = whole.and_then(|row| Some((row.secret?, row.bytes))) else {
            return Ok(None);
        };
        Ok(self.blob_folder().open(&secret, bytes)?)
    }

    /// Wants a blob that a record names: it is fetched in the next blob sync, whatever the network costs.
    ///
    /// # Errors
    /// When no record on this phone names it.
    pub fn want_blob(&self, hash: &Hash) -> Result<(), CoreError> {
        self.write(|records| {
            if blobs::want(records.tx(), hash, records.now())? {
                return Ok::<_, Fault>(());
            }
            Err(unknown(hash).into())
        })
    }

    /// Sends a waiting blob in the next blob sync, whatever the network costs.
    ///
    /// # Errors
    /// When it does not wait.
    pub fn send_blob(&self, hash: &Hash) -> Result<(), CoreError> {
        self.write(|records| {
            if blobs::ask_to_send(records.tx(), hash)? {
                return Ok::<_, Fault>(());
            }
            Err(unknown(hash).into())
        })
    }

    /// How many own blobs wait for the station, and their bytes that it does not have.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn blobs_owed(&self) -> Result<(u64, u64), CoreError> {
        self.read(blobs::owed)
    }

    /// Makes room: takes content off this phone until at most so many bytes are kept, the longest unused first. Only what the station
    /// has acknowledged goes; small pictures stay, and so does all that belongs to work which waits or came back. Tells how many bytes
    /// went.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn free_blobs(&self, bytes_kept_max: u64) -> Result<u64, CoreError> {
        let folder = self.blob_folder();
        self.doubt_restored()?;
        let mut freed = 0;
        loop {
            let spare = self.read(|tx| Ok((blobs::spare(tx)?.into_iter().next(), blobs::held(tx)?)))?;
            let (Some(spare), held) = spare else { return Ok(freed) };
            let Some(secret) = spare.secret.filter(|_| held > bytes_kept_max) else {
                return Ok(freed);
            };
            // Under a passing name first: a kill on either side of the next step is then made good at the next opening.
            folder.set_down(&secret)?;
            let gone = self.write(|records| {
                let tx = records.tx();
                // Somebody may have attached it anew since the look.
                if blobs::spare(tx)?.first() != Some(&spare) {
                    return Ok(false);
                }
                let empty = BlobRow {
                    secret: None,
                    held: 0,
                    whole: false,
                    ..spare.clone()
                };
                blobs::set_held(tx, &empty, records.now())?;
                Ok::<_, StoreError>(true)
            })?;
            if gone {
                folder.remove(&secret, FRESH)?;
                freed += spare.bytes;
            } else {
                folder.keep(&secret, FRESH)?;
            }
        }
    }

    /// The folder of this user's blobs.
    pub(crate) fn blob_folder(&self) -> Folder {
        Folder::beside(self.file())
    }

    /// A station that was restored from a backup may have lost what it once acknowledged: it is asked again, and until then nothing
    /// counts on it.
    pub(super) fn doubt_restored(&self) -> Result<(), CoreError> {
        let exchanged = self.read(sync_state::exchanged)?;
        match exchanged.cursor {
            Some(cursor) => self.write(|records| blobs::doubt_in_epoch(records.tx(), cursor.position.epoch)),
            None => Ok(()),
        }
    }

    /// Removes the files of records that have left this phone.
    pub(super) fn remove_left(&self) -> Result<(), CoreError> {
        let folder = self.blob_folder();
        for secret in self.read(blobs::left)? {
            for ending in ["", FRESH, FETCHED] {
                folder.remove(&secret, ending)?;
            }
            self.write(|records| blobs::forget(records.tx(), &secret))?;
        }
        Ok(())
    }

    /// After a kill: what the database knows gets its lasting name, and what it never came to know was promised to nobody. A file under
    /// its lasting name is left alone even if no row knows it: the database may be an older copy.
    pub(crate) fn recover_blobs(&self) -> Result<(), CoreError> {
        let folder = self.blob_folder();
        let names = folder.names()?;
        let is_passing = |name: &String| name.ends_with(FRESH) || name.ends_with(FETCHED);
        if !names.iter().any(is_passing) {
            return Ok(());
        }
        let secrets = self.read(blobs::secrets)?;
        let known: BTreeMap<String, ([u8; 32], bool)> = secrets
            .into_iter()
            .map(|(secret, whole)| (Folder::name(&secret), (secret, whole)))
            .collect();
        for name in names.iter().filter(|name| is_passing(name)) {
            let ending = if name.ends_with(FRESH) { FRESH } else { FETCHED };
            match known.get(name.trim_end_matches(ending)) {
                Some((secret, true)) => folder.keep(secret, ending)?,
                Some((_, false)) if ending == FETCHED => {}
                Some(_) | None => std::fs::remove_file(folder.path().join(name)).map_err(super::BlobFault::from)?,
            }
        }
        Ok(())
    }
}

fn unknown(hash: &Hash) -> CoreError {
    CoreError::Unknown {
        what: format!("blob {hash}"),
    }
}
