//! Tests of the whole station through its one door, with phones made by hand.

mod audit;
mod auditors;
mod batches;
mod blobs;
mod bounds;
mod intake;
mod masks;
mod merges;
mod moves;
mod operations;
mod parcels;
mod reconcile;
mod restore;
mod review;
mod rights;
