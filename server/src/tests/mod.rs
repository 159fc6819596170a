//! Tests of the whole station through its one door, with phones made by hand.

mod batches;
mod blobs;
mod bounds;
mod intake;
mod merges;
mod moves;
mod operations;
mod own_account;
mod parcels;
mod reconcile;
mod restore;
mod review;
mod sign_in;
mod sign_in_limits;
