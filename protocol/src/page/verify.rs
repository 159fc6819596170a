//! Verifying: the one door from bytes of a phone to a page that may be taken in. Checks are over the received bytes, cheapest first.

use super::{BookPublicKey, Header, SealedPage, entries_root, header_hash, salt};
use crate::codec;
use crate::id::{Hash, IncarnationId};
use crate::limits::{ENTRY_BYTES_MAX, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};

/// Why a page as a whole is not taken in. The phone keeps it aside and seals its entries again in a new incarnation.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum PageFault {
    /// The header cannot be read.
    #[error("the page's header cannot be read: {0}")]
    Header(String),
    /// Too many or too large entries.
    #[error("the page is larger than allowed")]
    TooLarge,
    /// Another count of entries than signed.
    #[error("the page holds another number of entries than its header says")]
    Count,
    /// The signed root is not over these entries.
    #[error("the page's entries are not those that were signed")]
    Root,
    /// Not signed by the book's key.
    #[error("the page's signature is not the book's")]
    Signature,
    /// Not the next page of its book.
    #[error("the page does not follow the book's last one (expected number {expected})")]
    Chain {
        /// The number that would follow.
        expected: u64,
    },
}

impl PageFault {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Header(_) => "page_header",
            Self::TooLarge => "page_too_large",
            Self::Count => "page_count",
            Self::Root => "page_root",
            Self::Signature => "page_signature",
            Self::Chain { .. } => "page_chain",
        }
    }
}

/// The end of a book's chain in one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The incarnation.
    pub incarnation: IncarnationId,
    /// The number of the next page.
    pub next: u64,
    /// Hash of the last header; zeros before the first.
    pub last: Hash,
}

/// A page whose signature, root and sizes hold. Made by [`SealedPage::verify`] alone.
#[derive(Debug, Clone)]
pub struct VerifiedPage {
    header: Header,
    hash: Hash,
    page: SealedPage,
}

impl SealedPage {
    /// The header, unverified: only to look up the book and the page's hash.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn header(&self) -> Result<Header, PageFault> {
        codec::from_bytes("page header", &self.header).map_err(|fault| PageFault::Header(fault.to_string()))
    }

    /// Verifies the page under its book's key.
    ///
    /// # Errors
    /// Names the first fault; the page is then quarantined as a whole.
    pub fn verify(self, key: &BookPublicKey) -> Result<VerifiedPage, PageFault> {
        let header = self.header()?;
        let bytes: usize = self.entries.iter().map(|entry| entry.len()).sum();
        let large = self.entries.iter().any(|entry| entry.len() > ENTRY_BYTES_MAX);
        if self.entries.len() > PAGE_ENTRIES_MAX || bytes > PAGE_BYTES_MAX || large {
            return Err(PageFault::TooLarge);
        }
        if usize::try_from(header.entries) != Ok(self.entries.len()) || self.entries.is_empty() {
            return Err(PageFault::Count);
        }
        if entries_root(&self.seed, self.entries.iter().map(|entry| entry.as_slice())) != header.root {
            return Err(PageFault::Root);
        }
        if header.suite != key.suite() || !key.verifies(&Self::message(&self.header), &self.signature) {
            return Err(PageFault::Signature);
        }
        Ok(VerifiedPage {
            header,
            hash: header_hash(&self.header),
            page: self,
        })
    }
}

impl VerifiedPage {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The header's hash, which names the page.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The page as it came.
    #[must_use]
    pub const fn page(&self) -> &SealedPage {
        &self.page
    }

