//! Forms: the kinds that new records are made under, and how a draft stands before it is written.

use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::kind::{
    CheckedKind, DocumentName, FieldNow, Finding, Judged, RecordContext, UTC_OFFSET_MINUTES, UserContext, act_form, form,
    item_form, validate,
};

use crate::capture::draft::Draft;
use crate::core::Core;
use crate::error::CoreError;
use crate::record;
use crate::store::registry;
use crate::store::write::{ActOrder, findings_of, takes_values};

/// How a draft stands: what its form shows now.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftForm {
    /// The kind's fields in order.
    pub fields: Vec<FieldNow>,
    /// The fields of the items that are there, by their places.
    pub items: Vec<FieldNow>,
    /// What would be missing or wrong, were it written as it is.
    pub findings: Vec<Finding>,
    /// What the record would say.
    pub facts: Facts,
    /// What its private document would say, where this user may hold it.
    pub private: Facts,
}

/// How an act stands before it is done: what its form shows now.
#[derive(Debug, Clone, PartialEq)]
pub struct ActForm {
    /// The act's fields in order.
    pub fields: Vec<FieldNow>,
    /// What would hinder it, and what is worth telling.
    pub findings: Vec<Finding>,
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
            items: item_form(kind, &judged),
            findings: validate(kind, &judged),
            facts,
            private,
        })
    }

    /// How an act on a record would stand with what is typed so far. Nothing is written.
    ///
    /// # Errors
    /// When the record is not here, its kind has no such act, or the act has no field for a value.
    pub fn act_form(&self, record: RecordId, order: &ActOrder) -> Result<ActForm, CoreError> {
        let (office, view) = (self.office(), self.record(record)?);
        let unknown = |what: String| CoreError::Unknown { what };
        let kind = office.kinds.get(&view.row.kind, view.row.kind_version);
        let kind = kind.ok_or_else(|| unknown(format!("kind {}", view.row.kind)))?;
        let rule = kind.act(&order.code);
        let rule = rule.ok_or_else(|| unknown(format!("act {}", order.code)))?;
        takes_values(rule, order)?;
        let me = office.me.clone().ok_or(CoreError::NotEnrolled)?;
        let grantees = self.read(|tx| registry::grantees(tx, record))?;
        let whos = office.whos(view.row.opener, view.row.unit, &grantees);
        let private = view.private.clone().unwrap_or_default();
        let judged = Judged {
            facts: &view.facts,
            private: Some(&private),
            record: RecordContext {
                id: record,
                state: &view.row.state,
                unit: view.row.unit,
                opened_at: view.row.opened_at,
                opened_by: view.row.opener.unwrap_or(UserId::from_bytes([0; 16])),
            },
            now: self.platform().clock.wall(),
            utc_offset_minutes: UTC_OFFSET_MINUTES,
            user: UserContext {
                id: me.user,
                roles: &whos,
            },
        };
        Ok(ActForm {
            fields: act_form(kind, rule, &order.values, &judged),
            findings: findings_of(kind, rule, order, &judged),
        })
    }
}
