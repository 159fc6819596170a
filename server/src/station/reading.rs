//! The station's door, continued: what people read of records, and the log of that. What is sensitive is shown when its line is on the disk,
//! and not before.

use beatbook_protocol::id::RecordId;

use super::{
    AuditExport, AuditFilter, AuditPage, EntryLine, ExportForm, GlassView, Part, QueueFilter, QueuePage, Reason, RecordFilter,
    RecordPage, RecordRow, RowPage, Session, Station,
};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::policy::{self, Permission, Sight};
use crate::review;
use crate::review::page::{Asked, Seen};

impl Station {
    /// The records that wait for review in the person's scope, those that wait longest first.
    ///
    /// # Errors
    /// When the filter makes no sense, the person may not read records, or those of the store.
    pub fn review_queue(&self, session: &Session, filter: &QueueFilter) -> Result<QueuePage, StationError> {
        review::queue::queue(self, session, filter)
    }

    /// The records in the person's scope, newest change first.
    ///
    /// # Errors
    /// When the filter makes no sense, the person may not read records, or those of the store.
    pub fn records(&self, session: &Session, filter: &RecordFilter) -> Result<RowPage, StationError> {
        review::queue::records(self, session, filter)
    }

    /// Full-text search in the person's scope, best first.
    ///
    /// # Errors
    /// When the person may not read records, or those of the store.
    pub fn search(&self, session: &Session, text: &str, limit: u32) -> Result<Vec<RecordRow>, StationError> {
        review::queue::search(self, session, text, limit)
    }

    /// A record's page as it is shown to one who gives no reason; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// When the person may not read records, or those of the store.
    pub fn record(&self, session: &Session, record: RecordId) -> Result<Option<RecordPage>, StationError> {
        self.look(session, record, Part::Page, None)
    }

    /// A record's page, with what the reason that the person gives lets him see; none when there is no such record in his scope. The log says
    /// what sensitive fields are plain in the part that is asked for, and says it before this returns.
    ///
    /// # Errors
    /// When the person may not read records, or the log cannot be written, or those of the store.
    pub fn look(
        &self,
        session: &Session,
        record: RecordId,
        part: Part,
        reason: Option<&Reason>,
    ) -> Result<Option<RecordPage>, StationError> {
        policy::require(Some(session), Permission::ReadRecords)?;
        let asked = Asked {
            part,
            reason: reason.cloned(),
            at: self.env.clock.now(),
        };
        let found = self
            .store
            .read(|tx| review::page::record(tx, &self.kinds, session, record, &asked))?;
        let Some(Seen { mut page, sight, shown }) = found else {
            return Ok(None);
        };
        if !shown.is_empty() {
            let what = match part {
                Part::Page => "record.read",
                Part::History => "record.history",
                Part::Track => "record.track",
            };
            audit::write(self, &line_of(session, record, what, &sight, &shown.join(" ")))?;
        }
        for file in &mut page.files {
            file.arrived = self.blobs.arrived(&file.hash).is_some();
            file.thumbnail_arrived = file.thumbnail.is_some_and(|hash| self.blobs.arrived(&hash).is_some());
        }
        Ok(Some(page))
    }

    /// The accepted entries of a record by identity, in the ledger's order; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// When the person may not read records, or those of the store.
    pub fn entries(&self, session: &Session, record: RecordId) -> Result<Option<Vec<EntryLine>>, StationError> {
        policy::require(Some(session), Permission::ReadRecords)?;
        self.store.read(|tx| review::page::entries(tx, &self.kinds, session, record))
    }

    /// Breaks the glass before a record in the person's scope: for three hours he sees all of it. His unit's auditor sees that, and why.
    /// None when there is no such record in his scope.
    ///
    /// # Errors
    /// When the person may not read records, or the log cannot be written.
    pub fn break_glass(&self, session: &Session, record: RecordId, reason: &Reason) -> Result<Option<GlassView>, StationError> {
        review::glass::break_glass(self, session, record, reason)
    }

    /// The audit log of the person's units, the newest line first. That he read it is a line too.
    ///
    /// # Errors
    /// When the person is no auditor, the filter makes no sense, or the log cannot be written.
    pub fn audit(&self, session: &Session, filter: &AuditFilter) -> Result<AuditPage, StationError> {
        audit::log::page(self, session, filter)
    }

    /// The audit log of the person's units from the first line on, to be taken along. That he did is a line too.
    ///
    /// # Errors
    /// When the person is no auditor, the filter makes no sense, or the log cannot be written.
    pub fn audit_export(&self, session: &Session, filter: &AuditFilter, form: ExportForm) -> Result<AuditExport, StationError> {
        audit::log::export(self, session, filter, form)
    }

    /// The glass that was broken before records of the person's units, the newest first, below a line of the log.
    ///
    /// # Errors
    /// When the person is no auditor, or the log cannot be written.
    pub fn audit_glass(&self, session: &Session, below: Option<u64>) -> Result<Vec<GlassView>, StationError> {
        policy::require(Some(session), Permission::ReadAudit)?;
        audit::write(self, &Line::of(Some(session.user), "audit.glass", ""))?;
        review::glass::broken(self, session, below)
    }

    /// Fixes the audit log in the ledger, if there are lines that it has not fixed yet; whether there were. `serve` asks for it now and then.
    ///
    /// # Errors
    /// Those of the store and of the keys directory.
    pub fn anchor_audit(&self) -> Result<bool, StationError> {
        audit::anchor(self)
    }

    /// Says in the audit log that the operator takes something out of the station (`dump` ...), before he does.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn note_export(&self, what: &'static str) -> Result<(), StationError> {
        audit::write(self, &Line::of(None, "station.export", what))
    }
}

/// The line of the log that says what somebody was shown of a record.
pub(crate) fn line_of(session: &Session, record: RecordId, what: &'static str, sight: &Sight, shown: &str) -> Line {
    let behind = if sight.glass { " (behind broken glass)" } else { "" };
    Line {
        record: Some(record),
        reason: sight.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        ..Line::of(Some(session.user), what, format!("{shown}{behind}"))
    }
}
