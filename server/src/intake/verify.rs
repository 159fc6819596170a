//! First step: is it a page of this book, whole and signed? Looks into no entry, and not at the chain: that stands under a look at the
//! database.

use std::sync::Arc;

use beatbook_protocol::codec;
use beatbook_protocol::id::Hash;
use beatbook_protocol::ledger::Leaf;
use beatbook_protocol::page::{PageFault, SealedPage, VerifiedPage, header_hash};
use beatbook_protocol::wire::PageAnswer;

use super::Author;
use super::cores::{Queue, share_out};
use crate::error::StationError;
use crate::store::{ReadTx, Store};

/// What a page is on arrival.
#[derive(Debug)]
pub(super) enum Arrived {
    /// Taken in before: the stored answer.
    Known(PageAnswer),
    /// Whole and signed.
    Whole(Arc<VerifiedPage>),
    /// Not to be taken in as a whole.
    Faulty(Box<SealedPage>, PageFault),
}

impl Arrived {
    /// The hash of its header.
    pub(super) fn hash(&self) -> Hash {
        match self {
            Self::Known(answer) => answer.page,
            Self::Whole(page) => page.hash(),
            Self::Faulty(page, _) => header_hash(&page.header),
        }
    }

    /// The page as it came; none when it was taken in before.
    pub(super) fn sealed(&self) -> Option<&SealedPage> {
        match self {
            Self::Known(_) => None,
            Self::Whole(page) => Some(page.page()),
            Self::Faulty(page, _) => Some(page),
        }
    }
}

/// Pages for which another thread is worth its start: a signature takes as long as three of these.
const PAGES_A_THREAD: usize = 2;

/// Looks at pages as they came.
pub(super) fn arrive(store: &Store, author: &Author, pages: Vec<SealedPage>) -> Result<Vec<Arrived>, StationError> {
    let pages = store.read(|tx| {
        let look = |page: SealedPage| Ok((known(tx, &header_hash(&page.header))?, page));
        pages.into_iter().map(look).collect::<Result<Vec<_>, StationError>>()
    })?;
    share_out(pages, PAGES_A_THREAD, |queue: &Queue<_>| {
        let next = || queue.next();
        Ok(std::iter::from_fn(next)
            .map(|(number, (known, page))| (number, known.map_or_else(|| verify(author, page), Arrived::Known)))
            .collect())
    })
}

/// The stored answer to a page that was taken in before.
pub(crate) fn known(tx: &ReadTx<'_>, page: &Hash) -> Result<Option<PageAnswer>, StationError> {
    let Some(leaf) = tx.page_leaf(page)? else { return Ok(None) };
    let bytes = tx
        .leaf(leaf)?
        .ok_or_else(|| StationError::Damaged(format!("leaf {leaf} is missing")))?;
    let stored: Leaf =
        codec::from_bytes("leaf", &bytes).map_err(|fault| StationError::Damaged(format!("leaf {leaf}: {fault}")))?;
    Ok(Some(PageAnswer {
        page: *page,
        leaf: Some(leaf),
        verdicts: stored.verdicts,
        fault: None,
        expected: None,
    }))
}

fn verify(author: &Author, page: SealedPage) -> Arrived {
    match page.clone().verify(&author.key) {
        Ok(verified) if verified.header().book == author.book => Arrived::Whole(Arc::new(verified)),
        Ok(_) => Arrived::Faulty(Box::new(page), PageFault::Signature),
        Err(fault) => Arrived::Faulty(Box::new(page), fault),
    }
}
