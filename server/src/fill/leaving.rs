//! What a phone is to let go: records that left its scope, and those of which it may read less than it holds. There may be as many as the
//! ledger has, so that each reply tells as many as go into it; where that stands is in the fill's token.

use beatbook_protocol::id::RecordId;
use minicbor::{Decode, Encode};

use super::{JOBS_MAX, LOOKS_AT_ONCE};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::scope::{Scope, Shift};
use crate::store::ReadTx;

/// Bytes of a record's id in a reply.
const LEFT_BYTES: usize = 17;

/// Records to be let go: those that were in the scope at one size and are not any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Parting {
    #[n(0)]
    from: u64,
    /// The number above all that are still to be looked at.
    #[n(1)]
    place: u64,
}

impl Parting {
    /// Whether it may be of a ledger of this size.
    pub(super) fn is_sound(&self, size: u64) -> bool {
        self.from <= size
    }
}

/// What is to be let go, and what of it this reply tells.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    partings: Vec<Parting>,
    left: Vec<RecordId>,
}

impl Leaving {
    /// Goes on where a token stands.
    pub(super) fn after(partings: Option<Vec<Parting>>) -> Self {
        Self {
            partings: partings.unwrap_or_default(),
            left: Vec::new(),
        }
    }

    /// Notes that what the scope at a size held is to be let go where it holds it no more.
    pub(super) fn part_from(&mut self, from: u64) {
        let parting = |from| Parting { from, place: u64::MAX };
        self.partings.push(parting(from));
        if self.partings.len() > JOBS_MAX {
            // It begins anew with the oldest; what that does not know of is found when the digests are compared.
            let oldest = self.partings.iter().map(|parting| parting.from).min();
            self.partings = oldest.into_iter().map(parting).collect();
        }
    }

    /// Tells what is to be let go, as much as goes into a budget, and one record at least.
    pub(super) fn tell(&mut self, tx: &ReadTx<'_>, kinds: &Kinds, head: &Scope, budget: usize) -> Result<(), StationError> {
        let left_max = (budget / LEFT_BYTES).max(1);
        while let Some(Parting { from, place }) = self.partings.first().cloned() {
            let before = Scope::at(tx, head.user, from)?;
            // Against the scope as it is now: what came back meanwhile stays where it is.
            let shift = Shift {
                from: Some(&before),
                to: head,
            };
            let Some(place) = self.look(tx, kinds, &shift, (place, left_max))? else {
                self.partings.remove(0);
                continue;
            };
            if let Some(parting) = self.partings.first_mut() {
                parting.place = place;
            }
            break;
        }
        Ok(())
    }

    /// Looks through the records below a number; where it stopped, when there may be more.
    fn look(
        &mut self,
        tx: &ReadTx<'_>,
        kinds: &Kinds,
        shift: &Shift<'_>,
        (mut below, left_max): (u64, usize),
    ) -> Result<Option<u64>, StationError> {
        loop {
            let numbers = shift.candidates(tx, below, LOOKS_AT_ONCE)?;
            if numbers.is_empty() {
                return Ok(None);
            }
            for number in numbers {
                if self.left.len() >= left_max {
                    return Ok(Some(below));
                }
                below = number;
                if let Some(record) = tx.scoped(number)?
                    && shift.takes(tx, kinds, &record)?
                {
                    self.left.push(record.id);
                }
            }
        }
    }

    /// Bytes of what this reply tells.
    pub(super) fn bytes(&self) -> usize {
        self.left.len() * LEFT_BYTES
    }

    /// Whether nothing is to be told after this.
    pub(super) fn is_done(&self) -> bool {
        self.partings.is_empty()
    }

    /// What a token says of it; none where all was told.
    pub(super) fn partings(&self) -> Option<Vec<Parting>> {
        (!self.is_done()).then(|| self.partings.clone())
    }

    /// What this reply tells.
    pub(super) fn into_left(self) -> Vec<RecordId> {
        self.left
    }
}
