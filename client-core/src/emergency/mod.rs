//! Emergency notes: what must be written down now, on a phone that is locked. Sealed at once to the station and to the custodians of the
//! unit, kept beside the encrypted file, and carried up after the next unlocking. Not even this phone can read one again. Knows neither
//! PINs nor records.

mod carry;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::EMERGENCY_NOTES_MAX;
use beatbook_protocol::note::{NoteContent, NoteFile, note_hash};
use beatbook_protocol::parcel::{SealError, SealingPublicKey};
use beatbook_protocol::time::UnixMillis;

use crate::lock::{Cabinet, LocalUser, LockError, Phone, sync_dir, write_whole};
use crate::platform::Clock as _;
use crate::sync::{APP, KeyVault};

pub use carry::{NoteDelivery, NotesReport};

/// Ending of a note's file.
const ENDING: &str = "note";
/// Folder of notes that the station would not have.
const REFUSED: &str = "refused";

/// What is to be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmergencyNote {
    /// The words.
    pub text: String,
    /// Where, as a `geo:` URI (see `protocol::place`), when the phone knows it.
    pub place: Option<String>,
}

/// A note that was not kept. What was said is still with whoever said it.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The words or the place cannot be sealed: show the message.
    #[error("{0}")]
    Invalid(String),
    /// So many notes wait already: unlock the phone, and go online.
    #[error("{EMERGENCY_NOTES_MAX} notes wait already: unlock the phone and go online, then write on")]
    Full,
    /// This phone knows no key to seal to: it was never in touch with its station.
    #[error(
        "this phone was never in touch with its station, and knows nobody who could read the note: unlock it and write there"
    )]
    NoKeys,
    /// Keys that cannot be sealed to.
    #[error("the note could not be sealed: {0}")]
    Seal(#[from] SealError),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk.
    #[error("the note could not be kept: {0}")]
    Files(#[from] std::io::Error),
}

/// A note that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteWaiting {
    /// Its name.
    pub note: Hash,
    /// Its file: a custodian takes a copy of it to open it without the station.
    pub path: PathBuf,
    /// When it was written, by this phone's clock.
    pub at: UnixMillis,
    /// Whether the station would not have it; it is kept until its custodian has it.
    pub is_refused: bool,
}

impl Phone {
    /// Writes a note down while the user's file is locked, or open. When this returns it is on the disk.
    ///
    /// # Errors
    /// When it was not kept, and why.
    pub fn note(&self, user: &LocalUser, note: &EmergencyNote) -> Result<Hash, NoteError> {
        let cabinet = self.cabinet(user)?;
        keep(&cabinet, &cabinet.keys(), note)
    }

    /// The notes of a user that wait, oldest first; also of one whose book has ended: then only a custodian can still take them.
    ///
    /// # Errors
    /// Of the disk.
    pub fn notes_waiting(&self, user: &LocalUser) -> Result<Vec<NoteWaiting>, NoteError> {
        let (cabinet, _) = self.cabinet_or_parted(user)?;
        let mut notes = waiting(&cabinet, false)?;
        notes.extend(waiting(&cabinet, true)?);
        Ok(notes)
    }

    /// A custodian has taken a copy of a note that will not reach the station: it goes from this phone. One that the station may still take
    /// stays; tells whether it went.
    ///
    /// # Errors
    /// Of the disk.
    pub fn note_taken(&self, user: &LocalUser, note: &Hash) -> Result<bool, NoteError> {
        let (cabinet, has_parted) = self.cabinet_or_parted(user)?;
        let mut notes = waiting(&cabinet, true)?;
        if has_parted {
            notes.extend(waiting(&cabinet, false)?);
        }
        let Some(taken) = notes.iter().find(|waiting| waiting.note == *note) else {
            return Ok(false);
        };
        fs::remove_file(&taken.path)?;
        sync_dir(taken.path.parent().unwrap_or(&taken.path))?;
        Ok(true)
    }
}

/// Whether there is any note in a user's folder, also one whose name does not say when it was written.
pub(crate) fn are_left(notes: &Path) -> std::io::Result<bool> {
    for dir in [notes.to_owned(), notes.join(REFUSED)] {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            if entry?.path().extension().is_some_and(|ending| ending == ENDING) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn keep(cabinet: &Cabinet, keys: &dyn KeyVault, note: &EmergencyNote) -> Result<Hash, NoteError> {
    let station = match cabinet.station() {
        Ok(station) => station,
        Err(LockError::NotEnrolled) => return Err(NoteError::NoKeys),
        Err(error) => return Err(error.into()),
    };
    let all = std::iter::once(&station.sealing_key).chain(station.custodians.iter().map(|key| &key.0));
    let to: Vec<SealingPublicKey> = all
        .filter_map(|key| Some(SealingPublicKey::from_bytes(key.as_slice().try_into().ok()?)))
        .collect();
    if to.is_empty() {
        return Err(NoteError::NoKeys);
    }
    let at = cabinet.platform().wall();
    let content = NoteContent {
        book: station.book,
        unit: station.unit,
        text: note.text.clone(),
        at,
        place: note.place.clone(),
        app: APP.to_owned(),
        nonce: cabinet.platform().bytes(),
    };
    if let Some(fault) = content.fault() {
        return Err(NoteError::Invalid(fault));
    }
    if waiting(cabinet, false)?.len() >= EMERGENCY_NOTES_MAX {
        return Err(NoteError::Full);
    }
    // A keystore that does not sign while the phone is locked must not lose the note: it goes without.
    let signer = keys.load(&station.key_handle).ok();
    let signed = |signer| NoteFile::seal(&content, &station.origin, signer, &to, &cabinet.platform().bytes());
    let file = match signer.as_deref().map(|signer| signed(Some(signer))) {
        Some(Ok(file)) => file,
        Some(Err(SealError::Key(_))) | None => signed(None)?,
        Some(Err(error)) => return Err(error.into()),
    };
    let hash = note_hash(&file);
    let dir = cabinet.notes();
    fs::create_dir_all(&dir)?;
    sync_dir(dir.parent().unwrap_or(&dir))?;
    write_whole(
        &dir.join(format!("{:015}-{hash}.{ENDING}", at.0.max(0))),
        &file,
        cabinet.fate(),
    )?;
    Ok(hash)
}

/// The notes of a folder, oldest first. What a write left half done has another ending.
fn waiting(cabinet: &Cabinet, is_refused: bool) -> Result<Vec<NoteWaiting>, NoteError> {
    let dir = if is_refused {
        cabinet.notes().join(REFUSED)
    } else {
        cabinet.notes()
    };
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_note = path.extension().is_some_and(|ending| ending == ENDING);
        let Some((at, hash)) = name.split_once('-').filter(|_| is_note) else {
            continue;
        };
        if let (Ok(at), Ok(note)) = (at.parse(), hash.parse()) {
            notes.push(NoteWaiting {
                note,
                path,
                at: UnixMillis(at),
                is_refused,
            });
        }
    }
    notes.sort_unstable_by_key(|note| (note.at, note.note));
    Ok(notes)
}
