//! Parcels: what waits on a phone without a network, in a file that another phone carries to the station, and the verdicts back.
//!
//! ```text
//!  author    make() ─► file ~~ USB, Bluetooth ~~► carry_in() ─► delivered with the carrier's sync ─► carry_out()  carrier
//!            take_answer() ◄──────────────────────────── ~~ file ~~ ◄────────────────────────────────────┘
//! ```
//!
//! The carrier can neither read nor change what it carries. The author's pages wait until an answer, of whichever way, was taken in: they
//! may go into any number of parcels and requests, since the station knows them by their hash.

mod answer;
mod carry;
mod deliver;
mod make;

#[cfg(test)]
mod tests;

pub use answer::{AnswerTaken, take_answer};
pub use carry::{CarriedIn, CarriedState, CarriedView, carried, carry_in, carry_out, put_down};
pub use deliver::{Deliveries, Delivery};
pub use make::{MadeView, ParcelMade, made, make};

use beatbook_protocol::id::Hash;
use beatbook_protocol::parcel::{ParcelFault, SealError};

use super::SyncError;
use crate::error::CoreError;
use crate::store::parcels::{self, Carried};
use crate::store::{StoreError, Tx};

/// A parcel, or an answer, that cannot be made or taken. Nothing was lost, and nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    /// Nothing waits.
    #[error("nothing waits here: there is nothing to send")]
    Nothing,
    /// The phone has not been told the station's sealing key.
    #[error("this phone does not know the station's sealing key yet: let it sync once")]
    NoKey,
    /// The file itself.
    #[error(transparent)]
    Fault(#[from] ParcelFault),
    /// The phone carries as many parcels as it may.
    #[error("this phone carries {0} parcels already: let it sync, and hand answers back")]
    TooMany(usize),
    /// The phone carries no such parcel.
    #[error("this phone carries no parcel {0}")]
    Unknown(Hash),
    /// The station has not answered it yet.
    #[error("parcel {0} was not delivered yet: let this phone sync")]
    NotAnswered(Hash),
    /// The station would not have it.
    #[error("the station refused parcel {parcel} ({code}): {text}")]
    Refused {
        /// The parcel.
        parcel: Hash,
        /// Code.
        code: String,
        /// For people.
        text: String,
    },
    /// The answer is to a parcel of another phone, or to one that was forgotten.
    #[error("this is the answer to a parcel of another phone, or to a very old one")]
    NotOurs,
    /// The answer is of a time that the station has lost: it was restored from a backup since.
    #[error("the station was restored after it gave this answer, and has lost what was answered: it is sent again")]
    Stale,
    /// The parcel cannot be sealed.
    #[error("the parcel cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// Enrolment, keys, store.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl From<CoreError> for ParcelError {
    fn from(error: CoreError) -> Self {
        Self::Sync(SyncError::Core(error))
    }
}

/// How many parcels there are, by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParcelCounts {
    /// Parcels of others on this phone.
    pub carried: u64,
    /// Of those: not delivered yet.
    pub waiting: u64,
    /// Of those: delivered and answered, the answer not handed out yet.
    pub answered: u64,
    /// Of those: handed back.
    pub handed: u64,
    /// Of those: refused by the station.
    pub refused: u64,
    /// Parcels made here whose answer has not come.
    pub unanswered: u64,
}

/// Counts them.
pub(super) fn counts(tx: &Tx<'_>) -> Result<ParcelCounts, StoreError> {
    let mut counts = ParcelCounts::default();
    for row in parcels::carried(tx)? {
        counts.carried += 1;
        match row.state {
            Carried::Waiting => counts.waiting += 1,
            Carried::Answered if row.handed_at.is_some() => counts.handed += 1,
            Carried::Answered => counts.answered += 1,
            Carried::Refused { .. } => counts.refused += 1,
        }
    }
    let unanswered = parcels::made(tx)?.iter().filter(|row| row.answered_at.is_none()).count();
    counts.unanswered = unanswered as u64;
    Ok(counts)
}
