//! Judges incoming changes one after the other, each against the document and those judged sound before it. Applies none.

use std::collections::BTreeSet;

use automerge::ExpandedChange;

use super::bytes::Envelope;
use super::fault::GuardFault;
use super::ops::Judge;
use super::{Incoming, Unknown};
use crate::document::body::{Document, calmly};
use crate::document::log::{Clock, Line, Log};
use crate::document::replay::Replay;
use crate::document::shape::Shape;
use crate::id::ActorId;
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_CHANGES_MAX, DOCUMENT_OPS_MAX};

/// The document as it would be with what was judged sound so far.
pub(super) struct Trial<'a> {
    shape: &'a Shape,
    unknown: Unknown,
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

impl<'a> Trial<'a> {
    /// Replays what the document holds.
    pub(super) fn begin(document: &'a Document, unknown: Unknown) -> Result<Self, GuardFault> {
        let replay = calmly(|| {
            let mut replay = Replay::default();
            for change in document.automerge().get_changes(&[]) {
                replay.absorb(&ExpandedChange::from(&change), |_, _, _| {})?;
            }
            Ok::<_, GuardFault>(replay)
        })?;
        Ok(Self {
            shape: document.shape(),
            unknown,
            log: document.log().clone(),
            replay,
            judged: Vec::new(),
        })
    }

    /// Judges a change whose dependencies are all there; a sound one counts as there from now on.
    pub(super) fn judge(&mut self, envelope: &Envelope, incoming: &Incoming<'_>) -> Result<(), GuardFault> {
        let clock = self.check_place_in_document(envelope, incoming)?;
        let (change, expanded) = parse(incoming.bytes)?;
        let line = Line::of(&change)?;
        if line.hash != envelope.hash || change.len() != envelope.operations {
            return Err(GuardFault::Malformed {
                why: "it reads differently twice",
            });
        }
        let judge = Judge {
            shape: self.shape,
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

    /// The sound changes, each after those it depends on.
    pub(super) fn into_judged(self) -> Vec<Judged> {
        self.judged
    }

    /// Judges who made a change and where it stands among the others. Gives what its author had seen.
    fn check_place_in_document(&self, envelope: &Envelope, incoming: &Incoming<'_>) -> Result<Clock, GuardFault> {
        let may_use = |actors: &BTreeSet<ActorId>| actors.contains(&envelope.actor);
        if self.shape.is_genesis_actor(&envelope.actor) || !incoming.actors.is_none_or(may_use) {
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
        self.log.len() - self.shape.genesis().len()
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
