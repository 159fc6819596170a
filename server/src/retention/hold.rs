//! Legal holds: a record is kept although its time is over, since a case, an inquiry or a quarrel needs it. Ordered on a ground, by whom the
//! ledger names, and ended the same way.

use beatbook_protocol::entry::{HoldEvent, RegistryEvent};
use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::check_ground;
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::ledger;
use crate::policy::{self, Permission};
use crate::registry::write_events;
use crate::station::{Session, Station};

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HoldView {
    /// The record.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// On what ground.
    pub ground: String,
    /// Since when.
    #[schema(value_type = i64)]
    pub since: UnixMillis,
    /// Who said so; none for the operator.
    #[schema(value_type = Option<String>)]
    pub by: Option<UserId>,
}

impl Station {
    /// Holds a record, or gives its hold another ground.
    ///
    /// # Errors
    /// When `by` may not, there is no such record in his units, or no ground is given.
    pub fn hold(&self, by: Option<&Session>, record: RecordId, ground: &str) -> Result<(), StationError> {
        self.order_hold(by, record, ground, false)
    }

    /// Ends the hold of a record; `ground` says why.
    ///
    /// # Errors
    /// When `by` may not, the record is not held, or no ground is given.
    pub fn release(&self, by: Option<&Session>, record: RecordId, ground: &str) -> Result<(), StationError> {
        self.order_hold(by, record, ground, true)
    }

    /// The hold on a record.
    ///
    /// # Errors
    /// When there is no such record in `by`'s units, or those of the store.
    pub fn held(&self, by: Option<&Session>, record: RecordId) -> Result<Option<HoldView>, StationError> {
        self.store.read(|tx| {
            super::answer::check_unit(tx, by, record, Permission::SeeKeeping)?;
            Ok(tx.hold(record)?.map(|row| HoldView {
                record: row.record,
                ground: row.ground,
                since: row.since,
                by: row.by,
            }))
        })
    }

    fn order_hold(&self, by: Option<&Session>, record: RecordId, ground: &str, ended: bool) -> Result<(), StationError> {
        policy::require(by, Permission::Keep)?;
        let ground = check_ground(ground)?;
        self.store.write(|tx| {
            super::answer::check_unit(tx, by, record, Permission::Keep)?;
            if ended && tx.hold(record)?.is_none() {
                return Err(StationError::NotFound(format!("hold on record {record}")));
            }
            let event = HoldEvent {
                record,
                ground: ground.clone(),
                ended: ended.then_some(true),
                on_behalf: by.map(|by| by.user),
            };
            write_events(tx, &self.keys, &self.env, &self.kinds, vec![RegistryEvent::Hold(event)])?;
            let line = Line {
                user: by.map(|by| by.user),
                what: if ended { "record.release" } else { "record.hold" },
                record: Some(record),
                detail: String::new(),
                reason: Some(ground),
            };
            audit::append(tx, &self.env, &line)
        })?;
        self.store.read(|tx| ledger::note(tx, &self.keys))?;
        Ok(())
    }
}
