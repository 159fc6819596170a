//! What follows from a record's entries, without a store: where its acts have led it, what it is called in lists, which document an
//! edit is for. Knows neither SQL nor automerge.

mod course;
mod overlay;
mod split;
mod title;

pub(crate) use course::{Course, Step};
pub(crate) use overlay::overlay;
pub(crate) use split::{is_empty, parts, paths, pick};
pub(crate) use title::{search_text, title};
