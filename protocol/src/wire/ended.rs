//! A book that ended: the station's order to part with the records, its word on the pages that it holds for the chief, and the phone's
//! last word, which goes to `POST /sync/v1/wiped`. Knows neither why a book ends nor what becomes of what is held.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use crate::codec::{self, CodecError, domain};
use crate::id::{BookId, Hash};
use crate::page::{BookPublicKey, KeyError, Signer as BookSigner};
use crate::time::UnixMillis;

/// The station's order to a phone whose book has ended: hand in what waits, then destroy keys and records. Good for one book of one
/// station alone, and for ever: a book that ended never comes back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WipeOrder {
    /// The book.
    #[n(0)]
    pub book: BookId,
    /// `lost`, `retired`, `transferred` or `blocked`.
    #[n(1)]
    pub why: String,
    /// When its writing ended, by the station's clock.
    #[n(2)]
    pub ended_at: UnixMillis,
    /// Ed25519 signature of the receipt key.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl WipeOrder {
    /// Signs an order.
    #[must_use]
    pub fn sign(book: BookId, why: &str, ended_at: UnixMillis, origin: &str, receipt_key: &SigningKey) -> Self {
        let message = wipe_message(origin, book, why, ended_at);
        Self {
            book,
            why: why.to_owned(),
            ended_at,
            signature: receipt_key.sign(&message).to_bytes().to_vec(),
        }
    }

    /// Whether the station of this name and key gave this order to this book.
    #[must_use]
    pub fn is_for(&self, book: BookId, origin: &str, receipt_key: &VerifyingKey) -> bool {
        let message = wipe_message(origin, self.book, &self.why, self.ended_at);
        self.book == book && holds(&self.signature, &message, receipt_key)
    }
}

fn wipe_message(origin: &str, book: BookId, why: &str, ended_at: UnixMillis) -> Vec<u8> {
    [
        domain::WIPE,
        origin.as_bytes(),
        &[0],
        book.as_bytes(),
        &ended_at.0.to_be_bytes(),
        why.as_bytes(),
    ]
    .concat()
}

/// The station's word on the pages of a request of a book that ended: what it holds for the chief, and what it could not.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Held {
    /// Pages that are held, by their headers' hashes, in the request's order.
    #[n(0)]
    pub pages: Vec<Hash>,
    /// Pages that are not, and why.
    #[n(1)]
    pub refused: Vec<NotHeld>,
    /// Ed25519 signature of the receipt key over both.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

/// A page that is not held.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct NotHeld {
    /// Its header's hash.
    #[n(0)]
    pub page: Hash,
    /// Why, as a code: `full`, or that of the page's fault.
    #[n(1)]
    pub code: String,
    /// Why, for people.
    #[n(2)]
    pub text: String,
}

impl Held {
    /// Signs what is held.
    #[must_use]
    pub fn sign(pages: Vec<Hash>, refused: Vec<NotHeld>, book: BookId, origin: &str, receipt_key: &SigningKey) -> Self {
        let message = held_message(origin, book, &pages, &refused);
        Self {
            pages,
            refused,
            signature: receipt_key.sign(&message).to_bytes().to_vec(),
        }
    }

    /// Whether the station of this name and key said so to this book.
    #[must_use]
    pub fn is_for(&self, book: BookId, origin: &str, receipt_key: &VerifyingKey) -> bool {
        let message = held_message(origin, book, &self.pages, &self.refused);
        holds(&self.signature, &message, receipt_key)
    }
}

fn held_message(origin: &str, book: BookId, pages: &[Hash], refused: &[NotHeld]) -> Vec<u8> {
    let said = Hash::of(&[&codec::to_bytes(&(pages, refused))]);
    [domain::HELD, origin.as_bytes(), &[0], book.as_bytes(), said.as_bytes()].concat()
}

fn holds(signature: &[u8], message: &[u8], key: &VerifyingKey) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

/// What a phone says last, before its book's key is destroyed: what it handed in, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WipeReceipt {
    /// The book.
    #[n(0)]
    pub book: BookId,
    /// Why, as the order said.
    #[n(1)]
    pub why: String,
    /// When keys and records were destroyed, by the phone's clock.
    #[n(2)]
    pub wiped_at: UnixMillis,
    /// Pages that the station holds.
    #[n(3)]
    pub held_pages: u64,
    /// Entries in them.
    #[n(4)]
    pub held_entries: u64,
    /// Own entries that go with the phone: the station could not hold them, or did not answer in time.
    #[n(5)]
    pub lost_entries: u64,
    /// Photos and recordings that the station does not have.
    #[n(6)]
    pub lost_blobs: u64,
    /// Things that were being typed.
    #[n(7)]
    pub lost_drafts: u64,
    /// Emergency notes that the station has not, when there are any: sealed as they are, they stay on the phone for a custodian.
    #[n(8)]
    pub left_notes: Option<u64>,
}

