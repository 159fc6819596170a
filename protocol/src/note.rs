//! Emergency notes: a few words taken down while the app is locked, in a file that only the station and the custodians of the unit's keys
//! can open. The phone that wrote it cannot. Knows nothing of files on disks, nor of who opens one.
//!
//! ```text
//!  locked phone   NoteContent ─sign (book)──► letter ─seal to each key─► note file ~~ sync, after unlocking ~~► station ─open─► chief
//!                                                                              └~~ USB ~~► custodian ─open (his own key)
//! ```

use minicbor::{Decode, Encode};

use crate::codec::{self, domain};
use crate::id::{BookId, Hash, UnitId};
use crate::limits::{EMERGENCY_BYTES_MAX, EMERGENCY_CHARS_MAX, EMERGENCY_KEYS_MAX};
use crate::page::{BookPublicKey, Signer};
use crate::parcel::{SealError, SealingKey, SealingPublicKey};
use crate::place::Place;
use crate::time::UnixMillis;

/// The first bytes of a note's file.
pub const NOTE_MAGIC: &[u8; 8] = b"BBEMNOTE";
/// The version of the file.
pub const NOTE_VERSION: u32 = 1;

/// Why a note is not read. The file stays as it is.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum NoteFault {
    /// Not such a file, or one that was cut.
    #[error("this is no emergency note, or it was cut short on the way: copy the file again ({0})")]
    Unreadable(String),
    /// Written by a later version.
    #[error("the note is of version {0}: update the program")]
    Version(u32),
    /// For another station.
    #[error("the note is for {0}, another station")]
    OtherStation(String),
    /// It is not sealed to this key, or was changed.
    #[error("the note does not open under this key: it is sealed to others, or was changed on the way")]
    Sealed,
}

impl NoteFault {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "note_unreadable",
            Self::Version(_) => "note_version",
            Self::OtherStation(_) => "note_other_station",
            Self::Sealed => "note_sealed",
        }
    }
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NoteContent {
    /// The book of the phone's user: whose phone it was, not who held it.
    #[n(0)]
    pub book: BookId,
    /// His unit, as the phone knew it.
    #[n(1)]
    pub unit: UnitId,
    /// The words.
    #[n(2)]
    pub text: String,
    /// When, by the phone's clock.
    #[n(3)]
    pub at: UnixMillis,
    /// Where, as a `geo:` URI ([`Place`]).
    #[n(4)]
    pub place: Option<String>,
    /// Version of the app.
    #[n(5)]
    pub app: String,
    /// Random, so that the same words twice are two notes.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl NoteContent {
    /// What is wrong with the words or the place, for people; nothing when they can be sealed.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let chars = self.text.chars().count();
        if self.text.trim().is_empty() {
            return Some("the note is empty".to_owned());
        }
        if chars > EMERGENCY_CHARS_MAX {
            return Some(format!("the note has {chars} characters, {EMERGENCY_CHARS_MAX} are possible"));
        }
        let place = self.place.as_deref().map(Place::parse);
        place.and_then(Result::err).map(|fault| fault.to_string())
    }
}

/// A note's file: what whoever finds the phone sees of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NoteFile {
    /// Version of the file.
    #[n(0)]
    pub version: u32,
    /// The station's name in checkpoints.
    #[n(1)]
    pub origin: String,
    /// The letter, once for each key that opens it.
    #[n(2)]
    pub seals: Vec<NoteSeal>,
}

/// The letter, sealed to one key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NoteSeal {
    /// The public key, X25519.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// HPKE's encapsulated key, 32 bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// The sealed letter.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// The content, with the word of the phone's book that it wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct NoteLetter {
    #[cbor(n(0), with = "minicbor::bytes")]
    content: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: Option<Vec<u8>>,
}

/// A note that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedNote {
    /// What it says.
    pub content: NoteContent,
    letter: NoteLetter,
    origin: String,
}

