//! Tests of the whole station through its one door, with phones made by hand.

mod audit;
mod batches;
mod blobs;
mod bounds;
mod ended;
mod enrolments;
mod imports;
mod intake;
mod masks;
mod members;
mod merges;
mod moves;
mod operations;
mod parcels;
mod quarantine;
mod reconcile;
mod registry;
mod restore;
mod review;
mod rights;
mod sign_in;
mod sign_in_limits;
mod tls;
mod unlock;
