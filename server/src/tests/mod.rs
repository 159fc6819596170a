//! Tests of the whole station through its one door, with phones made by hand.

mod batches;
mod intake;
mod operations;
mod review;
