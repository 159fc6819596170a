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
