//! The note that stays where a file was: what was handed in and what went, so that the app can say what happened, and how far the shredding
//! has come, so that a killed one goes on. Holds no record's content.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::WipeReceipt;
use serde::{Deserialize, Serialize};

use crate::lock::{Fate, sync_dir, write_whole};
use crate::store::beside;

/// Ending of the note beside the database.
pub(super) const ENDING: &str = ".ended";

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteState {
    /// Keys and records are being destroyed.
    Shredding,
    /// They are gone.
    Shredded,
    /// And the station knows.
    Told,
}

/// What the note says for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewelled {
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub why: String,
    /// When the destroying began, by the phone's clock.
    pub wiped_at: UnixMillis,
    /// Pages that the station holds.
    pub held_pages: u64,
    /// Entries in them.
    pub held_entries: u64,
    /// Entries that went with the phone.
    pub lost_entries: u64,
    /// Photos and recordings that went with it.
    pub lost_blobs: u64,
    /// Drafts that went with it.
    pub lost_drafts: u64,
    /// Emergency notes that the station has not: sealed as they are, they stay until a custodian has them.
    #[serde(default)]
    pub left_notes: u64,
    /// The book's key was lost: nothing could be handed in, and no last word signed, so that the station hears nothing of this.
    #[serde(default)]
    pub is_unsigned: bool,
}

impl Farewelled {
    pub(super) fn of(receipt: &WipeReceipt) -> Self {
        Self {
            why: receipt.why.clone(),
            wiped_at: receipt.wiped_at,
            held_pages: receipt.held_pages,
            held_entries: receipt.held_entries,
            lost_entries: receipt.lost_entries,
            lost_blobs: receipt.lost_blobs,
            lost_drafts: receipt.lost_drafts,
            left_notes: receipt.left_notes.unwrap_or(0),
            is_unsigned: false,
        }
    }
}

/// The note as it lies there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) state: NoteState,
    pub(super) said: Farewelled,
    /// The last word, packed, in base64; none once the station has it, or when none could be signed.
    last_word: Option<String>,
    /// Where the vault holds keys that are still to be destroyed.
    pub(super) key_handles: Vec<String>,
}

impl Note {
    pub(super) fn begin(said: Farewelled, packed: Option<&[u8]>, key_handles: Vec<String>) -> Self {
        Self {
            state: NoteState::Shredding,
            said,
            last_word: packed.map(|packed| STANDARD.encode(packed)),
            key_handles,
        }
    }

    pub(super) fn last_word(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.last_word.as_ref()?).ok()
    }

    pub(super) fn shredded(&mut self) {
        self.state = NoteState::Shredded;
        self.key_handles.clear();
    }

    pub(super) fn told(&mut self) {
        self.state = NoteState::Told;
        self.last_word = None;
    }

    /// The note beside a database's place, if there is one.
    pub(super) fn read(database: &Path) -> std::io::Result<Option<Self>> {
        match fs::read(place(database)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(std::io::Error::from),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Takes it away.
    pub(super) fn remove(database: &Path) -> std::io::Result<()> {
        let place = place(database);
        fs::remove_file(&place)?;
        sync_folder(&place)
    }

    /// Puts it there, whole or not at all; on the disk when this returns.
    pub(super) fn write(&self, database: &Path) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        write_whole(&place(database), &bytes, &Fate::default())
    }
}

fn place(database: &Path) -> PathBuf {
    beside(database, ENDING)
}

/// Flushes the folder of a file, so that its new name survives a power cut.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), sync_dir)
}
