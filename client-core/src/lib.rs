//! The phone's engine: it writes records down while there is no network, and brings them to the station when there is one.
//!
//! ```text
//!            Core (the one door for an app)
//!   lock ─(key)─► │
//!   capture ──┐   │   ┌── query (lists, search, what came back)
//!   drafts,   ▼   ▼   ▼
//!   patrols  store: records, acts, drafts, outbox (one SQLite file per user)
//!             ▲
//!             ├── sync (state machine without IO) ──┬── transport, drive (the thin loop)
//!             ├── blobs (content beside the file) ──┤
//!             └── ended (handing in, shredding) ────┘
//! ```
//!
//! Synchronous and blocking; time and randomness come in by [`Platform`]. Knows neither automerge (`protocol::document` does) nor,
//! outside `store`, SQL.

pub mod blobs;
pub mod capture;
pub mod core;
pub mod drive;
pub mod emergency;
pub mod ended;
mod error;
pub mod lock;
mod office;
mod platform;
pub mod query;
mod record;
mod store;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod transport;

pub use crate::core::{Core, Damaged, OpenOptions, Opened};
/// The words that its calls take and give: ids, values, edits, kinds.
pub use beatbook_protocol as protocol;
pub use error::CoreError;
pub use platform::{Clock, Platform, Randomness, SystemPlatform};
pub use store::write::{ActDone, ActOrder};
