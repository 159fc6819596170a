//! One SQLite file per user, and all SQL of the phone. Knows nothing of networks and screens.
//!
//! ```text
//!  record    what lists show of each record (written in the transaction that changes it)
//!  change    changes of documents: accepted, pending, parked      act   signed steps, likewise
//!  outbox, queue, page, incarnation   own entries in order, until the station has them
//!  own_book, vault, exchange, receipt  the file's book and where the exchange stands
//!  destroyed, stranded     what the station destroyed, and own work on it that it had not taken in
//!  digest, wanted, give    what both ends must hold, what differs, what a restored station lost
//!  pins      the keys of the station's certificate, as it announced them
//!  sealing, parcel_made, parcel_carried   files for others to carry, and those of others
//!  blob, blob_outbox, blob_wanted, record_file  photos and recordings: what is here, waits, is wanted, is named by records
//!  unit_key, station_word, own_share   for the lock beside this file: custodians, the lease, the share of the file's key
//!  draft     what is being typed
//!  ended, ended_page, book_end   the end of this file's book, and of others'     enrolment  how its books were enrolled
//!  patrol, fix  the patrol that is going on                       search  full text
//!  person, book, unit, kind   the registry as told by the station meta  settings of this file
//! ```

mod ahead;
pub(crate) mod blobs;
mod connection;
pub(crate) mod destroyed;
pub(crate) mod digests;
pub(crate) mod drafts;
pub(crate) mod ended;
pub(crate) mod enrolments;
mod fold;
pub(crate) mod give;
pub(crate) mod identity;
pub(crate) mod intake;
pub(crate) mod lists;
pub(crate) mod lock;
pub(crate) mod merges;
pub(crate) mod outbox;
pub(crate) mod pages;
pub(crate) mod papers;
pub(crate) mod parcels;
pub(crate) mod patrols;
pub(crate) mod pins;
pub(crate) mod records;
mod recovery;
pub(crate) mod registry;
mod restored;
pub(crate) mod returns;
mod rights;
pub(crate) mod rows;
pub(crate) mod scope;
pub(crate) mod sending;
pub(crate) mod sync_state;
pub(crate) mod views;
pub(crate) mod write;

/// A station's clock may be this much ahead of the phone's. What it said by a time later than that was said under a clock that has been set right
/// since, or will be: it holds up no later word.
pub(crate) const AHEAD_MS_MAX: i64 = 24 * 60 * 60 * 1000;

pub(crate) use connection::{Store, StoreError, Tx, has_codec};
pub(crate) use recovery::{Outcome, beside, open_or_set_aside, suspect};