/// The last word as it travels and stays on the phone: `POST /sync/v1/wiped`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WipedRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// Bytes of a [`WipeReceipt`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub receipt: Vec<u8>,
    /// The book's signature over [`wiped_message`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl WipedRequest {
    /// Signs a last word by the book's key.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(receipt: &WipeReceipt, origin: &str, key: &dyn BookSigner) -> Result<Self, KeyError> {
        let receipt = codec::to_bytes(receipt);
        Ok(Self {
            version: super::WIRE_VERSION,
            signature: key.sign(&wiped_message(origin, &receipt))?,
            receipt,
        })
    }

    /// What it says. Whose word it is, [`WipedRequest::is_of`] tells.
    ///
    /// # Errors
    /// When the bytes are no receipt.
    pub fn receipt(&self) -> Result<WipeReceipt, CodecError> {
        codec::from_bytes("wipe receipt", &self.receipt)
    }

    /// Whether it is signed by this key, for the station of this name.
    #[must_use]
    pub fn is_of(&self, key: &BookPublicKey, origin: &str) -> bool {
        key.verifies(&wiped_message(origin, &self.receipt), &self.signature)
    }
}

/// What a book signs last.
#[must_use]
pub fn wiped_message(origin: &str, receipt: &[u8]) -> Vec<u8> {
    [domain::WIPED, origin.as_bytes(), &[0], receipt].concat()
}

/// The last word has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WipedResponse {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The station's clock.
    #[n(1)]
    pub server_time: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::BookKey;

    const AT: UnixMillis = UnixMillis(1_795_000_000_000);

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn book(byte: u8) -> BookId {
        BookId::from_bytes([byte; 16])
    }

    #[test]
    fn an_order_is_good_for_one_book_of_one_station_and_for_nothing_else() {
        let order = WipeOrder::sign(book(1), "lost", AT, "beatbook/a", &key(1));
        let ours = key(1).verifying_key();
        assert!(order.is_for(book(1), "beatbook/a", &ours));
        assert!(!order.is_for(book(2), "beatbook/a", &ours), "replayed to another book");
        assert!(!order.is_for(book(1), "beatbook/b", &ours), "of another station");
        assert!(
            !order.is_for(book(1), "beatbook/a", &key(2).verifying_key()),
            "by another key"
        );
        let changes: [fn(&mut WipeOrder); 4] = [
            |order| order.book = book(2),
            |order| order.why = "retired".into(),
            |order| order.ended_at = AT.plus(1),
            |order| order.signature.clear(),
        ];
        for change in changes {
            let mut forged = order.clone();
            change(&mut forged);
            assert!(!forged.is_for(forged.book, "beatbook/a", &ours), "{forged:?}");
        }
    }

    #[test]
    fn what_is_held_is_believed_as_it_was_said_alone() {
        let (page, other) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let refused = NotHeld {
            page: other,
            code: "full".into(),
            text: "no room".into(),
        };
        let held = Held::sign(vec![page], vec![refused], book(1), "beatbook/a", &key(1));
        let ours = key(1).verifying_key();
        assert!(held.is_for(book(1), "beatbook/a", &ours));
        assert!(!held.is_for(book(2), "beatbook/a", &ours));
        let mut forged = held.clone();
        forged.pages.push(other);
        assert!(!forged.is_for(book(1), "beatbook/a", &ours));
        let mut forged = held;
        forged.refused.clear();
        assert!(!forged.is_for(book(1), "beatbook/a", &ours));
    }

    #[test]
    fn the_last_word_is_the_books_own_and_for_its_station() {
        let ours = BookKey::from_secret(&[5; 32]).unwrap();
        let receipt = WipeReceipt {
            book: book(1),
            why: "lost".into(),
            wiped_at: AT,
            held_pages: 1,
            held_entries: 2,
            lost_entries: 0,
            lost_blobs: 1,
            lost_drafts: 0,
            left_notes: None,
        };
        let said = WipedRequest::sign(&receipt, "beatbook/a", &ours).unwrap();
        assert_eq!(said.receipt().unwrap(), receipt);
        assert!(said.is_of(&ours.public_key(), "beatbook/a"));
        assert!(!said.is_of(&ours.public_key(), "beatbook/b"));
        let other = BookKey::from_secret(&[6; 32]).unwrap();
        assert!(!said.is_of(&other.public_key(), "beatbook/a"));
        let mut forged = said;
        forged.receipt.push(0);
        assert!(!forged.is_of(&ours.public_key(), "beatbook/a"));
    }
}
