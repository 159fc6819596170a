//! Tests of the whole station through its one door, with phones made by hand.

mod intake;
mod operations;
mod parcels;
mod review;
