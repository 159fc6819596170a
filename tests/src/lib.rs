//! What scenarios, the demo day and benchmarks share: seeded input, real station processes, real phones.
//!
//! ```text
//!  seeded ──► street ──► day ──► (phones: real client-cores) ──HTTP──► station (a real process)
//! ```

pub mod seeded;
pub mod street;
