//! Judges incoming changes one after the other, each against the document and those judged sound before it; at the end takes all
//! sound ones into the document at once and proves that it holds.

use std::collections::BTreeSet;

use automerge::ExpandedChange;

use super::apply;
use super::bytes::Envelope;
use super::fault::GuardFault;
use super::ops::Judge;
use super::{Incoming, Unknown};
use crate::document::View;
use crate::document::body::{Document, calmly};
use crate::document::log::{Clock, Line, Log};
use crate::document::replay::Replay;
use crate::id::{ActorId, Hash};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_CHANGES_MAX, DOCUMENT_OPS_MAX};

/// A document on trial: changes are judged one by one as they come, and count as there once they are judged sound; [`Trial::finish`]
/// takes them into the document together. So a document is replayed once and proven once, however many changes come.
#[derive(Debug)]
pub struct Trial {
    document: Document,
    unknown: Unknown,
    /// What the document would hold with what was judged sound so far.
    log: Log,
    replay: Replay,
    judged: Vec<Judged>,
}

/// A change that was judged sound.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) line: Line,
    pub(super) change: automerge::Change,
}

/// What a trial ends in.
#[derive(Debug)]
pub struct Proven {
    /// The document with all that held.
    pub document: Document,
    /// What it says now; none when nothing was taken in.
    pub view: Option<View>,
    /// The changes that were judged sound one by one and did not hold in the document after all. They were not taken in.
    pub failed: Vec<(Hash, GuardFault)>,
}

impl Trial {
    /// Replays what the document holds.
    ///
    /// # Errors
    /// When what it holds cannot be read: no change can be judged then.
    pub fn begin(document: Document, unknown: Unknown) -> Result<Self, GuardFault> {
        let mut replay = document.shape().replay().clone();
        if document.change_count() > 0 {
            let genesis = document.shape().genesis();
            calmly(|| {
                for change in document.automerge().get_changes(&[]) {
                    if !genesis.contains(&Hash::from_bytes(change.hash().0)) {
                        replay.absorb(&ExpandedChange::from(&change), |_, _, _| {})?;
                    }
                }
                Ok::<_, GuardFault>(())
            })?;
        }
        Ok(Self {
            unknown,
            log: document.log().clone(),
            replay,
            judged: Vec::new(),
            document,
        })
    }

    /// Whether a change is in the document or was judged sound since.
    #[must_use]
    pub fn contains(&self, change: &Hash) -> bool {
        self.log.contains(change)
    }

    /// Judges a change whose dependencies are all there; a sound one counts as there from now on.
    ///
    /// # Errors
    /// Why it is not sound.
    pub fn judge(&mut self, envelope: &Envelope, incoming: &Incoming<'_>) -> Result<(), GuardFault> {
        let clock = self.check_place_in_document(envelope, incoming)?;
        let (change, expanded) = parse(incoming.bytes)?;
        let line = Line::of(&change)?;
        if line.hash != envelope.hash || change.len() != envelope.operations {
            return Err(GuardFault::Malformed {
                why: "it reads differently twice",
            });
        }
        let judge = Judge {
            shape: self.document.shape(),
            replay: &self.replay,
            clock: &clock,
            settles: incoming.settles,
            unknown: self.unknown,
        };
        calmly(|| judge.check(&expanded))?;
        self.replay.absorb(&expanded, |_, _, _| {})?;
        self.log.append(line.clone());
        self.judged.push(Judged { line, change });
        Ok(())
    }

    /// Takes the sound changes into the document and proves that it can be read, saved and loaded with them.
    #[must_use]
    pub fn finish(self) -> Proven {
        apply::apply(self.document, self.judged)
    }

    /// Judges who made a change and where it stands among the others. Gives what its author had seen.
    fn check_place_in_document(&self, envelope: &Envelope, incoming: &Incoming<'_>) -> Result<Clock, GuardFault> {
        let may_use = |actors: &BTreeSet<ActorId>| actors.contains(&envelope.actor);
        if self.document.shape().is_genesis_actor(&envelope.actor) || !incoming.actors.is_none_or(may_use) {
            return Err(GuardFault::ForeignActor);
        }
        let operations = u64::try_from(envelope.operations).unwrap_or(u64::MAX);
        let is_full = self.judged_count() >= DOCUMENT_CHANGES_MAX
            || self.log.bytes() + incoming.bytes.len() > DOCUMENT_BYTES_MAX
            || self.log.ops().saturating_add(operations) > DOCUMENT_OPS_MAX;
        if is_full {
            return Err(GuardFault::DocumentFull);
        }
        let clock = self.log.clock(&envelope.deps).ok_or(GuardFault::SequenceGap)?;
        match self.log.last_of(&envelope.actor) {
            Some(last) if envelope.seq <= last.seq => return Err(GuardFault::SequenceReused { seq: envelope.seq }),
            Some(last) if envelope.seq == last.seq + 1 && clock.get(&envelope.actor) == Some(&last.max_op) => {}
            None if envelope.seq == 1 => {}
            Some(_) | None => return Err(GuardFault::SequenceGap),
        }
        let begins = clock.values().max().copied().unwrap_or(0) + 1;
        if envelope.deps.is_empty() || envelope.start_op != begins {
            return Err(GuardFault::NotCanonical {
                why: "it does not begin where what it depends on ends",
            });
        }
        Ok(clock)
    }

    fn judged_count(&self) -> usize {
        self.log.len() - self.document.shape().genesis().len()
    }
}

/// Lets automerge parse a change whose columns were walked, and holds it to its one canonical form.
fn parse(bytes: &[u8]) -> Result<(automerge::Change, ExpandedChange), GuardFault> {
    calmly(|| {
        let change = automerge::Change::try_from(bytes).map_err(|_| GuardFault::Malformed {
            why: "its operations cannot be read",
        })?;
        let expanded = change.decode();
        if automerge::Change::from(expanded.clone()).raw_bytes() != bytes {
            return Err(GuardFault::NotCanonical {
                why: "written again it has other bytes",
            });
        }
        Ok((change, expanded))
    })
}
