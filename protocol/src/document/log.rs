//! Which changes a document holds, who made them and what each knew of. Knows no operations and no values.

use std::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;

use super::DocumentError;
use crate::id::{ActorId, Hash};
use crate::time::UnixMillis;

/// The name of one operation: its Lamport counter and who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpName {
    /// Counter; 0 names the root object.
    pub(super) counter: u64,
    /// Author mark.
    pub(super) actor: ActorId,
}

impl OpName {
    /// The root of a document.
    pub(super) const ROOT: Self = Self {
        counter: 0,
        actor: ActorId::from_bytes([0; 16]),
    };

    /// Takes over automerge's name of an operation.
    pub(super) fn from_parts(counter: u64, actor: &automerge::ActorId) -> Result<Self, DocumentError> {
        Ok(Self {
            counter,
            actor: actor_from(actor)?,
        })
    }
}

/// For each author, the highest counter that a change's author had seen.
pub(super) type Clock = BTreeMap<ActorId, u64>;

/// Whether an operation was seen under a clock.
pub(super) fn has_seen(clock: &Clock, op: &OpName) -> bool {
    *op == OpName::ROOT || clock.get(&op.actor).is_some_and(|&counter| op.counter <= counter)
}

/// One change, without its operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) hash: Hash,
    pub(super) actor: ActorId,
    pub(super) seq: u64,
    pub(super) start_op: u64,
    /// Counter of the last operation; `start_op - 1` when there is none.
    pub(super) max_op: u64,
    pub(super) at: UnixMillis,
    pub(super) deps: Vec<Hash>,
    /// Length of the raw change in bytes.
    pub(super) bytes: usize,
}

impl Line {
    /// Reads the line of a change that automerge has parsed.
    pub(super) fn of(change: &automerge::Change) -> Result<Self, DocumentError> {
        let start_op = change.start_op().get();
        Ok(Self {
            hash: Hash::from_bytes(change.hash().0),
            actor: actor_from(change.actor_id())?,
            seq: change.seq(),
            start_op,
            max_op: (start_op - 1).saturating_add(u64::try_from(change.len()).unwrap_or(u64::MAX)),
            at: UnixMillis(change.timestamp().saturating_mul(1000)),
            deps: change.deps().iter().map(|dep| Hash::from_bytes(dep.0)).collect(),
            bytes: change.raw_bytes().len(),
        })
    }

    /// How many operations the change holds.
    pub(super) fn ops(&self) -> u64 {
        self.max_op + 1 - self.start_op
    }
}

/// The changes of one document, each after those it depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    lines: BTreeMap<Hash, Line>,
    by_actor: BTreeMap<ActorId, Vec<Hash>>,
    heads: BTreeSet<Hash>,
    bytes: usize,
    ops: u64,
}

impl Log {
    /// Adds a change whose dependencies are here already; one that is here already changes nothing.
    pub(super) fn append(&mut self, line: Line) {
        if self.lines.contains_key(&line.hash) {
            return;
        }
        for dep in &line.deps {
            self.heads.remove(dep);
        }
        self.heads.insert(line.hash);
        self.by_actor.entry(line.actor).or_default().push(line.hash);
        self.bytes += line.bytes;
        self.ops += line.ops();
        self.lines.insert(line.hash, line);
    }

    pub(super) fn contains(&self, hash: &Hash) -> bool {
        self.lines.contains_key(hash)
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of all raw changes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Operations of all changes.
    pub(super) fn ops(&self) -> u64 {
        self.ops
    }

    /// The changes that no other depends on, sorted.
    pub(super) fn heads(&self) -> Vec<Hash> {
        self.heads.iter().copied().collect()
    }

    /// The newest change of an author.
    pub(super) fn last_of(&self, actor: &ActorId) -> Option<&Line> {
        self.by_actor
            .get(actor)
            .and_then(|hashes| hashes.last())
            .and_then(|hash| self.lines.get(hash))
    }

    /// The change that an operation belongs to.
    pub(super) fn change_of(&self, op: &OpName) -> Option<&Line> {
        let hashes = self.by_actor.get(&op.actor)?;
        let at = hashes.partition_point(|hash| self.lines.get(hash).is_some_and(|line| line.max_op < op.counter));
        hashes
            .get(at)
            .and_then(|hash| self.lines.get(hash))
            .filter(|line| line.start_op <= op.counter)
    }

    /// What somebody has seen who has seen these changes; none when one of them is not here.
    pub(super) fn clock(&self, heads: &[Hash]) -> Option<Clock> {
        let mut clock = Clock::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<Hash> = heads.to_vec();
        while let Some(hash) = open.pop() {
            if seen.insert(hash) {
                let line = self.lines.get(&hash)?;
                let counter = clock.entry(line.actor).or_default();
                *counter = (*counter).max(line.max_op);
                open.extend_from_slice(&line.deps);
            }
        }
        Some(clock)
    }
}

/// Our form of automerge's author mark.
pub(super) fn actor_from(actor: &automerge::ActorId) -> Result<ActorId, DocumentError> {
    ActorId::from_slice(actor.to_bytes()).map_err(|_| DocumentError::Damaged {
        why: "an author mark is not 16 bytes long".into(),
    })
}

/// automerge's form of our author mark.
pub(super) fn actor_into(actor: &ActorId) -> automerge::ActorId {
    automerge::ActorId::from(actor.as_bytes().as_slice())
}

/// automerge's form of our hashes.
pub(super) fn hashes_into(hashes: &[Hash]) -> Vec<ChangeHash> {
    hashes.iter().map(|hash| ChangeHash(*hash.as_bytes())).collect()
}
