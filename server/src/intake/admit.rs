//! Third step: what a batch comes to, appended as one step when nothing that was looked at has moved: its leaves, and the readings and
//! snapshots of the records that it touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use beatbook_protocol::codec;
use beatbook_protocol::id::{ActorId, Hash};
use beatbook_protocol::page::{PageFault, VerifiedPage};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{PageAnswer, Verdict, runs};

use super::Author;
use super::desk::Look;
use super::lane::JudgedLane;
use super::refuse_ended;
use super::verify::Arrived;
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::ledger;
use crate::store::WriteTx;

/// A page with a verdict on each of its entries. Made by intake alone; only this can be appended to the ledger.
#[derive(Debug)]
pub(crate) struct AdmittedPage {
    verified: Arc<VerifiedPage>,
    verdicts: Vec<Verdict>,
    received: UnixMillis,
}

impl AdmittedPage {
    pub(super) fn judged(verified: Arc<VerifiedPage>, verdicts: Vec<Verdict>, received: UnixMillis) -> Self {
        Self {
            verified,
            verdicts,
            received,
        }
    }

    /// The page.
    pub(crate) fn verified(&self) -> &VerifiedPage {
        &self.verified
    }

    /// The verdicts, one for each entry.
    pub(crate) fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// When it came.
    pub(crate) fn received(&self) -> UnixMillis {
        self.received
    }
}

/// What all appending writes under.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteLook<'a> {
    pub(super) tx: &'a WriteTx<'a>,
    pub(super) kinds: &'a Kinds,
    pub(super) author: &'a Author,
    pub(super) received: UnixMillis,
}

impl<'a> WriteLook<'a> {
    /// The same, to read under.
    pub(super) fn reading(&self) -> Look<'a> {
        Look {
            tx: self.tx,
            kinds: self.kinds,
            author: self.author,
            received: self.received,
        }
    }
}

/// What becomes of a page of a batch.
#[derive(Debug)]
pub(super) enum Fate {
    /// It was taken in before: the stored answer.
    Known(PageAnswer),
    /// It stands earlier in the batch.
    Again(usize),
    /// It cannot be taken in as a whole.
    Faulty(PageFault),
    /// It becomes a leaf: which of the admitted pages it is.
    Taken(usize),
}

/// A batch ready to be appended.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    arrived: &'a [Arrived],
    fates: Vec<Fate>,
    pages: Vec<AdmittedPage>,
    lanes: Vec<JudgedLane>,
}

impl<'a> Admission<'a> {
    pub(super) fn of(arrived: &'a [Arrived], fates: Vec<Fate>, pages: Vec<AdmittedPage>, lanes: Vec<JudgedLane>) -> Self {
        Self {
            arrived,
            fates,
            pages,
            lanes,
        }
    }

    /// The answers, when there is nothing to write for them.
    pub(super) fn known(&self) -> Option<Vec<PageAnswer>> {
        let is_written = |fate: &Fate| matches!(fate, Fate::Faulty(_) | Fate::Taken(_));
        (!self.fates.iter().any(is_written)).then(|| self.answers(&[]))
    }

    /// Appends the batch with all that follows from it; none when something moved since it was planned. Fails with `Ended` when the
    /// author's book has ended since.
    pub(super) fn append(&self, look: &WriteLook<'_>) -> Result<Option<Vec<PageAnswer>>, StationError> {
        let tx = look.tx;
        refuse_ended(tx, look.author.book)?;
        if self.has_moved(tx, look.author)? {
            return Ok(None);
        }
        let mut leaves = Vec::with_capacity(self.pages.len());
        for page in &self.pages {
            let (leaf, _) = ledger::append(tx, look.kinds, page)?;
            leaves.push(leaf);
        }
        for lane in &self.lanes {
            if let Some(reading) = &lane.reading {
                tx.put_reading(lane.record, reading)?;
            }
            for (document, bytes) in &lane.snapshots {
                // It holds all that the batch brought, so it reaches up to the batch's last leaf.
                let leaf = leaves.last().copied().unwrap_or_default();
                tx.put_snapshot(lane.record, *document, leaf, bytes)?;
            }
        }
        for (fate, page) in self.fates.iter().zip(self.arrived) {
            if let Fate::Faulty(fault) = fate {
                set_aside(look, page, fault)?;
            }
        }
        let readings = self
            .lanes
            .iter()
            .filter_map(|lane| Some((lane.record, lane.reading.as_ref()?)));
        tx.put_words(readings)?;
        Ok(Some(self.answers(&leaves)))
    }

