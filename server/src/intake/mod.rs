//! Intake: pages of a phone come in, a verdict on each of their entries goes out. The way of a page, each step a type that only the step
//! before can make:
//!
//! ```text
//!  SealedPage ─ verify ─► VerifiedPage ─ plan (lanes: change, act, guard, rules) ─► AdmittedPage ─► ledger
//! ```
//!
//! Pages are taken in by batches of bounded size. What a batch says of one record is a *lane*; lanes know nothing of each other and are
//! judged on all cores, each document replayed and proven once. Planned against looks at the database, outside the write lock; appended
//! under it, a batch in one transaction, when nothing that was looked at has moved, else planned again. A business fault never refuses
//! an entry: it flags the record.

mod act;
mod admit;
mod change;
mod cores;
mod desk;
mod held;
mod lane;
mod merge;
mod own;
mod plan;
mod verify;

use beatbook_protocol::id::BookId;
use beatbook_protocol::limits::PAGE_BYTES_SEAL;
use beatbook_protocol::page::SealedPage;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::PageAnswer;

pub(crate) use act::{rule, unfit};
pub(crate) use admit::AdmittedPage;
pub(crate) use desk::Author;
pub(crate) use held::{HeldEntry, judge_held};
pub(crate) use merge::{Others, looks_beyond};
pub(crate) use own::{OwnEntry, seal_own};
pub(crate) use verify::known as known_answer;

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{ReadTx, Store};
use admit::WriteLook;
use desk::Look;
use plan::{judge_here, judge_on_all_cores, plan};
use verify::arrive;

/// How often a batch is planned outside the lock before it is planned under it.
const PLANS_MAX: usize = 4;
/// Bytes of entries in one batch: four pages as phones seal them share one flush, others wait for the lock some tenths of a second at
/// most, and what stands in memory at once stays small.
const BATCH_BYTES: usize = 4 * PAGE_BYTES_SEAL;
/// Pages in one batch, however small.
const BATCH_PAGES: usize = 64;

/// Refuses to write for a book that has ended meanwhile: what commits after its end is not taken in as its author's.
pub(crate) fn refuse_ended(tx: &ReadTx<'_>, book: BookId) -> Result<(), StationError> {
    match tx.book_end(book)? {
        Some(_) => Err(StationError::Ended(book)),
        None => Ok(()),
    }
}

/// Takes pages in, in their order, or says why not; one answer for each. What is answered was flushed.
pub(crate) fn take_in_all(
    store: &Store,
    kinds: &Kinds,
    author: &Author,
    pages: Vec<SealedPage>,
    received: UnixMillis,
) -> Result<Vec<PageAnswer>, StationError> {
    let mut answers = Vec::with_capacity(pages.len());
    let mut pages = pages.into_iter().peekable();
    while pages.peek().is_some() {
        let mut bytes = 0;
        let mut batch = Vec::new();
        while let Some(page) = pages.next_if(|page| batch.is_empty() || bytes + size(page) <= BATCH_BYTES) {
            bytes += size(&page);
            batch.push(page);
            if batch.len() == BATCH_PAGES {
                break;
            }
        }
        answers.extend(take_in(store, kinds, author, batch, received)?);
    }
    Ok(answers)
}

fn size(page: &SealedPage) -> usize {
    page.entries.iter().map(|entry| entry.len()).sum()
}

fn take_in(
    store: &Store,
    kinds: &Kinds,
    author: &Author,
    batch: Vec<SealedPage>,
    received: UnixMillis,
) -> Result<Vec<PageAnswer>, StationError> {
    let arrived = arrive(store, author, batch)?;
    for _ in 0..PLANS_MAX {
        let planned = store.read(|tx| {
            let look = Look {
                tx,
                kinds,
                author,
                received,
            };
            plan(&look, &arrived, |lanes| judge_on_all_cores(store, &look, lanes))
        })?;
        if let Some(answers) = planned.known() {
            return Ok(answers);
        }
        let appended = store.write(|tx| {
            planned.append(&WriteLook {
                tx,
                kinds,
                author,
                received,
            })
        })?;
        if let Some(answers) = appended {
            return Ok(answers);
        }
    }
    store.write(|tx| {
        let look = WriteLook {
            tx,
            kinds,
            author,
            received,
        };
        let reading = look.reading();
        let planned = plan(&reading, &arrived, |lanes| judge_here(&reading, lanes))?;
        planned
            .append(&look)?
            .ok_or_else(|| StationError::Store("a page moved under the lock".into()))
    })
}
