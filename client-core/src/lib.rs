//! The phone's engine.
pub mod capture;
pub mod transport;
