//! Which incoming change is judged next, and what becomes of those that depend on it. Knows hashes alone.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Envelope, envelope, hash_of};
use super::fault::GuardFault;
use super::{GuardReport, Incoming, Outcome};
use crate::document::body::Document;
use crate::id::Hash;

/// The incoming changes, those first whose dependencies are there, otherwise in the order they came.
pub(super) struct Order {
    outcomes: Vec<Option<Outcome>>,
    /// For a change that came again: the first place it came at.
    again: BTreeMap<usize, usize>,
    waiting: BTreeMap<usize, (Envelope, BTreeSet<Hash>)>,
    /// Which changes wait for a hash.
    waits_for: BTreeMap<Hash, Vec<usize>>,
    ready: BTreeMap<usize, Envelope>,
    index_of: BTreeMap<Hash, usize>,
}

impl Order {
    /// Reads all envelopes and sorts out what waits for what.
    pub(super) fn of(document: &Document, incoming: &[Incoming<'_>]) -> Self {
        let mut order = Self {
            outcomes: vec![None; incoming.len()],
            again: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waits_for: BTreeMap::new(),
            ready: BTreeMap::new(),
            index_of: BTreeMap::new(),
        };
        let mut broken = Vec::new();
        for (index, change) in incoming.iter().enumerate() {
            match envelope(change.bytes) {
                Ok(envelope) => order.sort_in(document, index, envelope),
                Err(fault) => broken.push((index, hash_of(change.bytes), fault)),
            }
        }
        for (index, hash, fault) in broken {
            // Bytes that do not fit their checksum have the hash of no change; those that do may have descendants here.
            match hash.filter(|hash| !order.index_of.contains_key(hash) && !document.contains(hash)) {
                Some(hash) => {
                    order.index_of.insert(hash, index);
                    order.refuse(index, hash, fault);
                }
                None => order.outcomes[index] = Some(Outcome::Refused(fault)),
            }
        }
        order
    }

    fn sort_in(&mut self, document: &Document, index: usize, envelope: Envelope) {
        if document.contains(&envelope.hash) {
            self.outcomes[index] = Some(Outcome::Duplicate { hash: envelope.hash });
            return;
        }
        if let Some(&first) = self.index_of.get(&envelope.hash) {
            self.again.insert(index, first);
            return;
        }
        self.index_of.insert(envelope.hash, index);
        let missing: BTreeSet<Hash> = envelope.deps.iter().filter(|dep| !document.contains(dep)).copied().collect();
        if missing.is_empty() {
            self.ready.insert(index, envelope);
            return;
        }
        for dep in &missing {
            self.waits_for.entry(*dep).or_default().push(index);
        }
        self.waiting.insert(index, (envelope, missing));
    }

    /// The next change whose dependencies are all there.
    pub(super) fn next(&mut self) -> Option<(usize, Envelope)> {
        self.ready.pop_first()
    }

    /// Notes that a change is in, which may make others ready.
    pub(super) fn admit(&mut self, index: usize, hash: Hash) {
        self.outcomes[index] = Some(Outcome::Admitted { hash });
        for waiter in self.waits_for.remove(&hash).unwrap_or_default() {
            if let Some((_, missing)) = self.waiting.get_mut(&waiter) {
                missing.remove(&hash);
                if missing.is_empty()
                    && let Some((envelope, _)) = self.waiting.remove(&waiter)
                {
                    self.ready.insert(waiter, envelope);
                }
            }
        }
    }

    /// Notes that a change is refused, and with it all that depend on it.
    pub(super) fn refuse(&mut self, index: usize, hash: Hash, fault: GuardFault) {
        self.outcomes[index] = Some(Outcome::Refused(fault));
        let mut fallen = vec![hash];
        while let Some(of) = fallen.pop() {
            for waiter in self.waits_for.remove(&of).unwrap_or_default() {
                if let Some((envelope, _)) = self.waiting.remove(&waiter) {
                    self.outcomes[waiter] = Some(Outcome::Refused(GuardFault::Descendant { of }));
                    fallen.push(envelope.hash);
                }
            }
        }
    }

    /// Takes back what was admitted, after it failed in the document itself.
    pub(super) fn withdraw(&mut self, hash: Hash, fault: GuardFault) {
        if let Some(&index) = self.index_of.get(&hash) {
            self.outcomes[index] = Some(Outcome::Refused(fault));
        }
    }

    /// The report, once nothing is ready any more. What still has no outcome needs changes that are not here, or met `fault`.
    pub(super) fn report(mut self, document: Document, fault: Option<&GuardFault>) -> GuardReport {
        for index in 0..self.outcomes.len() {
            if self.outcomes[index].is_some() {
                continue;
            }
            let first = self.again.get(&index).copied();
            self.outcomes[index] = Some(match (fault, first.and_then(|first| self.outcomes[first].clone())) {
                (_, Some(Outcome::Admitted { hash })) => Outcome::Duplicate { hash },
                (_, Some(outcome)) => outcome,
                (Some(fault), None) => Outcome::Refused(fault.clone()),
                (None, None) => self.needs(&document, index),
            });
        }
        GuardReport {
            outcomes: self.outcomes.into_iter().flatten().collect(),
            document,
            view: None,
        }
    }

    fn needs(&self, document: &Document, index: usize) -> Outcome {
        let deps = self
            .waiting
            .get(&index)
            .map(|(envelope, _)| envelope.deps.as_slice())
            .unwrap_or_default();
        Outcome::Needs {
            missing: deps.iter().filter(|dep| !document.contains(dep)).copied().collect(),
        }
    }
}
