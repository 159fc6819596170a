//! What phone and station agree on.
//!
//! ```text
//!  kind ──────► facts ◄────── document ── track
//!  (what a      (plain        (automerge: edits, views, conflicts, guard)
//!   record is)   values)           │ change bytes
//!                                  ▼
//!                    entry ──► page ──► ledger ──► wire
//!                    (identity) (sealed) (leaves,   (one file per call)
//!                                   │     proofs)
//!                                   ▼
//!                                 parcel (sealed to the station, for others to carry)
//! ```
//!
//! No IO, no clock, no randomness: the same bytes give the same answer on a phone, on a station, and in a simulation.

pub mod blob;
pub mod codec;
pub mod digest;
pub mod document;
pub mod entry;
pub mod facts;
pub mod id;
pub mod kind;
pub mod ledger;
pub mod limits;
pub mod note;
pub mod page;
pub mod parcel;
pub mod place;
pub mod time;
pub mod track;
pub mod trust;
pub mod wire;
