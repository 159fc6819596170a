//! Tests of the whole station through its one door, with phones made by hand.

mod intake;
mod moves;
mod operations;
mod reconcile;
mod restore;
mod review;
