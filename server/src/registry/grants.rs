//! Granting records: who may hold them beside the people of their unit. Who may order it: the chief within the units that are his, and the
//! operator at the machine itself.

use beatbook_protocol::entry::{GrantEvent, RegistryEvent};
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use serde::Serialize;

use super::realm::Realm;
use super::{order, units};
use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::station::{Session, Station};
use crate::store::{GrantRow, Grantee};

/// To whom a record is granted, beside the people of its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GrantView {
    /// A person.
    #[schema(value_type = Option<String>)]
    pub user: Option<UserId>,
    /// A unit and those below it.
    #[schema(value_type = Option<String>)]
    pub unit: Option<UnitId>,
    /// `assigned` or `shared`.
    pub reason: String,
    /// The leaf that says so.
    pub leaf: u64,
}

impl From<GrantRow> for GrantView {
    fn from(row: GrantRow) -> Self {
        let (user, unit) = match row.to {
            Grantee::User(user) => (Some(user), None),
            Grantee::Unit(unit) => (None, Some(unit)),
        };
        Self {
            user,
            unit,
            reason: row.reason,
            leaf: row.leaf,
        }
    }
}

/// A grant to be made or ended.
#[derive(Debug, Clone)]
pub struct GrantOrder {
    /// To a person,
    pub user: Option<UserId>,
    /// or to a unit: exactly one of both.
    pub unit: Option<UnitId>,
    /// `assigned` or `shared`.
    pub reason: String,
    /// Whether it ends.
    pub ended: bool,
}

impl Station {
    /// Assigns a record to somebody or shares it with him, beside the people of its unit, or ends that.
    ///
    /// # Errors
    /// When the record or the grantee is unknown, the order makes no sense, or the record's unit is not one of `by`'s.
    pub fn grant(&self, by: Option<&Session>, record: RecordId, wanted: &GrantOrder) -> Result<(), StationError> {
        if !["assigned", "shared"].contains(&wanted.reason.as_str()) {
            return Err(StationError::Invalid("a record is `assigned` or `shared`".into()));
        }
        let event = GrantEvent {
            record,
            user: wanted.user,
            unit: wanted.unit,
            reason: wanted.reason.clone(),
            ended: wanted.ended.then_some(true),
            on_behalf: by.map(|by| by.user),
        };
        let to = Grantee::of(&event).ok_or_else(|| StationError::Invalid("name a person or a unit, not both".into()))?;
        order(self, |tx| {
            let realm = Realm::of(tx, by, Permission::Grant)?;
            let no_record = || StationError::NotFound(format!("record {record}"));
            let state = tx.record(record)?.ok_or_else(no_record)?;
            if !realm.holds(state.opening.opens.unit) {
                return Err(no_record());
            }
            match to {
                Grantee::User(user) if tx.user(user)?.is_none() => return Err(StationError::NotFound(format!("person {user}"))),
                Grantee::Unit(unit) => drop(units::find(tx, unit)?),
                Grantee::User(_) => {}
            }
            let is_granted = tx.grants(record)?.iter().any(|row| row.to == to);
            if wanted.ended && !is_granted {
                return Err(StationError::NotFound("such grant".into()));
            }
            Ok(RegistryEvent::Grant(event))
        })
    }

    /// To whom a record is granted; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// Those of the store.
    pub fn grants(&self, session: &Session, record: RecordId) -> Result<Option<Vec<GrantView>>, StationError> {
        policy::require(Some(session), Permission::ReadRecords)?;
        self.store.read(|tx| {
            if crate::review::queue::row(tx, &self.kinds, session, record)?.is_none() {
                return Ok(None);
            }
            Ok(Some(tx.grants(record)?.into_iter().map(GrantView::from).collect()))
        })
    }
}
