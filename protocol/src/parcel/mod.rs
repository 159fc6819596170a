//! Parcels: an officer's own sealed pages in a file that anybody may carry to the station and nobody but the station can open, and the
//! station's answer in a file that only the author's phone can open. Knows nothing of files on disks, nor of who carries them.
//!
//! ```text
//!  author   pages ─► ParcelContent ─sign (book)──► letter ─seal to the station─► Parcel file ~~ USB, Bluetooth ~~► carrier
//!  station  Parcel file ─open─► letter ─verify─► pages ─► intake ─► AnswerContent ─sign─► letter ─seal to the author─► Answer file
//! ```
//!
//! Sealing is HPKE (RFC 9180) in base mode; see `docs/decisions/0010`.

mod seal;

use minicbor::{Decode, Encode};
pub use seal::{SealError, SealingKey, SealingPublicKey};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::codec::{self, domain};
use crate::id::{BookId, Hash, IncarnationId};
use crate::limits::{EXCHANGE_BYTES_MAX, PARCEL_BYTES_MAX};
use crate::page::{BookPublicKey, KeyError, SealedPage, Signer};
use crate::time::UnixMillis;
use crate::wire::{BlobPiece, BlobStanding, PageAnswer, Receipt};

/// The first bytes of a parcel's file.
pub const PARCEL_MAGIC: &[u8; 8] = b"BBPARCEL";
/// The first bytes of an answer's file.
pub const ANSWER_MAGIC: &[u8; 8] = b"BBANSWER";
/// The version of both files.
pub const PARCEL_VERSION: u32 = 1;

/// Why a parcel is not taken, or its answer is not. Nothing of it is stored then, and the author's pages wait as before.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum ParcelFault {
    /// Not such a file, or one that was cut.
    #[error("this is no parcel, or it was cut short on the way: copy the file again ({0})")]
    Unreadable(String),
    /// Written by a later version.
    #[error("the parcel is of version {0}: update the app")]
    Version(u32),
    /// For another station.
    #[error("the parcel is for {0}, another station: bring it there")]
    OtherStation(String),
    /// It does not open: changed on the way, or sealed to a key that the station no longer has.
    #[error("the parcel does not open: it was changed on the way or sealed to an old key; its author makes it again")]
    Sealed,
    /// What is inside is not signed by who it says.
    #[error("what is in the parcel is not signed by its author")]
    Signature,
    /// The station does not know the book, or it was revoked.
    #[error("the station does not know the phone that made the parcel: it must be enrolled again")]
    UnknownBook,
    /// The pages before those in it have not come.
    #[error("another parcel of the same author comes before this one: keep it, it is delivered again")]
    Early,
    /// Its author's book has ended: what is in it is held for the chief, who decides.
    #[error("the writing of the phone that made the parcel has ended: what is in it is held for the station's chief")]
    Ended,
}

impl ParcelFault {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "parcel_unreadable",
            Self::Version(_) => "parcel_version",
            Self::OtherStation(_) => "parcel_other_station",
            Self::Sealed => "parcel_sealed",
            Self::Signature => "parcel_signature",
            Self::UnknownBook => "parcel_unknown_book",
            Self::Early => "parcel_early",
            Self::Ended => "parcel_ended",
        }
    }
}

/// A parcel's file: what its carrier sees of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Parcel {
    /// Version of the file.
    #[n(0)]
    pub version: u32,
    /// The station's name in checkpoints.
    #[n(1)]
    pub origin: String,
    /// HPKE's encapsulated key, 32 bytes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// The sealed letter.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// What a parcel says to the station.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ParcelContent {
    /// The author's book.
    #[n(0)]
    pub book: BookId,
    /// The life of its database that is written in.
    #[n(1)]
    pub incarnation: IncarnationId,
    /// Pages, in order.
    #[n(2)]
    pub pages: Vec<SealedPage>,
    /// The key that the answer is sealed to: made for this parcel, X25519.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub answer_key: [u8; 32],
    /// When it was made, by the author's clock.
    #[n(4)]
    pub made_at: UnixMillis,
    /// Version of the app.
    #[n(5)]
    pub app: String,
    /// Pieces of photos and recordings that wait, as far as there was room.
    #[n(6)]
    pub blobs: Option<Vec<BlobPiece>>,
}