    /// Whether anything that the plan rests on is different now.
    fn has_moved(&self, tx: &WriteTx<'_>, author: &Author) -> Result<bool, StationError> {
        let mut tips = BTreeMap::new();
        for page in &self.pages {
            let incarnation = page.verified.header().incarnation;
            let tip = match tips.get(&incarnation) {
                Some(tip) => *tip,
                None => tx.tip(author.book, incarnation)?,
            };
            if page.verified.check_follows(&tip).is_err() {
                return Ok(true);
            }
            tips.insert(incarnation, page.verified.as_tip());
        }
        for lane in &self.lanes {
            if tx.record_leaf(lane.record)? != lane.met {
                return Ok(true);
            }
            for (record, leaf) in &lane.beyond {
                if tx.record_leaf(*record)? != *leaf {
                    return Ok(true);
                }
            }
        }
        let bound: BTreeSet<ActorId> = self.lanes.iter().flat_map(|lane| lane.bound.iter().copied()).collect();
        for actor in bound {
            if tx.is_foreign(actor, author.book)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One answer for each page, given the leaves of those that became one.
    fn answers(&self, leaves: &[u64]) -> Vec<PageAnswer> {
        let mut answers: Vec<PageAnswer> = Vec::with_capacity(self.fates.len());
        for (fate, arrived) in self.fates.iter().zip(self.arrived) {
            let answer = match fate {
                Fate::Known(answer) => answer.clone(),
                Fate::Again(first) => answers.get(*first).cloned().unwrap_or_else(|| empty_answer(arrived.hash())),
                Fate::Faulty(fault) => PageAnswer {
                    fault: Some(fault.code().to_owned()),
                    expected: expected(fault),
                    ..empty_answer(arrived.hash())
                },
                Fate::Taken(number) => PageAnswer {
                    leaf: leaves.get(*number).copied(),
                    verdicts: self.pages.get(*number).map(|page| runs(&page.verdicts)).unwrap_or_default(),
                    ..empty_answer(arrived.hash())
                },
            };
            answers.push(answer);
        }
        answers
    }
}

fn empty_answer(page: Hash) -> PageAnswer {
    PageAnswer {
        page,
        leaf: None,
        verdicts: Vec::new(),
        fault: None,
        expected: None,
    }
}

fn expected(fault: &PageFault) -> Option<u64> {
    match fault {
        PageFault::Chain { expected } => Some(*expected),
        PageFault::Header(_) | PageFault::TooLarge | PageFault::Count | PageFault::Root | PageFault::Signature => None,
    }
}

/// Faulty pages of one book that are kept: enough to find out what happened, too few to fill a disk with.
const QUARANTINE_MAX: u64 = 64;

/// Keeps a faulty page as it came, outside the ledger; the book goes on in a new incarnation.
fn set_aside(look: &WriteLook<'_>, page: &Arrived, fault: &PageFault) -> Result<(), StationError> {
    let Some(page) = page.sealed() else { return Ok(()) };
    let book = look.author.book;
    tracing::warn!(%book, code = fault.code(), %fault, "page set aside");
    if look.tx.quarantined(Some(book))? < QUARANTINE_MAX {
        let bytes = codec::to_bytes(page);
        look.tx
            .put_quarantine(book, &Hash::of(&[&bytes]), look.received, fault.code(), &bytes)?;
    }
    Ok(())
}
