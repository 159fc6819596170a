//! The asking half of the door, and the writing of whole records beside drafts.

use beatbook_protocol::document::{Edit, FieldPath};
use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::id::{Hash, RecordId, UnitId};
use beatbook_protocol::kind::Catalogue;

use super::types::{CameBack, ConflictView, Filter, HistoryView, PostingView, RecordPage, RecordRow, RecordView, RefusedEntry};
use crate::core::Core;
use crate::error::CoreError;
use crate::office::Posting;
use crate::store::write::{ActDone, ActOrder, Seen};
use crate::store::{lists, registry, returns, views};

/// What waits and what came back is shown whole on a phone; beyond this it is a fault to look into, not a list to scroll.
const ALL: u32 = 500;

impl Core {
    /// The kinds in force.
    #[must_use]
    pub fn kinds(&self) -> Catalogue {
        self.office().kinds
    }

    /// Opens a record of the newest version of a kind.
    ///
    /// # Errors
    /// When the kind is unknown, the values do not fit, or this user may not.
    pub fn begin(&self, kind: &str, edit: &Edit) -> Result<RecordId, CoreError> {
        let record = self.platform().record_id();
        self.write(|records| records.open_record(record, kind, edit, None))?;
        Ok(record)
    }

    /// Opens a record in another unit where this user works.
    ///
    /// # Errors
    /// As [`Core::begin`], and when he does not work there or the unit is closed.
    pub fn begin_in(&self, unit: UnitId, kind: &str, edit: &Edit) -> Result<RecordId, CoreError> {
        let record = self.platform().record_id();
        self.write(|records| records.open_record(record, kind, edit, Some(unit)))?;
        Ok(record)
    }

    /// Where this user works: at home first, then by his memberships that are in force. Empty before enrolment.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn postings(&self) -> Result<Vec<PostingView>, CoreError> {
        let office = self.office();
        self.read(|tx| {
            let view = |posting: &Posting| {
                Ok(PostingView {
                    unit: posting.unit,
                    unit_name: registry::unit_name(tx, posting.unit)?,
                    roles: posting.roles.clone(),
                    acting_for: posting.stands_in_for.map(|user| registry::name_of(tx, user)).transpose()?,
                    until: posting.until,
                })
            };
            office.postings.iter().map(view).collect()
        })
    }

    /// Edits a record that its author sees as `version`, or as it is now. Tells whether anything was written.
    ///
    /// # Errors
    /// `Moved` when the record is not at that version any more, `Conflicted` when a place has several values, `Forbidden` when this
    /// user may not write now.
    pub fn edit(&self, record: RecordId, edit: &Edit, version: Option<&str>) -> Result<bool, CoreError> {
        self.write(|records| records.edit(record, edit, version.map_or(Seen::Now, Seen::Version)))
    }

    /// Settles a conflict: from now on this value stands, and the history says who chose it.
    ///
    /// # Errors
    /// As [`Core::edit`], and when the place takes no plain value.
    pub fn settle(&self, record: RecordId, path: &FieldPath, value: &Value, version: Option<&str>) -> Result<bool, CoreError> {
        let edit = Edit::at(path, value).ok_or_else(|| CoreError::InvalidInput {
            field: path.to_string(),
            why: "a value of another sort stands here".into(),
        })?;
        self.edit(record, &edit.settling(), version)
    }

    /// Acts on a record as this user sees it. The phone shows the state that follows; the station has the last word.
    ///
    /// # Errors
    /// `Moved` when the record is not at the order's version any more, `Hindered` with findings, `Forbidden` in this state.
    pub fn act(&self, record: RecordId, order: &ActOrder) -> Result<ActDone, CoreError> {
        self.write(|records| records.act(record, order))
    }

    /// One record, whole.
    ///
    /// # Errors
    /// When it is not here.
    pub fn record(&self, record: RecordId) -> Result<RecordView, CoreError> {
        let (office, now) = (self.office(), self.platform().clock.wall());
        self.read(|tx| views::record(tx, &office, record, now))?
            .ok_or(CoreError::UnknownRecord(record))
    }

    /// Every write to a record, with author and time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn history(&self, record: RecordId) -> Result<Vec<HistoryView>, CoreError> {
        let office = self.office();
        self.read(|tx| views::history(tx, &office, record))
    }

    /// A list of records.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<RecordPage, CoreError> {
        let me = self.office().user();
        self.read(|tx| lists::list(tx, filter, me))
    }

    /// Records with these words: Chinese of two characters and more, words as they are typed, pinyin initials. Whatever is typed, it is
    /// a question and no fault. The records that came last are first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn search(&self, text: &str, limit: u32) -> Result<Vec<RecordRow>, CoreError> {
        let filter = Filter {
            text: Some(text.to_owned()),
            limit: Some(limit),
            ..Filter::default()
        };
        Ok(self.list(&filter)?.rows)
    }

    /// What came back to this user, and why.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn came_back(&self) -> Result<Vec<CameBack>, CoreError> {
        let office = self.office();
        self.read(|tx| returns::came_back(tx, &office))
    }

    /// Every conflict, with both values and their authors.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn conflicts(&self) -> Result<Vec<ConflictView>, CoreError> {
        let office = self.office();
        self.read(|tx| views::conflicts(tx, &office))
    }

    /// Records with work that the station has not answered.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting(&self) -> Result<Vec<RecordRow>, CoreError> {
        Ok(self
            .list(&Filter {
                waiting: true,
                limit: Some(ALL),
                ..Filter::default()
            })?
            .rows)
    }

    /// What the station refused, with reason and values.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn refused(&self) -> Result<Vec<RefusedEntry>, CoreError> {
        let office = self.office();
        self.read(|tx| returns::refused(tx, &office))
    }

    /// The values of the last record of this kind about another one (the last visit of a household) that carry over to the next.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn starting_point(&self, kind: &str, about: RecordId) -> Result<Facts, CoreError> {
        let office = self.office();
        self.read(|tx| views::starting_point(tx, &office, kind, about))
    }

    /// Every entry that this file holds as accepted, with the hash of its whole bytes: what a check against the station compares.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted_entries(&self) -> Result<Vec<(RecordId, Hash)>, CoreError> {
        self.read(lists::accepted_entries)
    }
}
