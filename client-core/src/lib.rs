//! The phone's engine.
pub mod capture;
