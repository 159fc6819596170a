//! What is left of a book that ended: a note beside the place where its file was. Found at the app's start, before any file is opened: it
//! says what happened, finishes a shredding that was cut short, and brings the last word to the station.

use std::path::{Path, PathBuf};

use beatbook_protocol::wire::{self, WipedResponse};

use super::note::{Farewelled, Note, NoteState};
use super::shred::{Shredder, finish};
use crate::sync::read_refusal;
use crate::transport::{Outcome, OutgoingRequest};

/// Where last words go.
const PATH: &str = "/sync/v1/wiped";

/// Something that could not be destroyed or noted now. The next start goes on.
#[derive(Debug, thiserror::Error)]
pub enum FarewellFault {
    /// A file.
    #[error("the file system: {0}; it goes on at the next start")]
    Files(#[from] std::io::Error),
    /// A key.
    #[error("a key could not be destroyed: {0}; it goes on at the next start")]
    Keys(String),
    /// It was stopped on the way.
    #[error("the shredding was stopped; it goes on at the next start")]
    Stopped,
}

/// What is left of a book that ended.
#[derive(Debug, Clone)]
pub struct Farewell {
    database: PathBuf,
    note: Note,
}

impl Farewell {
    /// Looks for the note beside a database's place. Where there is one, the database is not to be opened.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn find(database: &Path) -> Result<Option<Self>, FarewellFault> {
        let note = Note::read(database)?;
        Ok(note.map(|note| Self {
            database: database.to_owned(),
            note,
        }))
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> NoteState {
        self.note.state
    }

    /// What happened, for people.
    #[must_use]
    pub const fn said(&self) -> &Farewelled {
        &self.note.said
    }

    /// Whether nothing is left to be told: the station has the last word, or none could be signed for it.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        match self.note.state {
            NoteState::Shredding => false,
            NoteState::Shredded => self.note.said.is_unsigned,
            NoteState::Told => true,
        }
    }

    /// Takes the note away: the station has the last word, and the user has read what happened. Before that it stays; tells whether it went.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn dismiss(self) -> Result<bool, FarewellFault> {
        if !self.is_settled() {
            return Ok(false);
        }
        Note::remove(&self.database)?;
        Ok(true)
    }

    /// Finishes a shredding that was cut short.
    ///
    /// # Errors
    /// When something still cannot be destroyed.
    pub fn go_on(self, shredder: &dyn Shredder) -> Result<Self, FarewellFault> {
        if self.note.state == NoteState::Shredding {
            finish(&self.database, self.note, shredder, &mut |_| true)
        } else {
            Ok(self)
        }
    }

    /// The last word for the station; none before the shredding is done, once the station has it, and where none could be signed.
    #[must_use]
    pub fn request(&self) -> Option<OutgoingRequest> {
        if self.note.state != NoteState::Shredded {
            return None;
        }
        Some(OutgoingRequest {
            path: PATH,
            token: None,
            signature: None,
            body: self.note.last_word()?,
        })
    }

    /// Takes in what came of it. Without an answer of the station it stays to be told.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn receive(&mut self, outcome: &Outcome) -> Result<(), FarewellFault> {
        let is_told = match outcome {
            // Whatever stands between may answer as well, and say nothing of a station's.
            Outcome::Reply(packed) => wire::unpack(packed)
                .and_then(|bytes| wire::read::<WipedResponse>("wiped", &bytes))
                .is_ok(),
            // A station that does not know the book, or does not take the word, will not at any later time.
            Outcome::Refused { bytes, .. } => {
                let refusal = read_refusal(bytes);
                refusal.is_some_and(|refusal| matches!(refusal.code.as_str(), "unknown_book" | "malformed" | "version"))
            }
            Outcome::Failed(_) => false,
        };
        if is_told {
            self.note.told();
            self.note.write(&self.database)?;
        }
        Ok(())
    }
}
