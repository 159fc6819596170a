//! Bringing records to the station and back: a state machine without IO. It says what to send next and takes in what came of it; the
//! network, the clock and the randomness are arguments, and the only thing it touches is the store. Whoever drives it (see
//! [`crate::drive`]) may be killed at any moment.
//!
//! ```text
//!  queue ─seal─► pages ─next()─► request ~~~ station ~~~ reply ─verify─► plan ─apply, one transaction─► records, cursor, answers
//! ```
//!
//! What a reply may do is decided before anything of it is stored: it must be this station's word (checkpoint and receipt signed by the
//! keys of the enrolment) on a ledger that begins with the one that the phone has seen.

mod agree;
mod applied;
mod apply;
mod ask;
mod enrol;
mod load;
mod machine;
pub mod parcel;
mod report;
mod rounds;
mod seal;
mod status;
mod vault;
mod verify;
mod waiting;

#[cfg(test)]
pub(crate) mod testing;

pub(crate) use ask::APP;
pub use enrol::{EnrolError, Enrolled, Enrolment, EnrolmentShown, KeyAttestor, enrolment};
pub use machine::{Step, SyncMachine};
pub use report::{Budget, SyncError, SyncEvent, SyncFault, SyncReport, WaitReason};
pub(crate) use seal::seal;
pub(crate) use status::token;
pub use status::{SyncStatus, WaitingBecause, is_enrolled, pins, scanned, status, verify};
pub use vault::{KeyVault, StoreVault};
pub(crate) use verify::read_refusal;
pub use waiting::{RecordWaiting, waiting};

use beatbook_protocol::ledger::Position;
use beatbook_protocol::wire::ExchangeResponse;

use crate::core::Core;
use crate::store::sync_state::{self, OwnBook};

/// What a reply to a book that has ended says of the station's ledger: none when it goes on from what this phone has seen; else it was
/// restored, and this is what both have in common, where that can be shown.
pub(crate) fn restored_to(core: &Core, book: &OwnBook, reply: &ExchangeResponse) -> Result<Option<Option<Position>>, SyncError> {
    let exchanged = core.read_past_end(sync_state::exchanged)?;
    let known = verify::Known {
        book,
        cursor: exchanged.cursor.as_ref(),
        checkpoint: exchanged.checkpoint.as_deref(),
    };
    Ok(match verify::check(reply, &known)? {
        verify::Standing::GoesOn => None,
        verify::Standing::Restored { common, .. } => Some(common),
    })
}