/// An answer's file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Answer {
    /// Version of the file.
    #[n(0)]
    pub version: u32,
    /// The station's name in checkpoints.
    #[n(1)]
    pub origin: String,
    /// The parcel that is answered.
    #[n(2)]
    pub parcel: Hash,
    /// HPKE's encapsulated key, 32 bytes.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// The sealed letter.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// What an answer says to the author.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AnswerContent {
    /// The parcel that is answered.
    #[n(0)]
    pub parcel: Hash,
    /// The station's clock.
    #[n(1)]
    pub server_time: UnixMillis,
    /// An answer to each page, in order.
    #[n(2)]
    pub answers: Vec<PageAnswer>,
    /// The receipt over them.
    #[n(3)]
    pub receipt: Receipt,
    /// The signed checkpoint after them, which says in which life of the ledger they are.
    #[n(4)]
    pub checkpoint: String,
    /// Ledger size up to which the station has a backup.
    #[n(5)]
    pub backed_up_to: Option<u64>,
    /// What the station has now of each blob of which the parcel held a piece.
    #[n(6)]
    pub blobs: Option<Vec<BlobStanding>>,
}

/// Signed bytes, as they are inside the seal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Letter {
    #[cbor(n(0), with = "minicbor::bytes")]
    content: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: Vec<u8>,
}

/// A parcel that was opened, its author not yet known to have signed it.
#[derive(Debug, Clone)]
pub struct OpenedParcel {
    content: ParcelContent,
    letter: Letter,
}

/// The name of a parcel.
#[must_use]
pub fn parcel_hash(file: &[u8]) -> Hash {
    Hash::of(&[domain::PARCEL, file])
}

impl Parcel {
    /// Signs and seals a content; gives the file. `random` are fresh random bytes.
    ///
    /// # Errors
    /// Those of the keystore, or when the station's key is none.
    pub fn seal(
        content: &ParcelContent,
        origin: &str,
        signer: &dyn Signer,
        station: &SealingPublicKey,
        random: &[u8; 32],
    ) -> Result<Vec<u8>, SealError> {
        let content = codec::to_bytes(content);
        let signature = signer.sign(&message(domain::PARCEL_CONTENT, &content))?;
        let info = info(PARCEL_MAGIC, origin, None);
        let (encapsulated, sealed) = seal_letter(&Letter { content, signature }, station, &info, random)?;
        let parcel = Self {
            version: PARCEL_VERSION,
            origin: origin.to_owned(),
            encapsulated,
            sealed,
        };
        file(PARCEL_MAGIC, &parcel)
    }

    /// Reads a file. Whoever carries it can read no more than this.
    ///
    /// # Errors
    /// When it is no parcel, was cut, or is of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParcelFault> {
        let parcel: Self = parse("parcel", PARCEL_MAGIC, bytes)?;
        check_version(parcel.version)?;
        Ok(parcel)
    }

    /// Opens it with the station's key.
    ///
    /// # Errors
    /// When it is for another station, does not open, or holds no letter.
    pub fn open(&self, origin: &str, key: &SealingKey) -> Result<OpenedParcel, ParcelFault> {
        if self.origin != origin {
            return Err(ParcelFault::OtherStation(self.origin.clone()));
        }
        let letter = open_letter(key, &self.encapsulated, &self.sealed, &info(PARCEL_MAGIC, origin, None))?;
        let content = codec::from_bytes("parcel", &letter.content).map_err(|fault| ParcelFault::Unreadable(fault.to_string()))?;
        Ok(OpenedParcel { content, letter })
    }
}

impl OpenedParcel {
    /// The book that it says it is of, to look its key up.
    #[must_use]
    pub const fn book(&self) -> BookId {
        self.content.book
    }

    /// The content, once its book is known to have signed it: nobody else can have pages set aside in its name.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(self, key: &BookPublicKey) -> Result<ParcelContent, ParcelFault> {
        let message = message(domain::PARCEL_CONTENT, &self.letter.content);
        if key.verifies(&message, &self.letter.signature) {
            Ok(self.content)
        } else {
            Err(ParcelFault::Signature)
        }
    }
}

