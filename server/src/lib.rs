//! The station server: takes in the phones' pages, keeps the ledger, and lays what arrived before the station chief.

pub mod cli;
pub mod config;
pub mod environment;
pub mod error;
pub mod http;
pub mod report;
pub mod review;
pub mod station;
