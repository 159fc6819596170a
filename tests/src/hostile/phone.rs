//! A phone made by hand: a key, a book, and pages that say whatever it wants. It checks nothing that it is told.

use beatbook_protocol::codec;
use beatbook_protocol::document::{Document, Edit};
use beatbook_protocol::entry::{ChangeEntry, Entry, Opens};
use beatbook_protocol::id::{ActorId, BookId, Hash, IncarnationId, RecordId, UnitId};
use beatbook_protocol::kind::{Catalogue, DocumentName};
use beatbook_protocol::ledger::Position;
use beatbook_protocol::page::{BookKey, Draft, P256_SHA256, SealedPage, Signer as _, header_hash};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{self, Cursor, EnrolRequest, EnrolResponse, ExchangeRequest, WIRE_VERSION};

use super::Shot;
use crate::bench::BenchError;
use crate::fuzz::builtin;

/// The day on which all of this is written.
const AT: UnixMillis = UnixMillis(1_795_000_000_000);

/// A phone made by hand.
#[derive(Debug)]
pub struct HandPhone {
    key: BookKey,
    book: BookId,
    incarnation: IncarnationId,
    next: u64,
    previous: Hash,
    drawn: u64,
    secret: [u8; 32],
    enrolled: Option<EnrolResponse>,
    opened: Vec<RecordId>,
    /// How far it is, as it was told last.
    pub cursor: Option<Cursor>,
}

/// What a page says beside its entries, for those that lie.
#[derive(Debug, Clone, Default)]
pub struct Lies {
    /// Another book's name.
    pub book: Option<BookId>,
    /// Another header before.
    pub previous: Option<Hash>,
    /// Another key that signs.
    pub key: Option<BookKey>,
    /// Another time and checkpoint.
    pub stamp: Option<(UnixMillis, u64, Option<Position>)>,
}