impl Answer {
    /// Signs and seals an answer to the author; gives the file. `random` are fresh random bytes.
    ///
    /// # Errors
    /// When the parcel's answer key is none.
    pub fn seal(
        content: &AnswerContent,
        origin: &str,
        station: &SigningKey,
        author: &SealingPublicKey,
        random: &[u8; 32],
    ) -> Result<Vec<u8>, SealError> {
        let parcel = content.parcel;
        let content = codec::to_bytes(content);
        let signature = station.sign(&message(domain::PARCEL_ANSWER, &content)).to_bytes().to_vec();
        let info = info(ANSWER_MAGIC, origin, Some(&parcel));
        let (encapsulated, sealed) = seal_letter(&Letter { content, signature }, author, &info, random)?;
        let answer = Self {
            version: PARCEL_VERSION,
            origin: origin.to_owned(),
            parcel,
            encapsulated,
            sealed,
        };
        file(ANSWER_MAGIC, &answer)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is no answer, was cut, or is of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParcelFault> {
        let answer: Self = parse("answer", ANSWER_MAGIC, bytes)?;
        check_version(answer.version)?;
        Ok(answer)
    }

    /// Opens it with the parcel's own key: the station's word on the parcel.
    ///
    /// # Errors
    /// When it does not open, or is not signed by the station.
    pub fn open(&self, key: &SealingKey, station: &VerifyingKey) -> Result<AnswerContent, ParcelFault> {
        let info = info(ANSWER_MAGIC, &self.origin, Some(&self.parcel));
        let letter = open_letter(key, &self.encapsulated, &self.sealed, &info)?;
        let message = message(domain::PARCEL_ANSWER, &letter.content);
        let signed =
            Signature::from_slice(&letter.signature).is_ok_and(|signature| station.verify_strict(&message, &signature).is_ok());
        if !signed {
            return Err(ParcelFault::Signature);
        }
        let content: AnswerContent =
            codec::from_bytes("answer", &letter.content).map_err(|fault| ParcelFault::Unreadable(fault.to_string()))?;
        let holds = content.parcel == self.parcel && content.receipt.holds(&content.answers, &[], &[], station);
        if holds { Ok(content) } else { Err(ParcelFault::Signature) }
    }
}

/// What a station signs about its sealing key, with the key of its receipts.
#[must_use]
pub fn sealing_message(origin: &str, key: &[u8; 32]) -> Vec<u8> {
    [domain::SEALING_KEY, origin.as_bytes(), &[0], key].concat()
}

fn message(domain: &[u8], content: &[u8]) -> Vec<u8> {
    [domain, Hash::of(&[content]).as_bytes()].concat()
}

/// What the seal is bound to: which sort of file, for which station, and for which parcel.
fn info(magic: &[u8; 8], origin: &str, parcel: Option<&Hash>) -> Vec<u8> {
    let parcel = parcel.map_or(&[][..], |parcel| parcel.as_bytes());
    [domain::SEAL, magic, origin.as_bytes(), &[0], parcel].concat()
}

fn seal_letter(letter: &Letter, to: &SealingPublicKey, info: &[u8], random: &[u8; 32]) -> Result<(Vec<u8>, Vec<u8>), SealError> {
    let packed = codec::compress(&codec::to_bytes(letter)).map_err(|_| SealError::TooLong)?;
    to.seal(&packed, info, random)
}

fn open_letter(key: &SealingKey, encapsulated: &[u8], sealed: &[u8], info: &[u8]) -> Result<Letter, ParcelFault> {
    let packed = key.open(encapsulated, sealed, info).ok_or(ParcelFault::Sealed)?;
    let unreadable = |fault: codec::CodecError| ParcelFault::Unreadable(fault.to_string());
    let bytes = codec::decompress("parcel", &packed, EXCHANGE_BYTES_MAX).map_err(unreadable)?;
    codec::from_bytes("letter", &bytes).map_err(unreadable)
}

fn file<T: Encode<()>>(magic: &[u8; 8], message: &T) -> Result<Vec<u8>, SealError> {
    let bytes = [magic.as_slice(), &codec::to_bytes(message)].concat();
    if bytes.len() > PARCEL_BYTES_MAX {
        return Err(SealError::TooLong);
    }
    Ok(bytes)
}

fn parse<T: for<'b> Decode<'b, ()>>(what: &'static str, magic: &[u8; 8], bytes: &[u8]) -> Result<T, ParcelFault> {
    if bytes.len() > PARCEL_BYTES_MAX {
        return Err(ParcelFault::Unreadable(format!("it is longer than {PARCEL_BYTES_MAX} bytes")));
    }
    let rest = bytes
        .strip_prefix(magic)
        .ok_or_else(|| ParcelFault::Unreadable("it begins otherwise".to_owned()))?;
    codec::from_bytes(what, rest).map_err(|fault| ParcelFault::Unreadable(fault.to_string()))
}

const fn check_version(version: u32) -> Result<(), ParcelFault> {
    if version == PARCEL_VERSION {
        Ok(())
    } else {
        Err(ParcelFault::Version(version))
    }
}

impl From<KeyError> for SealError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::StationKey;
    use crate::page::BookKey;
    use crate::wire::receipt_root;

