//! Tests of the whole station through its one door, with phones made by hand.

mod batches;
mod blobs;
mod bounds;
mod ended;
mod enrolments;
mod intake;
mod merges;
mod moves;
mod operations;
mod parcels;
mod quarantine;
mod reconcile;
mod restore;
mod review;
