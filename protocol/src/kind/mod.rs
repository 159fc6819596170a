//! The kind catalogue: what sorts of records there are.
pub mod model;
pub use model::*;
