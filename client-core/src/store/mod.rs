//! One SQLite file per user, and all SQL of the phone. Knows nothing of networks and screens.
//!
//! ```text
//!  record    what lists show of each record (written in the transaction that changes it)
//!  change    changes of documents: accepted, pending, parked      act   signed steps, likewise
//!  outbox, queue, page, incarnation   own entries in order, until the station has them
//!  own_book, vault, exchange, receipt  the file's book and where the exchange stands
//!  digest, wanted, give    what both ends must hold, what differs, what a restored station lost
//!  sealing, parcel_made, parcel_carried   files for others to carry, and those of others
//!  blob, blob_outbox, blob_wanted, record_file  photos and recordings: what is here, waits, is wanted, is named by records
//!  draft     what is being typed
//!  patrol, fix  the patrol that is going on                       search  full text
//!  person, book, unit, kind   the registry as told by the station meta  settings of this file
//! ```

pub(crate) mod blobs;
mod connection;
pub(crate) mod digests;
pub(crate) mod drafts;
mod fold;
pub(crate) mod give;
pub(crate) mod identity;
pub(crate) mod intake;
pub(crate) mod lists;
pub(crate) mod merges;
pub(crate) mod outbox;
pub(crate) mod pages;
pub(crate) mod papers;
pub(crate) mod parcels;
pub(crate) mod patrols;
pub(crate) mod records;
mod recovery;
pub(crate) mod registry;
mod restored;
pub(crate) mod returns;
mod rights;
pub(crate) mod rows;
pub(crate) mod scope;
pub(crate) mod sync_state;
pub(crate) mod views;
pub(crate) mod write;

pub(crate) use connection::{Store, StoreError, Tx};
pub(crate) use recovery::{Outcome, open_or_set_aside, suspect};
