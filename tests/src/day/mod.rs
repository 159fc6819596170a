//! One day at a station: three real phones sync, go offline, record, come back over HTTP, and the chief reviews.
//!
//! `content` knows what people write, `chief` what the chief does, `work` one phone's day, `run` the order of it all, and `table` what is
//! told at the end.

pub mod chief;
pub mod content;
pub mod run;
pub mod table;
pub mod work;

use std::path::PathBuf;

use crate::phone::PhoneError;
use crate::station::StationProcessError;

/// How a day goes.
#[derive(Debug, Clone)]
pub struct DayPlan {
    /// Where station and phones keep their files.
    pub root: PathBuf,
    /// What decides everything that is drawn.
    pub seed: u64,
    /// Visits on each phone.
    pub visits: u64,
    /// GPX files that are the patrols; without any, each phone walks the street grid once.
    pub tracks: Vec<PathBuf>,
}

/// What can go wrong with a day.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// The station.
    #[error(transparent)]
    Station(#[from] StationProcessError),
    /// A phone.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// A GPX file or a folder of them.
    #[error("{0}")]
    Gpx(String),
    /// A file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The day did not do what it shows.
    #[error("{0}")]
    Wrong(String),
}

impl From<beatbook_client_core::CoreError> for DayError {
    fn from(error: beatbook_client_core::CoreError) -> Self {
        Self::Phone(error.into())
    }
}
