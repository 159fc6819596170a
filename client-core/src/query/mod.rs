//! What screens ask: lists, one record, search. Lists read rows and never open a document; one record opens its own.

mod calls;
mod due;
mod forms;
mod han;
mod people;
pub(crate) mod segment;
mod types;

pub use due::{DueView, NearView};
pub use forms::{ActForm, DraftForm};
pub use people::{PersonView, UnitView};
pub use types::{
    ActView, Author, CameBack, CameBackWhy, ClaimView, ConflictView, Filter, HistoryView, Mark, ParseMarkError, PostingView,
    RecordPage, RecordRow, RecordView, RefusedEntry, RefusedWhat, WrittenView,
};
