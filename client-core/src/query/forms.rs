//! Forms: the kinds that new records are made under, and how a draft stands before it is written.

use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::{
    CheckedKind, DocumentName, FieldNow, Finding, Judged, RecordContext, UTC_OFFSET_MINUTES, UserContext, form, validate,
};

use crate::capture::draft::Draft;
use crate::core::Core;
use crate::error::CoreError;
use crate::record;

/// How a draft stands: what its form shows now.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftForm {
    /// The kind's fields in order.
    pub fields: Vec<FieldNow>,
    /// What would be missing or wrong, were it written as it is.
    pub findings: Vec<Finding>,
    /// What the record would say.
    pub facts: Facts,
    /// What its private document would say, where this user may hold it.
    pub private: Facts,
}

impl Core {
    /// The kinds under which new records are made: of each the newest version that the station has in force.
    #[must_use]
    pub fn kinds_in_force(&self) -> Vec<CheckedKind> {
        let office = self.office();
        let mut codes: Vec<&str> = office.kinds.iter().map(|kind| kind.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes.into_iter().filter_map(|code| office.newest(code).cloned()).collect()
    }

    /// How a draft stands with what is typed so far. Nothing is written.
    ///
    /// # Errors
    /// When its record or kind is not here.
    pub fn draft_form(&self, draft: &Draft) -> Result<DraftForm, CoreError> {
        let (office, now) = (self.office(), self.platform().clock.wall());
        let shown = draft.record.map(|record| self.record(record)).transpose()?;
        let kind = match &shown {
            Some(view) => office.kinds.get(&view.row.kind, view.row.kind_version),
            None => office.newest(&draft.kind),
        };
        let kind = kind.ok_or_else(|| CoreError::Unknown {
            what: format!("kind {}", draft.kind),
        })?;
        let me = office.me.clone().ok_or(CoreError::NotEnrolled)?;
        let (mut facts, mut private) = shown
            .as_ref()
            .map(|view| (view.facts.clone(), view.private.clone().unwrap_or_default()))
            .unwrap_or_default();
        for (name, part) in record::parts(kind, &draft.edit) {
            match name {
                DocumentName::Facts => facts = record::overlay(facts, &part),
                DocumentName::Private => private = record::overlay(private, &part),
            }
        }
        let unit = shown.as_ref().map_or(draft.unit.unwrap_or(me.unit), |view| view.row.unit);
        let opener = shown.as_ref().map_or(Some(me.user), |view| view.row.opener);
        let whos = office.whos(opener, unit, &[]);
        let judged = Judged {
            facts: &facts,
            private: Some(&private),
            record: RecordContext {
                id: draft.record.unwrap_or(RecordId::from_bytes([0; 16])),
                state: shown.as_ref().map_or(&kind.workflow.initial, |view| &view.row.state),
                unit,
                opened_at: shown.as_ref().map_or(now, |view| view.row.opened_at),
                opened_by: opener.unwrap_or(me.user),
            },
            now,
            utc_offset_minutes: UTC_OFFSET_MINUTES,
            user: UserContext {
                id: me.user,
                roles: &whos,
            },
        };
        Ok(DraftForm {
            fields: form(kind, &judged),
            findings: validate(kind, &judged),
            facts,
            private,
        })
    }
}
