//! The world: real phones, the real station and a bad line between them, in one process under one seed, with a model beside them that
//! remembers what was captured and what was acknowledged. `docs/simulation.md` says what is simulated and what must hold.
//!
//! ```text
//!  plan ──► run ──► officer (on phones) ──► network ──► station (and its chief)
//!             │          ▲ device: clock, randomness, fuse ▲
//!             └──► model, invariants (look into the files) ──► trace
//! ```

mod arrive;
mod desk;
pub mod device;
mod heal;
pub mod invariants;
pub mod look;
pub mod many;
pub mod model;
pub mod network;
pub mod officer;
mod parting;
pub mod phone;
pub mod plan;
pub mod run;
pub mod station;
pub mod sync;
pub mod template;
pub mod trace;

/// What does not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

/// Something does not hold.
#[must_use]
pub fn broken(what: impl Into<String>) -> Broken {
    Broken(what.into())
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        broken(format!("a file: {error}"))
    }
}
