//! What the station chief sees and does: the queue, the record's page, acts. Knows nothing of HTTP.

pub(crate) mod act;
pub(crate) mod glass;
pub(crate) mod mask;
pub(crate) mod merges;
pub(crate) mod page;
pub(crate) mod queue;
pub mod view;
mod written;

pub(crate) use mask::{masked, sign};