    const ORIGIN: &str = "beatbook/test";

    fn content() -> ParcelContent {
        ParcelContent {
            book: BookId::from_bytes([1; 16]),
            incarnation: IncarnationId::from_bytes([2; 16]),
            pages: Vec::new(),
            answer_key: *SealingKey::from_bytes(&[9; 32]).public_key().as_bytes(),
            made_at: UnixMillis(5),
            app: "test".into(),
            blobs: None,
        }
    }

    fn book() -> BookKey {
        BookKey::from_secret(&[3; 32]).unwrap()
    }

    fn sealed(key: &SealingKey) -> Vec<u8> {
        Parcel::seal(&content(), ORIGIN, &book(), &key.public_key(), &[4; 32]).unwrap()
    }

    #[test]
    fn a_parcel_opens_for_its_station_alone_and_says_what_its_book_signed() {
        let key = SealingKey::from_bytes(&[7; 32]);
        let file = sealed(&key);
        let parcel = Parcel::parse(&file).unwrap();
        let opened = parcel.open(ORIGIN, &key).unwrap();
        assert_eq!(opened.book(), content().book);
        assert_eq!(opened.clone().verify(&book().public_key()).unwrap(), content());
        let other = BookKey::from_secret(&[5; 32]).unwrap();
        assert_eq!(opened.verify(&other.public_key()), Err(ParcelFault::Signature));
        let open = |origin: &str, key: &SealingKey| parcel.open(origin, key).map(|opened| opened.content).unwrap_err();
        assert_eq!(open(ORIGIN, &SealingKey::from_bytes(&[8; 32])), ParcelFault::Sealed);
        assert_eq!(open("beatbook/other", &key), ParcelFault::OtherStation(ORIGIN.into()));
    }

    #[test]
    fn a_parcel_that_was_changed_or_cut_anywhere_says_so() {
        let key = SealingKey::from_bytes(&[7; 32]);
        let file = sealed(&key);
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let opened = Parcel::parse(&changed).and_then(|parcel| parcel.open(ORIGIN, &key));
            assert!(opened.is_err(), "byte {at} changed, and nobody noticed");
            assert!(
                matches!(Parcel::parse(&file[..at]), Err(ParcelFault::Unreadable(_))),
                "cut at {at}"
            );
        }
        // Readdressed by whoever carries it.
        let mut parcel = Parcel::parse(&file).unwrap();
        parcel.origin = "beatbook/other".into();
        assert_eq!(parcel.open("beatbook/other", &key).map(|_| ()), Err(ParcelFault::Sealed));
    }

    #[test]
    fn an_answer_is_the_stations_word_on_this_parcel_for_its_author_alone() {
        let (author, station) = (SealingKey::from_bytes(&[9; 32]), StationKey::from_bytes(&[6; 32]));
        let said = AnswerContent {
            parcel: Hash::from_bytes([1; 32]),
            server_time: UnixMillis(6),
            answers: Vec::new(),
            receipt: Receipt::sign(receipt_root(&[], &[], &[]), &station),
            checkpoint: "note".into(),
            backed_up_to: Some(3),
            blobs: None,
        };
        let seal = |station: &SigningKey| Answer::seal(&said, ORIGIN, station, &author.public_key(), &[4; 32]).unwrap();
        let answer = Answer::parse(&seal(&station)).unwrap();
        assert_eq!(answer.open(&author, &station.verifying_key()).unwrap(), said);
        assert_eq!(
            answer.open(&SealingKey::from_bytes(&[8; 32]), &station.verifying_key()),
            Err(ParcelFault::Sealed)
        );
        let forged = Answer::parse(&seal(&StationKey::from_bytes(&[5; 32]))).unwrap();
        assert_eq!(forged.open(&author, &station.verifying_key()), Err(ParcelFault::Signature));
        let moved = Answer {
            parcel: Hash::from_bytes([2; 32]),
            ..answer
        };
        assert_eq!(moved.open(&author, &station.verifying_key()), Err(ParcelFault::Sealed));
    }
}
