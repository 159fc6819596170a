//! What screens ask: lists, one record, search. Lists read rows and never open a document; one record opens its own.

mod calls;
pub(crate) mod segment;
mod types;

pub use types::{
    ActView, Author, CameBack, CameBackWhy, ClaimView, ConflictView, Filter, HistoryView, Mark, PostingView, RecordPage,
    RecordRow, RecordView, RefusedEntry, RefusedWhat, WrittenView,
};