    /// The entries' bytes, each with its salt.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], [u8; 16])> {
        (0_u32..)
            .zip(&self.page.entries)
            .map(|(position, entry)| (entry.as_slice(), salt(&self.page.seed, position)))
    }

    /// The end of its chain once it is taken in.
    #[must_use]
    pub fn as_tip(&self) -> Tip {
        Tip {
            incarnation: self.header.incarnation,
            next: self.header.sequence.saturating_add(1),
            last: self.hash,
        }
    }

    /// Whether it is the page that follows the tip.
    ///
    /// # Errors
    /// When it is not; the fault names the number expected.
    pub fn check_follows(&self, tip: &Tip) -> Result<(), PageFault> {
        let follows =
            self.header.incarnation == tip.incarnation && self.header.sequence == tip.next && self.header.previous == tip.last;
        if follows {
            Ok(())
        } else {
            Err(PageFault::Chain { expected: tip.next })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BookId;
    use crate::page::{BookKey, Draft, P256_SHA256, Signer};
    use crate::time::{Stamp, UnixMillis};

    fn page(entries: Vec<Vec<u8>>, key: &BookKey) -> SealedPage {
        let draft = Draft {
            suite: P256_SHA256,
            book: BookId::from_bytes([1; 16]),
            incarnation: IncarnationId::from_bytes([2; 16]),
            sequence: 0,
            previous: Hash::from_bytes([0; 32]),
            stamp: Stamp {
                wall: UnixMillis(5),
                boot: 1,
                monotonic: 2,
                checkpoint: None,
            },
            follows: None,
            seed: [9; 32],
            entries: &entries,
        };
        SealedPage::seal(draft.header(), [9; 32], entries.clone(), key).unwrap()
    }

    #[test]
    fn a_page_verifies_under_its_own_key_only() {
        let key = BookKey::from_secret(&[3; 32]).unwrap();
        let sealed = page(vec![b"one".to_vec(), b"two".to_vec()], &key);
        let verified = sealed.clone().verify(&key.public_key()).unwrap();
        assert_eq!(
            verified.entries().map(|(entry, _)| entry.to_vec()).collect::<Vec<_>>(),
            [b"one".to_vec(), b"two".to_vec()]
        );
        let other = BookKey::from_secret(&[4; 32]).unwrap();
        assert_eq!(sealed.verify(&other.public_key()).unwrap_err(), PageFault::Signature);
    }

    #[test]
    fn entries_cannot_be_changed_dropped_added_or_reordered() {
        let key = BookKey::from_secret(&[3; 32]).unwrap();
        let sealed = page(vec![b"one".to_vec(), b"two".to_vec()], &key);
        let broken = |change: fn(&mut SealedPage)| {
            let mut page = sealed.clone();
            change(&mut page);
            page.verify(&key.public_key()).unwrap_err()
        };
        assert_eq!(broken(|page| page.entries[0] = b"One".to_vec().into()), PageFault::Root);
        assert_eq!(broken(|page| page.entries.swap(0, 1)), PageFault::Root);
        assert_eq!(broken(|page| page.seed[0] ^= 1), PageFault::Root);
        assert_eq!(broken(|page| drop(page.entries.pop())), PageFault::Count);
        assert_eq!(broken(|page| page.entries.push(b"x".to_vec().into())), PageFault::Count);
        assert_eq!(
            broken(|page| page.entries[0] = vec![0; ENTRY_BYTES_MAX + 1].into()),
            PageFault::TooLarge
        );
        assert_eq!(broken(|page| page.header[20] ^= 1), PageFault::Signature);
        assert!(matches!(broken(|page| page.header.clear()), PageFault::Header(_)));
    }

    #[test]
    fn a_page_out_of_its_place_names_the_number_expected() {
        let key = BookKey::from_secret(&[3; 32]).unwrap();
        let verified = page(vec![b"one".to_vec()], &key).verify(&key.public_key()).unwrap();
        let tip = Tip {
            incarnation: IncarnationId::from_bytes([2; 16]),
            next: 0,
            last: Hash::from_bytes([0; 32]),
        };
        assert_eq!(verified.check_follows(&tip), Ok(()));
        assert_eq!(
            verified.check_follows(&Tip { next: 4, ..tip }),
            Err(PageFault::Chain { expected: 4 })
        );
    }
}