impl OpenedNote {
    /// Whether the phone's book signed it: then it was written on that phone, whoever held it.
    #[must_use]
    pub fn is_signed_by(&self, key: &BookPublicKey) -> bool {
        let signature = self.letter.signature.as_deref();
        signature.is_some_and(|signature| key.verifies(&message(&self.origin, &self.letter.content), signature))
    }
}

/// The name of a note.
#[must_use]
pub fn note_hash(file: &[u8]) -> Hash {
    Hash::of(&[domain::NOTE, file])
}

impl NoteFile {
    /// Seals a content to keys, signed where the keystore signs while the app is locked; gives the file. `random` are fresh random bytes.
    ///
    /// # Errors
    /// Those of the keystore, when a key is none, or when there are none or too many.
    pub fn seal(
        content: &NoteContent,
        origin: &str,
        signer: Option<&dyn Signer>,
        to: &[SealingPublicKey],
        random: &[u8; 32],
    ) -> Result<Vec<u8>, SealError> {
        if to.is_empty() {
            return Err(SealError::Recipient);
        }
        if to.len() > EMERGENCY_KEYS_MAX {
            return Err(SealError::TooLong);
        }
        let content = codec::to_bytes(content);
        let signature = signer.map(|signer| signer.sign(&message(origin, &content))).transpose()?;
        let letter = codec::to_bytes(&NoteLetter { content, signature });
        let mut seals = Vec::with_capacity(to.len());
        for (number, key) in (0_u8..).zip(to) {
            let seed = Hash::of(&[domain::NOTE, random, &[number]]);
            let (encapsulated, sealed) = key.seal(&letter, &info(origin, key.as_bytes()), seed.as_bytes())?;
            seals.push(NoteSeal {
                key: *key.as_bytes(),
                encapsulated,
                sealed,
            });
        }
        let file = Self {
            version: NOTE_VERSION,
            origin: origin.to_owned(),
            seals,
        };
        let bytes = [NOTE_MAGIC.as_slice(), &codec::to_bytes(&file)].concat();
        if bytes.len() > EMERGENCY_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        Ok(bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is no note, was cut, or is of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteFault> {
        if bytes.len() > EMERGENCY_BYTES_MAX {
            return Err(NoteFault::Unreadable(format!(
                "it is longer than {EMERGENCY_BYTES_MAX} bytes"
            )));
        }
        let rest = bytes
            .strip_prefix(NOTE_MAGIC)
            .ok_or_else(|| NoteFault::Unreadable("it begins otherwise".to_owned()))?;
        let file: Self = codec::from_bytes("note", rest).map_err(|fault| NoteFault::Unreadable(fault.to_string()))?;
        if file.version != NOTE_VERSION {
            return Err(NoteFault::Version(file.version));
        }
        if file.seals.len() > EMERGENCY_KEYS_MAX {
            return Err(NoteFault::Unreadable("it is sealed to too many keys".to_owned()));
        }
        Ok(file)
    }

    /// Opens it with a key that it is sealed to.
    ///
    /// # Errors
    /// When it is not sealed to this key, was changed, or holds no note.
    pub fn open(&self, key: &SealingKey) -> Result<OpenedNote, NoteFault> {
        let public = key.public_key();
        let mut seals = self.seals.iter().filter(|seal| seal.key == *public.as_bytes());
        let opened = seals.find_map(|seal| key.open(&seal.encapsulated, &seal.sealed, &info(&self.origin, &seal.key)));
        let unreadable = |fault: codec::CodecError| NoteFault::Unreadable(fault.to_string());
        let letter: NoteLetter = codec::from_bytes("letter", &opened.ok_or(NoteFault::Sealed)?).map_err(unreadable)?;
        let content: NoteContent = codec::from_bytes("note", &letter.content).map_err(unreadable)?;
        if let Some(fault) = content.fault() {
            return Err(NoteFault::Unreadable(fault));
        }
        Ok(OpenedNote {
            content,
            letter,
            origin: self.origin.clone(),
        })
    }
}

fn message(origin: &str, content: &[u8]) -> Vec<u8> {
    [domain::NOTE, origin.as_bytes(), &[0], Hash::of(&[content]).as_bytes()].concat()
}

/// What a seal is bound to: the sort of file, the station, and the key.
fn info(origin: &str, key: &[u8; 32]) -> Vec<u8> {
    [domain::SEAL, NOTE_MAGIC, origin.as_bytes(), &[0], key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::BookKey;

    const ORIGIN: &str = "beatbook/test";

    fn content(text: &str) -> NoteContent {
        NoteContent {
            book: BookId::from_bytes([1; 16]),
            unit: UnitId::from_bytes([2; 16]),
            text: text.to_owned(),
            at: UnixMillis(5),
            place: Some("geo:39.971743,116.441827;u=12".to_owned()),
            app: "test".to_owned(),
            nonce: [3; 16],
        }
    }

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_bytes(&[byte; 32])
    }

    #[test]
    fn a_note_opens_for_each_of_its_keys_and_for_nobody_else_and_says_whose_phone_wrote_it() {
        let book = BookKey::from_secret(&[3; 32]).unwrap();
        let to = [key(7).public_key(), key(8).public_key()];
        let file = NoteFile::seal(&content("仓库起火"), ORIGIN, Some(&book), &to, &[4; 32]).unwrap();
        let words = "仓库起火".as_bytes();
        assert!(!file.windows(words.len()).any(|window| window == words));
        let note = NoteFile::parse(&file).unwrap();
        for byte in [7, 8] {
            let opened = note.open(&key(byte)).unwrap();
            assert_eq!(opened.content, content("仓库起火"));
            assert!(opened.is_signed_by(&book.public_key()));
            assert!(!opened.is_signed_by(&BookKey::from_secret(&[9; 32]).unwrap().public_key()));
        }
        assert_eq!(note.open(&key(9)), Err(NoteFault::Sealed));
        let elsewhere = NoteFile {
            origin: "beatbook/other".into(),
            ..note.clone()
        };
        assert_eq!(elsewhere.open(&key(7)), Err(NoteFault::Sealed), "bound to its station");
        let unsigned = NoteFile::seal(&content("x"), ORIGIN, None, &to, &[4; 32]).unwrap();
        assert!(
            !NoteFile::parse(&unsigned)
                .unwrap()
                .open(&key(7))
                .unwrap()
                .is_signed_by(&book.public_key())
        );
    }

    #[test]
    fn a_note_that_was_changed_or_cut_anywhere_does_not_open() {
        let file = NoteFile::seal(&content("急"), ORIGIN, None, &[key(7).public_key()], &[4; 32]).unwrap();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let opened = NoteFile::parse(&changed).and_then(|note| note.open(&key(7)));
            assert!(opened.is_err(), "byte {at}");
            assert!(NoteFile::parse(&file[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_note_takes_as_many_words_and_keys_as_it_may_and_no_more() {
        let keys: Vec<_> = (1..=10).map(|byte| key(byte).public_key()).collect();
        let longest = "界".repeat(EMERGENCY_CHARS_MAX);
        let seal = |text: &str, keys| NoteFile::seal(&content(text), ORIGIN, None, keys, &[4; 32]);
        let file = seal(&longest, &keys[..EMERGENCY_KEYS_MAX]).unwrap();
        assert!(file.len() <= EMERGENCY_BYTES_MAX && NoteFile::parse(&file).unwrap().open(&key(1)).is_ok());
        assert_eq!(seal("x", &keys[..=EMERGENCY_KEYS_MAX]), Err(SealError::TooLong));
        assert_eq!(seal("x", &[]), Err(SealError::Recipient));
        assert!(content(&format!("{longest}x")).fault().is_some());
        assert!(content(" \n").fault().is_some() && content(&longest).fault().is_none());
        assert!(NoteFile::parse(&[NOTE_MAGIC.as_slice(), &vec![0; EMERGENCY_BYTES_MAX]].concat()).is_err());
    }
}
