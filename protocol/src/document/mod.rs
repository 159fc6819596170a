//! Documents: what a record's people wrote, as an automerge document of fixed shape. The only room that names automerge, and it
//! shows none of its types. Knows nothing of who may write, of records' states, or of where bytes are kept.
//!
//! ```text
//!  kind ──► Shape ──► genesis (the containers; never travels)
//!             │
//!  Edit ──► Document ──► Change (bytes, hash, settles)
//!             │   ▲
//!             │   └──── guard::check ◄── bytes from elsewhere
//!             ▼
//!           View (facts, conflicts, who wrote what)   history (every write)
//! ```
//!
//! At the root are five maps, made by the genesis change: `fields` (code → value), `lists` (code → item id → code → value),
//! `notes` (code → text), `track` (key → bytes), `files` (SHA-256 → property → value). Nothing is deleted outside notes.

mod body;
mod commit;
mod edit;
mod genesis;
pub mod guard;
mod history;
mod log;
mod path;
mod read;
mod replay;
#[cfg(test)]
pub(crate) mod sample;
mod shape;
mod view;
mod write;

pub use body::{Document, DocumentError};
pub use edit::{Change, Edit, EditError, ItemEdit};
pub use genesis::genesis;
pub use history::Write;
pub use path::{FieldPath, ParsePathError, REMOVED};
pub use shape::Shape;
pub use view::{Claim, Conflict, Said, View, Written};

pub(crate) use body::calmly;