impl HandPhone {
    /// A phone with a new key, and its enrolment request, packed.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn begin(code: &str) -> Result<(Self, Vec<u8>), BenchError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        let key = BookKey::from_secret(&secret).map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        let mut phone = Self {
            key,
            book: BookId::from_bytes([0; 16]),
            incarnation: IncarnationId::from_bytes([0; 16]),
            next: 0,
            previous: Hash::from_bytes([0; 32]),
            drawn: 0,
            secret,
            enrolled: None,
            opened: Vec::new(),
            cursor: None,
        };
        phone.book = BookId::from_bytes(phone.sixteen());
        phone.incarnation = IncarnationId::from_bytes(phone.sixteen());
        let public = phone.key.public_key().to_bytes();
        let message = wire::enrol_message(code, phone.book, &public);
        let request = EnrolRequest {
            version: WIRE_VERSION,
            code: code.to_owned(),
            book: phone.book,
            suite: P256_SHA256,
            proof: phone
                .key
                .sign(&message)
                .map_err(|fault| BenchError::Wrong(fault.to_string()))?,
            key: public,
            device: "by hand".into(),
            app: "by hand".into(),
            attestation: None,
        };
        Ok((phone, packed(&request)?))
    }

    /// Takes in the answer to the enrolment.
    ///
    /// # Errors
    /// When it is none.
    pub fn enrolled(self, answer: &[u8]) -> Result<Self, BenchError> {
        let read = wire::unpack(answer).and_then(|bytes| wire::read("enrolment", &bytes));
        let enrolled = read.map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        Ok(Self {
            enrolled: Some(enrolled),
            ..self
        })
    }

    /// Its token.
    #[must_use]
    pub fn token(&self) -> &str {
        self.enrolled.as_ref().map_or("", |enrolled| &enrolled.token)
    }

    /// Its unit.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        let unit = self.enrolled.as_ref().map(|enrolled| enrolled.unit);
        unit.unwrap_or(UnitId::from_bytes([0; 16]))
    }

    /// Its book.
    #[must_use]
    pub const fn book(&self) -> BookId {
        self.book
    }

    /// The records that it opened, the newest first.
    pub fn opened(&self) -> impl Iterator<Item = RecordId> {
        self.opened.iter().rev().copied()
    }

    /// Sixteen bytes that nobody else has.
    pub fn sixteen(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let hash = Hash::of(&[&self.secret, &self.drawn.to_be_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        bytes
    }

    /// A new record of a kind: its document as this phone has it, and the entry of its first change.
    ///
    /// # Errors
    /// When the edit is none of the kind.
    pub fn open(&mut self, kind: &str, edit: &Edit) -> Result<(RecordId, Document, Vec<u8>), BenchError> {
        let actor = ActorId::from_bytes(self.sixteen());
        let record = RecordId::from_bytes(self.sixteen());
        let mut document = blank(kind, actor)?;
        let change = document
            .edit(edit, AT)
            .map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        let entry = self.entry(record, kind, change.bytes, true);
        self.opened.push(record);
        Ok((record, document, entry))
    }

    /// The entry of a visit that is as it should be.
    ///
    /// # Errors
    /// When the edit is none of the kind.
    pub fn visit(&mut self) -> Result<Vec<u8>, BenchError> {
        let edit = Edit::new().field("purpose", "routine").field("outcome", "done");
        Ok(self.open("visit", &edit)?.2)
    }

    /// An entry of change bytes, whatever they are.
    #[must_use]
    pub fn entry(&self, record: RecordId, kind: &str, change: Vec<u8>, opens: bool) -> Vec<u8> {
        let opens = opens.then(|| Opens {
            kind: kind.to_owned(),
            version: 1,
            unit: self.unit(),
        });
        Entry::Change(ChangeEntry {
            record,
            document: DocumentName::Facts.into(),
            change,
            at: AT,
            settles: None,
            opens,
            on_behalf: None,
        })
        .to_bytes()
    }

    /// The next page, sealed; the one after follows it.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn seal(&mut self, entries: Vec<Vec<u8>>) -> Result<SealedPage, BenchError> {
        let page = self.lie(entries, Lies::default())?;
        self.next += 1;
        self.previous = header_hash(&page.header);
        Ok(page)
    }

    /// A page that lies, in the place of the next one; the next one stays the next.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn lie(&mut self, entries: Vec<Vec<u8>>, lies: Lies) -> Result<SealedPage, BenchError> {
        let seed = *Hash::of(&[&self.sixteen()]).as_bytes();
        let (wall, monotonic, checkpoint) = lies.stamp.unwrap_or((AT, 1, None));
        let header = Draft {
            suite: P256_SHA256,
            book: lies.book.unwrap_or(self.book),
            incarnation: self.incarnation,
            sequence: self.next,
            previous: lies.previous.unwrap_or(self.previous),
            stamp: Stamp {
                wall,
                boot: 1,
                monotonic,
                checkpoint,
            },
            follows: None,
            seed,
            entries: &entries,
        }
        .header();
        let key = lies.key.as_ref().unwrap_or(&self.key);
        SealedPage::seal(header, seed, entries, key).map_err(|fault| BenchError::Wrong(fault.to_string()))
    }

    /// Makes a page that was made by [`Self::lie`] the one that the next follows.
    pub fn follow(&mut self, page: &SealedPage) {
        self.next += 1;
        self.previous = header_hash(&page.header);
    }

    /// An exchange with these pages, packed.
    ///
    /// # Errors
    /// When it is larger than a message may be.
    pub fn exchange(&self, pages: Vec<SealedPage>) -> Result<Shot, BenchError> {
        Ok(shot(packed(&self.request(pages))?))
    }

    /// An exchange that brings nothing and asks for something.
    ///
    /// # Errors
    /// When it is larger than a message may be.
    pub fn ask(&self, cursor: Option<Cursor>, what: impl FnOnce(&mut ExchangeRequest)) -> Result<Shot, BenchError> {
        let mut request = self.request(Vec::new());
        (request.cursor, request.feed_bytes_max) = (cursor, None);
        what(&mut request);
        Ok(shot(packed(&request)?))
    }

    /// An exchange with these pages.
    #[must_use]
    pub fn request(&self, pages: Vec<SealedPage>) -> ExchangeRequest {
        ExchangeRequest {
            pages,
            kinds: Catalogue::builtin().ok().map(|catalogue| catalogue.digest()),
            app: "by hand".into(),
            feed_bytes_max: Some(0),
            ..ExchangeRequest::plain(self.book, self.incarnation, None)
        }
    }
}

/// An empty document of a kind.
///
/// # Errors
/// When there is no such kind.
pub(super) fn blank(kind: &str, actor: ActorId) -> Result<Document, BenchError> {
    let kind = builtin(kind);
    Document::open(&kind, DocumentName::Facts, actor, None, &[] as &[&[u8]]).map_err(|fault| BenchError::Wrong(fault.to_string()))
}

/// An exchange of these bytes.
pub(super) fn shot(body: Vec<u8>) -> Shot {
    Shot {
        path: "/sync/v1/exchange",
        body,
    }
}

fn packed<T: minicbor::Encode<()>>(message: &T) -> Result<Vec<u8>, BenchError> {
    codec::compress(&codec::to_bytes(message)).map_err(|fault| BenchError::Wrong(fault.to_string()))
}
