//! The kind catalogue: what sorts of records there are, and what holds for each. Kinds are data; nothing here knows what a patrol is.
//!
//! ```text
//!  kinds/*.toml ── parse ──► CheckedKind ──► Catalogue (get, newest, digest)
//!                 (check,      │    (every fault refused with file and line)
//!                  lines)      ├── validate(kind, judged) ─► findings: the same on a phone and on the station
//!                              └── workflow::judge(kind, state, act, who) ─► accepted, repeat, offer, returned, forbidden
//! ```
//!
//! Knows neither automerge nor CBOR: it judges plain [`crate::facts`], at a time that the caller names.

mod calendar;
mod catalogue;
mod check;
mod check_field;
mod check_workflow;
pub mod duplicate;
mod expression;
mod form;
mod judged;
mod lines;
pub mod model;
mod parse;
mod rehearse;
#[cfg(test)]
mod samples;
mod validate;
mod values;
pub mod workflow;

pub use catalogue::{Catalogue, set_digest};
pub use expression::Expression;
pub use form::{FieldNow, act_form, form, item_form};
pub use judged::{Judged, RecordContext, UTC_OFFSET_MINUTES, UserContext};
pub use model::*;
pub use parse::{CheckedKind, KindError, KindFault, file_digest};
pub use validate::{Finding, FindingSeverity, hinders, validate};
pub use workflow::{ActGiven, Judgement};
