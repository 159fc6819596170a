//! Intake: a page of a phone comes in, a verdict on each of its entries goes out. The way of a page, each step a type that only the step
//! before can make:
//!
//! ```text
//!  SealedPage ─ verify ─► VerifiedPage ─ admit (change, act, guard, rules) ─► AdmittedPage ─► ledger
//! ```
//!
//! Planned against one look at the database, outside the write lock; appended under it when nothing it looked at has moved, else planned
//! again. A business fault never refuses an entry: it flags the record.

mod act;
mod admit;
mod change;
mod desk;
mod merge;
mod own;
mod verify;

use beatbook_protocol::id::Hash;
use beatbook_protocol::page::{PageFault, SealedPage, VerifiedPage};
use beatbook_protocol::wire::{PageAnswer, Verdict, runs};

pub(crate) use act::said_bytes;
pub(crate) use admit::{Admission, AdmittedPage};
pub(crate) use desk::Author;
pub(crate) use own::{OwnEntry, seal_own};

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::{ReadTx, Store, WriteTx};
use beatbook_protocol::time::UnixMillis;
use verify::{Arrived, verify};

/// How often a page is planned outside the lock before it is planned under it.
const PLANS_MAX: usize = 4;

/// Takes a page in, or says why not. What is answered was flushed.
pub(crate) fn take_in(
    store: &Store,
    kinds: &Kinds,
    author: &Author,
    page: &SealedPage,
    received: UnixMillis,
) -> Result<PageAnswer, StationError> {
    for _ in 0..PLANS_MAX {
        let planned = store.read(|tx| plan(tx, kinds, author, page, received))?;
        let admission = match planned {
            Planned::Answered(answer) => return Ok(answer),
            Planned::Faulty(fault) => return store.write(|tx| set_aside(tx, author, page, &fault, received)),
            Planned::Admitted(admission) => admission,
        };
        if let Some(answer) = store.write(|tx| finish(tx, kinds, &admission))? {
            return Ok(answer);
        }
    }
    store.write(|tx| match plan(tx, kinds, author, page, received)? {
        Planned::Answered(answer) => Ok(answer),
        Planned::Faulty(fault) => set_aside(tx, author, page, &fault, received),
        Planned::Admitted(admission) => {
            finish(tx, kinds, &admission)?.ok_or_else(|| StationError::Store("a page moved under the lock".into()))
        }
    })
}

/// What is to be done with a page.
enum Planned {
    /// It was taken in before.
    Answered(PageAnswer),
    /// It cannot be taken in as a whole.
    Faulty(PageFault),
    /// It becomes a leaf.
    Admitted(Box<Admission>),
}

fn plan(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    author: &Author,
    page: &SealedPage,
    received: UnixMillis,
) -> Result<Planned, StationError> {
    Ok(match verify(tx, author, page)? {
        Arrived::Known(answer) => Planned::Answered(answer),
        Arrived::Faulty(fault) => Planned::Faulty(fault),
        Arrived::Verified(verified) => Planned::Admitted(Box::new(Admission::plan(tx, kinds, author, *verified, received)?)),
    })
}

fn finish(tx: &WriteTx<'_>, kinds: &Kinds, admission: &Admission) -> Result<Option<PageAnswer>, StationError> {
    Ok(admission
        .append(tx, kinds)?
        .map(|leaf| answer(admission.page().verified(), leaf, admission.page().verdicts())))
}

fn answer(page: &VerifiedPage, leaf: u64, verdicts: &[Verdict]) -> PageAnswer {
    PageAnswer {
        page: page.hash(),
        leaf: Some(leaf),
        verdicts: runs(verdicts),
        fault: None,
        expected: None,
    }
}

/// Faulty pages of one book that are kept: enough to find out what happened, too few to fill a disk with.
const QUARANTINE_MAX: u64 = 64;

/// Keeps a faulty page as it came, outside the ledger; the book goes on in a new incarnation.
fn set_aside(
    tx: &WriteTx<'_>,
    author: &Author,
    page: &SealedPage,
    fault: &PageFault,
    received: UnixMillis,
) -> Result<PageAnswer, StationError> {
    let bytes = beatbook_protocol::codec::to_bytes(page);
    tracing::warn!(book = %author.book, code = fault.code(), %fault, "page set aside");
    if tx.quarantined(Some(author.book))? < QUARANTINE_MAX {
        tx.put_quarantine(author.book, &Hash::of(&[&bytes]), received, fault.code(), &bytes)?;
    }
    let expected = match fault {
        PageFault::Chain { expected } => Some(*expected),
        PageFault::Header(_) | PageFault::TooLarge | PageFault::Count | PageFault::Root | PageFault::Signature => None,
    };
    Ok(PageAnswer {
        page: beatbook_protocol::page::header_hash(&page.header),
        leaf: None,
        verdicts: Vec::new(),
        fault: Some(fault.code().to_owned()),
        expected,
    })
}
