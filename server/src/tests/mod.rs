//! Tests of the whole station through its one door, with phones made by hand.

mod at_rest;
mod batches;
mod blobs;
mod bounds;
mod destroyed;
mod destruction;
mod intake;
mod merges;
mod moves;
mod operations;
mod parcels;
mod reconcile;
mod restore;
mod retention;
mod review;
