//! What scenarios, the demo day and benchmarks share: seeded input, real station processes, real phones.
//!
//! ```text
//!  seeded ──► street ──► day ──► (phones: real client-cores) ──HTTP──► station (a real process)
//! ```

pub mod bench;
pub mod day;
pub mod fuzz;
pub mod hostile;
pub mod phone;
pub mod proxy;
pub mod sbom;
pub mod seeded;
pub mod station;
pub mod street;
pub mod world;
