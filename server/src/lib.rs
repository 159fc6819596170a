//! The station server: takes in the phones' pages, keeps the ledger, and lays what arrived before the station chief.
//!
//! ```text
//!  phone ─ exchange ─► intake (verify ─► admit) ─► ledger (append, checkpoint) ─► projection ─► review ─► the chief
//!    ▲                                                │                                                    │ act, settle
//!    └──────────────── feed ◄─────────────────────────┘ ◄──────────── the station's own book ◄────────────┘
//! ```
//!
//! [`station::Station`] is the door to all of it. `store` alone knows SQL, `keys` alone the secrets.

mod alarm;
pub mod audit;
mod backup;
mod blobs;
pub mod cli;
pub mod config;
mod counters;
pub mod destruction;
mod doctor;
mod ended;
pub mod environment;
pub mod error;
mod exchange;
mod feed;
mod fill;
pub mod http;
mod intake;
mod keys;
mod kinds;
mod ledger;
mod news;
mod parcels;
pub mod phones;
pub mod policy;
mod projection;
mod qr;
mod rebuild;
mod reconcile;
mod recovered;
mod refused;
mod registry;
mod reply;
pub mod report;
pub mod retention;
pub mod review;
mod room;
mod scope;
mod seal;
mod setup;
mod sheets;
mod sign_in;
pub mod station;
mod status;
mod store;
mod strangers;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod unlock;
mod words;
