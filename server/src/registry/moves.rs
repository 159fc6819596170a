//! Moving people and units, and granting records: who may hold what from now on. Who may says `policy`; each within
//! his own units, the operator at the machine everywhere.

use std::collections::BTreeSet;

use beatbook_protocol::entry::{GrantEvent, RegistryEvent, UnitEvent, UserEvent};
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use serde::Serialize;

use super::people::{check_name, check_roles};
use super::tokens::random;
use super::write_events;
use crate::error::StationError;
use crate::ledger;
use crate::policy::{self, Permission};
use crate::station::{Session, Station};
use crate::store::{GrantRow, Grantee, ReadTx};

/// A unit as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UnitView {
    /// The unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// Its name.
    pub name: String,
    /// The unit above it.
    #[schema(value_type = Option<String>)]
    pub parent: Option<UnitId>,
}

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
    /// The units, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn units(&self) -> Result<Vec<UnitView>, StationError> {
        let rows = self.store.read(|tx| Ok::<_, StationError>(tx.units()?))?;
        let view = |row: UnitEvent| UnitView {
            unit: row.unit,
            name: row.name,
            parent: row.parent,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Adds a unit below another, or a root of its own (only the operator may).
    ///
    /// # Errors
    /// When the parent is unknown, the name is none, or `by` may not.
    pub fn add_unit(&self, by: Option<&Session>, name: &str, parent: Option<UnitId>) -> Result<UnitId, StationError> {
        policy::require(by, Permission::Register)?;
        let name = check_name(name)?;
        let unit = UnitId::from_parts(self.env.clock.now(), random(&self.env)?);
        self.say(|tx| {
            Realm::of(tx, by)?.check(parent)?;
            check_unit(tx, parent)?;
            Ok(RegistryEvent::Unit(UnitEvent {
                unit,
                name,
                parent,
                level: None,
                closed: None,
                on_behalf: by.map(|by| by.user),
            }))
        })?;
        Ok(unit)
    }

    /// Puts a unit with all below it under another one.
    ///
    /// # Errors
    /// When a unit is unknown, the new parent lies below it, or `by` may not.
    pub fn move_unit(&self, by: Option<&Session>, unit: UnitId, parent: Option<UnitId>) -> Result<(), StationError> {
        policy::require(by, Permission::Register)?;
        self.say(|tx| {
            let realm = Realm::of(tx, by)?;
            realm.check(Some(unit))?;
            realm.check(parent)?;
            check_unit(tx, parent)?;
            let found = tx.units()?.into_iter().find(|row| row.unit == unit);
            let row = found.ok_or_else(|| StationError::NotFound(format!("unit {unit}")))?;
            if parent.is_some_and(|parent| tx.units_below(unit).is_ok_and(|below| below.contains(&parent))) {
                return Err(StationError::Invalid("a unit cannot be put below itself".into()));
            }
            Ok(RegistryEvent::Unit(UnitEvent {
                parent,
                on_behalf: by.map(|by| by.user),
                ..row
            }))
        })
    }

    /// Moves a person to another unit, or gives him other roles; what is not named stays.
    ///
    /// # Errors
    /// When the person, the unit or a role is unknown, or `by` may not.
    pub fn move_user(
        &self,
        by: Option<&Session>,
        user: UserId,
        unit: Option<UnitId>,
        roles: Option<&[String]>,
    ) -> Result<(), StationError> {
        policy::require(by, Permission::Register)?;
        let roles = roles.map(check_roles).transpose()?;
        self.say(|tx| {
            let row = tx
                .user(user)?
                .ok_or_else(|| StationError::NotFound(format!("person {user}")))?;
            let unit = unit.unwrap_or(row.unit);
            let realm = Realm::of(tx, by)?;
            realm.check(Some(row.unit))?;
            realm.check(Some(unit))?;
            check_unit(tx, Some(unit))?;
            Ok(RegistryEvent::User(UserEvent {
                user,
                name: row.name,
                roles: roles.unwrap_or(row.roles),
                unit,
                blocked: None,
                on_behalf: by.map(|by| by.user),
            }))
        })
    }

    /// Assigns a record to somebody or shares it with him, beside the people of its unit, or ends that.
    ///
    /// # Errors
    /// When the record or the grantee is unknown, the order makes no sense, or the record's unit is not one of `by`'s.
    pub fn grant(&self, by: Option<&Session>, record: RecordId, order: &GrantOrder) -> Result<(), StationError> {
        policy::require(by, Permission::Grant)?;
        if !["assigned", "shared"].contains(&order.reason.as_str()) {
            return Err(StationError::Invalid("a record is `assigned` or `shared`".into()));
        }
        let event = GrantEvent {
            record,
            user: order.user,
            unit: order.unit,
            reason: order.reason.clone(),
            ended: order.ended.then_some(true),
            on_behalf: by.map(|by| by.user),
        };
        let to = Grantee::of(&event).ok_or_else(|| StationError::Invalid("name a person or a unit, not both".into()))?;
        self.say(|tx| {
            let no_record = || StationError::NotFound(format!("record {record}"));
            let state = tx.record(record)?.ok_or_else(no_record)?;
            if !Realm::of(tx, by)?.holds(state.opening.opens.unit) {
                return Err(no_record());
            }
            match to {
                Grantee::User(user) if tx.user(user)?.is_none() => return Err(StationError::NotFound(format!("person {user}"))),
                Grantee::Unit(unit) => check_unit(tx, Some(unit))?,
                Grantee::User(_) => {}
            }
            let is_granted = tx.grants(record)?.iter().any(|row| row.to == to);
            if order.ended && !is_granted {
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

    /// Writes what was found to be in order into the ledger, on the same look.
    fn say(&self, event: impl FnOnce(&ReadTx<'_>) -> Result<RegistryEvent, StationError>) -> Result<(), StationError> {
        self.store.write(|tx| {
            let event = event(tx)?;
            write_events(tx, &self.keys, &self.env, &self.kinds, vec![event])
        })?;
        self.store.read(|tx| ledger::note(tx, &self.keys))?;
        Ok(())
    }
}

/// The units in which somebody may move people and records; the operator at the machine, everywhere.
struct Realm(Option<BTreeSet<UnitId>>);

impl Realm {
    fn of(tx: &ReadTx<'_>, by: Option<&Session>) -> Result<Self, StationError> {
        let units = by.map(|by| tx.units_below(by.unit)).transpose()?;
        Ok(Self(units.map(|units| units.into_iter().collect())))
    }

    fn holds(&self, unit: UnitId) -> bool {
        self.0.as_ref().is_none_or(|units| units.contains(&unit))
    }

    fn check(&self, unit: Option<UnitId>) -> Result<(), StationError> {
        if unit.map_or(self.0.is_none(), |unit| self.holds(unit)) {
            Ok(())
        } else {
            Err(StationError::Forbidden("this is beyond the person's own units".into()))
        }
    }
}

fn check_unit(tx: &ReadTx<'_>, unit: Option<UnitId>) -> Result<(), StationError> {
    match unit {
        Some(unit) if !tx.has_unit(unit)? => Err(StationError::NotFound(format!("unit {unit}"))),
        Some(_) | None => Ok(()),
    }
}
