//! The guard: the one door for automerge bytes that came from elsewhere. automerge is no security boundary: of mutated changes with
//! a repaired checksum 7-12 % make it panic and 1.5-3 % are taken in and never load again. Nothing here reads a clock, a role or a
//! state: scope and rights are judged by whoever asks.
//!
//! ```text
//!  bytes ─► envelope (sizes, frame, checksum, run lengths)   no automerge
//!        ─► order    (dependencies first; descendants of what is refused fall with it)
//!        ─► Trial    (author mark, number, parse, one canonical form)
//!        ─► ops      (places, types, limits, what the author had seen, settling)
//!        ─► apply    (on a copy: apply, read, replay, save, load, compare)
//! ```

mod apply;
#[cfg(test)]
mod attacks;
mod bytes;
mod columns;
mod fault;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod honest;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mutants;
mod ops;
mod order;
mod trial;

use std::collections::BTreeSet;

pub use bytes::{Envelope, envelope};
pub use fault::GuardFault;
pub use trial::{Proven, Trial};

use super::body::Document;
use super::view::View;
use crate::id::{ActorId, Hash};

/// A change that came from elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The change as it came.
    pub bytes: &'a [u8],
    /// Whether its entry marks it as settling conflicts.
    pub settles: bool,
    /// The author marks that its author may use; none when whoever asks has judged the mark already (see [`envelope`]).
    pub actors: Option<&'a BTreeSet<ActorId>>,
}

/// What to do with fields that the kind does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Refuse them: a station knows every version of a kind.
    Refuse,
    /// Keep plain values: a phone may meet fields of a version it does not have yet, which its station has judged.
    Keep,
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the document now.
    Admitted {
        /// Its hash.
        hash: Hash,
    },
    /// It was in the document, or stands earlier in the same batch.
    Duplicate {
        /// Its hash.
        hash: Hash,
    },
    /// It waits for changes that are not here; nothing is held against it.
    Needs {
        /// The changes that it names and the document lacks.
        missing: Vec<Hash>,
    },
    /// It was refused, and will always be in this document.
    Refused(GuardFault),
}

/// What the guard found.
#[derive(Debug, Clone)]
pub struct GuardReport {
    /// One outcome for each incoming change, in the order they came.
    pub outcomes: Vec<Outcome>,
    /// The document with the admitted changes in it.
    pub document: Document,
    /// What it says, where the proof has read it: none when nothing was admitted.
    pub view: Option<View>,
}

/// Judges changes for a document and takes in those that are sound. One bad change never takes an unrelated good one with it. The
/// document that was handed in stays as it was.
#[must_use]
pub fn check(document: &Document, incoming: &[Incoming<'_>], unknown: Unknown) -> GuardReport {
    let mut order = order::Order::of(document, incoming);
    let mut trial = match Trial::begin(document.clone(), unknown) {
        Ok(trial) => trial,
        Err(fault) => return order.report(document.clone(), Some(&fault)),
    };
    while let Some((index, envelope)) = order.next() {
        match trial.judge(&envelope, &incoming[index]) {
            Ok(()) => order.admit(index, envelope.hash),
            Err(fault) => order.refuse(index, envelope.hash, fault),
        }
    }
    let proven = trial.finish();
    for (hash, fault) in proven.failed {
        order.withdraw(hash, fault);
    }
    GuardReport {
        view: proven.view,
        ..order.report(proven.document, None)
    }
}
