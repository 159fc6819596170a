//! Carrying notes up, after the user was let in and has exchanged: steps without IO. A note goes from the phone when the station has said
//! by its hash that it has it; one that the station would not have is set aside, never thrown away. When his book has ended, its key signs
//! for the notes, since no token is good any more.

use std::fs;
use std::path::Path;

use beatbook_protocol::page::Signer;
use beatbook_protocol::wire::{self, NotesRequest, NotesResponse, NotesSigned, WIRE_VERSION};

use super::{NoteError, NoteWaiting, REFUSED, waiting};
use crate::lock::{LockError, OpenUser, sync_dir};
use crate::store::sync_state::{self, OwnBook};
use crate::sync::{KeyVault as _, SyncError, read_refusal, token};
use crate::transport::{Outcome, OutgoingRequest};

/// Where notes go.
const PATH: &str = "/sync/v1/notes";
/// Notes in one request.
const NOTES_IN_REQUEST: usize = 8;

/// What carrying did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotesReport {
    /// Notes that the station has now.
    pub taken: u64,
    /// Notes that it would not have, set aside here.
    pub refused: u64,
    /// Why it ended before all were sent; the next sync goes on.
    pub fault: Option<String>,
}

/// One round of notes.
pub struct NoteDelivery<'u> {
    user: &'u OpenUser,
    token: Option<String>,
    /// Who signs, once the book has ended.
    signs: Option<(OwnBook, Box<dyn Signer + Send>)>,
    asked: Vec<NoteWaiting>,
    report: NotesReport,
    is_over: bool,
}

impl std::fmt::Debug for NoteDelivery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteDelivery")
            .field("user", &self.user)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<'u> NoteDelivery<'u> {
    /// Begins with what waits.
    ///
    /// # Errors
    /// Of the store.
    pub fn open(user: &'u OpenUser) -> Result<Self, NoteError> {
        let token = token(user.core_for_contact()).map_err(LockError::Core)?;
        Ok(Self {
            user,
            is_over: token.is_none(),
            token,
            signs: None,
            asked: Vec::new(),
            report: NotesReport::default(),
        })
    }

    /// Begins with what waits of a user whose book has ended.
    ///
    /// # Errors
    /// Of the store, and of the keystore. Without the book's key, when that is lost, nothing is sent, and the notes stay.
    pub fn open_past_end(user: &'u OpenUser) -> Result<Self, NoteError> {
        let book = user
            .core_for_contact()
            .read_past_end(sync_state::own_book)
            .map_err(LockError::Core)?;
        let sign = |book: OwnBook| match user.keys().load(&book.key_handle) {
            Ok(signer) => Ok(Some((book, signer))),
            Err(SyncError::KeyLost) => Ok(None),
            Err(fault) => Err(LockError::Sync(fault)),
        };
        let signs = book.map(sign).transpose()?.flatten();
        Ok(Self {
            user,
            token: None,
            is_over: signs.is_none(),
            signs,
            asked: Vec::new(),
            report: NotesReport::default(),
        })
    }

    /// Notes that are still on this phone: they wait, or the station would not have them.
    ///
    /// # Errors
    /// Of the disk.
    pub fn left(&self) -> Result<usize, NoteError> {
        let cabinet = self.user.cabinet();
        Ok(waiting(cabinet, false)?.len() + waiting(cabinet, true)?.len())
    }

    /// What to send next, or nothing when all is done for now.
    ///
    /// # Errors
    /// Of the disk.
    pub fn next_request(&mut self) -> Result<Option<OutgoingRequest>, NoteError> {
        if self.is_over {
            return Ok(None);
        }
        let mut notes = waiting(self.user.cabinet(), false)?;
        notes.truncate(NOTES_IN_REQUEST);
        if notes.is_empty() {
            return Ok(None);
        }
        let mut files = Vec::with_capacity(notes.len());
        for note in &notes {
            files.push(fs::read(&note.path)?.into());
        }
        let sign = |(book, signer): &(OwnBook, Box<dyn Signer + Send>)| {
            NotesSigned::sign(book.book, &files, &book.origin, signer.as_ref())
        };
        let signed = self.signs.as_ref().map(sign).transpose();
        let request = NotesRequest {
            version: WIRE_VERSION,
            signed: signed.map_err(|fault| LockError::Sync(SyncError::Key(fault)))?,
            notes: files,
        };
        let body = wire::pack(&request).map_err(|fault| NoteError::Lock(LockError::Reply(fault.to_string())))?;
        self.asked = notes;
        Ok(Some(OutgoingRequest {
            path: PATH,
            token: self.token.clone(),
            signature: None,
            body,
        }))
    }

    /// Takes in what came of it. What cannot be believed, or did not come, ends the round.
    ///
    /// # Errors
    /// Of the disk.
    pub fn receive(&mut self, outcome: Outcome) -> Result<(), NoteError> {
        let asked = std::mem::take(&mut self.asked);
        let packed = match outcome {
            Outcome::Reply(packed) => packed,
            Outcome::Refused { status, bytes } => {
                self.end(read_refusal(&bytes).map_or_else(|| format!("status {status}"), |refusal| refusal.to_string()));
                return Ok(());
            }
            Outcome::Failed(fault) => {
                self.end(fault.to_string());
                return Ok(());
            }
        };
        let bytes = wire::unpack(&packed);
        let response = bytes.and_then(|bytes| wire::read::<NotesResponse>("notes", &bytes));
        let response = match response {
            Ok(response) => response,
            Err(fault) => {
                self.end(SyncError::Reply(fault.to_string()).to_string());
                return Ok(());
            }
        };
        let mut moved = false;
        for note in &asked {
            let Some(answer) = response.answers.iter().find(|answer| answer.note == note.note) else {
                continue;
            };
            moved = true;
            if answer.code.is_none() {
                fs::remove_file(&note.path)?;
                self.report.taken += 1;
            } else {
                set_aside(&note.path)?;
                self.report.refused += 1;
            }
        }
        sync_dir(&self.user.cabinet().notes())?;
        if !moved {
            self.end("the station answered, but named none of the notes".to_owned());
        }
        Ok(())
    }

    /// What was done.
    #[must_use]
    pub fn report(self) -> NotesReport {
        self.report
    }

    fn end(&mut self, why: String) {
        self.is_over = true;
        self.report.fault = Some(why);
    }
}

fn set_aside(path: &Path) -> Result<(), NoteError> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let aside = dir.join(REFUSED);
    fs::create_dir_all(&aside)?;
    fs::rename(path, aside.join(name))?;
    Ok(sync_dir(&aside)?)
}
