//! What the ledger says of one record: the fold of its accepted entries in ledger order. Pure; knows neither rows nor documents.

use beatbook_protocol::codec::domain;
use beatbook_protocol::entry::Opens;
use beatbook_protocol::id::{BookId, Hash, RecordId, UserId};
use beatbook_protocol::kind::{DocumentName, Kind};
use beatbook_protocol::time::UnixMillis;

/// How a record began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Kind, version, unit.
    pub(crate) opens: Opens,
    /// The book that opened it.
    pub(crate) book: BookId,
    /// Its user.
    pub(crate) user: UserId,
    /// When, by his clock.
    pub(crate) at: UnixMillis,
}

/// A record as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordState {
    /// The record.
    pub(crate) id: RecordId,
    /// How it began.
    pub(crate) opening: Opening,
    /// Time of its newest entry, by that author's clock.
    pub(crate) last_at: UnixMillis,
    /// Its state.
    pub(crate) state: String,
    /// Since when, by the station's clock.
    pub(crate) state_since: UnixMillis,
    /// Heads of the facts, sorted.
    pub(crate) heads: Vec<Hash>,
    /// Heads of the private document, sorted; empty while nobody wrote in it.
    pub(crate) private_heads: Vec<Hash>,
    /// Heads of the facts that were pinned last.
    pub(crate) pinned: Option<Vec<Hash>>,
    /// Heads that are offered as a supplement.
    pub(crate) offered: Option<Vec<Hash>>,
    /// The newest act that had an effect.
    pub(crate) last_act: Option<Hash>,
    /// When its newest entry came, by the station's clock.
    pub(crate) received: UnixMillis,
    /// The leaf of its newest entry.
    pub(crate) leaf: u64,
}

/// What an act does to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ActEffect {
    /// It leads to a state, and may pin.
    Leads {
        /// The state.
        to: String,
        /// Whether it pins the facts that its author saw.
        pins: bool,
    },
    /// It offers a supplement.
    Offers,
    /// It was done already.
    Nothing,
}

impl ActEffect {
    /// The effect of an act that was taken in, by the state it met. Who did it was judged before.
    pub(crate) fn of(kind: &Kind, state: &str, code: &str, offered: bool) -> Self {
        if offered {
            return Self::Offers;
        }
        let rule = kind.workflow.acts.iter().find(|rule| rule.code == code);
        match rule.filter(|rule| rule.from.iter().any(|from| from == state)) {
            Some(rule) => Self::Leads {
                to: rule.to.clone().unwrap_or_else(|| state.to_owned()),
                pins: rule.pins,
            },
            None => Self::Nothing,
        }
    }
}

impl RecordState {
    /// A record that its first change opens.
    pub(crate) fn open(id: RecordId, opening: Opening, kind: &Kind, received: UnixMillis) -> Self {
        Self {
            id,
            last_at: opening.at,
            opening,
            state: kind.workflow.initial.clone(),
            state_since: received,
            heads: Vec::new(),
            private_heads: Vec::new(),
            pinned: None,
            offered: None,
            last_act: None,
            received,
            leaf: 0,
        }
    }

    /// Takes in a change. Changes come after those they depend on.
    pub(crate) fn take_change(
        &mut self,
        document: DocumentName,
        hash: Hash,
        deps: &[Hash],
        at: UnixMillis,
        received: UnixMillis,
    ) {
        let heads = match document {
            DocumentName::Facts => &mut self.heads,
            DocumentName::Private => &mut self.private_heads,
        };
        heads.retain(|head| !deps.contains(head));
        heads.push(hash);
        heads.sort_unstable();
        self.last_at = at;
        self.received = received;
    }

    /// Takes in an act that pins or offers these heads.
    pub(crate) fn take_act(&mut self, effect: &ActEffect, entry: Hash, heads: &[Hash], at: UnixMillis, received: UnixMillis) {
        match effect {
            ActEffect::Leads { to, pins } => {
                if *to != self.state {
                    self.state.clone_from(to);
                    self.state_since = received;
                }
                if *pins {
                    self.pinned = Some(heads.to_vec());
                    self.offered = None;
                }
            }
            ActEffect::Offers => self.offered = Some(heads.to_vec()),
            ActEffect::Nothing => {}
        }
        // A repeat as well: phones hold it as the newest act, and both sides must name the same one.
        self.last_act = Some(entry);
        self.last_at = at;
        self.received = received;
    }

    /// The heads of the official view, while the state pins one.
    pub(crate) fn official(&self, kind: &Kind) -> Option<&[Hash]> {
        let pins = kind
            .workflow
            .states
            .iter()
            .any(|state| state.code == self.state && state.pinned);
        self.pinned.as_deref().filter(|_| pins)
    }

    /// The opaque version: another one whenever facts, pin or acts moved.
    pub(crate) fn version(&self) -> Hash {
        let mut bytes = domain::VERSION.to_vec();
        let mut put = |hashes: &[Hash]| hashes.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
        put(self.pinned.as_deref().unwrap_or_default());
        bytes.push(0);
        let mut put = |hashes: &[Hash]| hashes.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
        put(&self.heads);
        put(&self.private_heads);
        put(self.last_act.as_slice());
        Hash::of(&[&bytes])
    }
}
