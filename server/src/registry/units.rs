//! Units: adding, renaming, moving, closing them. Who may: the chief and the administrator, each within his own units, and the operator at
//! the machine itself. Knows nothing of records.

use std::collections::BTreeMap;

use beatbook_protocol::entry::{RegistryEvent, UnitEvent};
use beatbook_protocol::id::{UnitId, UserId};
use serde::Serialize;

use super::levels::{Level, check_nesting};
use super::realm::Realm;
use super::tokens::random;
use super::{names, order};
use crate::error::StationError;
use crate::policy::Permission;
use crate::station::{Session, Station};
use crate::store::{ENDED, ReadTx};

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
    /// What it is, by code, as `community`.
    pub level: Option<String>,
    /// Whether it takes no new people and records.
    pub closed: bool,
    /// How other registers call it.
    pub code: Option<String>,
}

/// A unit to be added.
#[derive(Debug, Clone, Default)]
pub struct UnitOrder {
    /// Its name.
    pub name: String,
    /// The unit above it; none for a root, which only the operator makes.
    pub parent: Option<UnitId>,
    /// What it is, by code.
    pub level: Option<String>,
    /// How other registers call it.
    pub code: Option<String>,
}

/// What is to be another way about a unit; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct UnitChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is, by code.
    pub level: Option<String>,
    /// How other registers call it.
    pub code: Option<String>,
}

impl Station {
    /// The units, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn units(&self) -> Result<Vec<UnitView>, StationError> {
        self.store.read(|tx| {
            let mut codes: BTreeMap<UnitId, String> = tx.unit_codes()?.into_iter().collect();
            let view = |row: UnitEvent| UnitView {
                unit: row.unit,
                name: row.name,
                parent: row.parent,
                level: row.level,
                closed: row.closed == Some(true),
                code: codes.remove(&row.unit),
            };
            Ok(tx.units()?.into_iter().map(view).collect())
        })
    }

    /// Adds a unit below another, or a root of its own (only the operator may).
    ///
    /// # Errors
    /// When the parent is unknown, the name is none, or `by` may not.
    pub fn add_unit(&self, by: Option<&Session>, name: &str, parent: Option<UnitId>) -> Result<UnitId, StationError> {
        let order = UnitOrder {
            name: name.to_owned(),
            parent,
            ..UnitOrder::default()
        };
        self.order_unit(by, &order)
    }

    /// Adds a unit with its level and code.
    ///
    /// # Errors
    /// When the parent is unknown or closed, the name, level or code is none or taken, the level does not fit, or `by` may not.
    pub fn order_unit(&self, by: Option<&Session>, wanted: &UnitOrder) -> Result<UnitId, StationError> {
        let name = names::check("a unit", &wanted.name)?;
        let level = wanted.level.as_deref().map(Level::check).transpose()?;
        let code = wanted.code.as_deref().map(names::check_code).transpose()?;
        let unit = UnitId::from_parts(self.env.clock.now(), random(&self.env)?);
        order(self, |tx| {
            Realm::of(tx, by, Permission::Register)?.check(wanted.parent)?;
            let event = UnitEvent {
                unit,
                name,
                parent: wanted.parent,
                level: level.map(|level| level.code().to_owned()),
                closed: None,
                on_behalf: by.map(|by| by.user),
            };
            check_place(tx, &event)?;
            if let Some(code) = &code {
                check_free(tx, code, unit)?;
                tx.put_code(true, unit.as_bytes(), code)?;
            }
            Ok(RegistryEvent::Unit(event))
        })?;
        Ok(unit)
    }

    /// Gives a unit another name, level or code.
    ///
    /// # Errors
    /// When the unit is unknown, something is no name, level or code, the level does not fit its place, or `by` may not.
    pub fn change_unit(&self, by: Option<&Session>, unit: UnitId, change: &UnitChange) -> Result<(), StationError> {
        let name = change.name.as_deref().map(|name| names::check("a unit", name)).transpose()?;
        let level = change.level.as_deref().map(Level::check).transpose()?;
        let code = change.code.as_deref().map(names::check_code).transpose()?;
        order(self, |tx| {
            Realm::of(tx, by, Permission::Register)?.check(Some(unit))?;
            let row = find(tx, unit)?;
            let event = UnitEvent {
                name: name.unwrap_or(row.name),
                level: level.map(|level| level.code().to_owned()).or(row.level),
                on_behalf: by.map(|by| by.user),
                ..row
            };
            check_levels(tx, &event)?;
            if let Some(code) = &code {
                check_free(tx, code, unit)?;
                tx.put_code(true, unit.as_bytes(), code)?;
            }
            Ok(RegistryEvent::Unit(event))
        })
    }

    /// Puts a unit with all below it under another one.
    ///
    /// # Errors
    /// When a unit is unknown, the new parent lies below it or is closed, the levels do not fit, or `by` may not.
    pub fn move_unit(&self, by: Option<&Session>, unit: UnitId, parent: Option<UnitId>) -> Result<(), StationError> {
        order(self, |tx| {
            let realm = Realm::of(tx, by, Permission::Register)?;
            realm.check(Some(unit))?;
            realm.check(parent)?;
            let event = UnitEvent {
                parent,
                on_behalf: by.map(|by| by.user),
                ..find(tx, unit)?
            };
            if parent.is_some_and(|parent| tx.units_below(unit).is_ok_and(|below| below.contains(&parent))) {
                return Err(StationError::Invalid("a unit cannot be put below itself".into()));
            }
            check_place(tx, &event)?;
            Ok(RegistryEvent::Unit(event))
        })
    }

    /// Closes a unit, so that it takes no new people and records, or opens it again. Its records stay where they are.
    ///
    /// # Errors
    /// When the unit is unknown, people or units are still in it, or `by` may not.
    pub fn close_unit(&self, by: Option<&Session>, unit: UnitId, closed: bool) -> Result<(), StationError> {
        order(self, |tx| {
            Realm::of(tx, by, Permission::Register)?.check(Some(unit))?;
            let row = find(tx, unit)?;
            if closed {
                check_empty(tx, unit)?;
            } else {
                check_place(tx, &row)?;
            }
            Ok(RegistryEvent::Unit(UnitEvent {
                closed: closed.then_some(true),
                on_behalf: by.map(|by| by.user),
                ..row
            }))
        })
    }
}

/// A unit as it is.
pub(crate) fn find(tx: &ReadTx<'_>, unit: UnitId) -> Result<UnitEvent, StationError> {
    let found = tx.units()?.into_iter().find(|row| row.unit == unit);
    found.ok_or_else(|| StationError::NotFound(format!("unit {unit}")))
}

/// Refuses a unit that is not there, or that takes nobody in any more.
pub(super) fn check_open(tx: &ReadTx<'_>, unit: UnitId) -> Result<(), StationError> {
    if find(tx, unit)?.closed == Some(true) {
        return Err(StationError::Invalid(format!(
            "unit {unit} is closed: open it again, or name another one"
        )));
    }
    Ok(())
}

/// The place of a unit: below one that is open, where its level fits, and the levels below fit it.
fn check_place(tx: &ReadTx<'_>, event: &UnitEvent) -> Result<(), StationError> {
    if let Some(parent) = event.parent {
        check_open(tx, parent)?;
    }
    check_levels(tx, event)
}

fn check_levels(tx: &ReadTx<'_>, event: &UnitEvent) -> Result<(), StationError> {
    let units = tx.units()?;
    let parent = units.iter().find(|row| Some(row.unit) == event.parent);
    check_nesting(event.level.as_deref(), parent.and_then(|row| row.level.as_deref()))?;
    for row in units.iter().filter(|row| row.parent == Some(event.unit)) {
        check_nesting(row.level.as_deref(), event.level.as_deref())?;
    }
    Ok(())
}

fn check_empty(tx: &ReadTx<'_>, unit: UnitId) -> Result<(), StationError> {
    let still = |what: &str, count: usize| {
        StationError::Invalid(format!(
            "{count} {what} still belong to it: move or end them first, then close it"
        ))
    };
    let people = tx.users()?.iter().filter(|row| row.unit == unit && !row.blocked).count();
    let members = tx.memberships()?;
    let members = members.iter().filter(|row| row.unit == unit && row.phase != ENDED).count();
    let below = tx.units()?;
    let below = below
        .iter()
        .filter(|row| row.parent == Some(unit) && row.closed != Some(true))
        .count();
    match (people, members, below) {
        (0, 0, 0) => Ok(()),
        (0, 0, units) => Err(still("open units", units)),
        (0, members, _) => Err(still("memberships", members)),
        (people, ..) => Err(still("people", people)),
    }
}

fn check_free(tx: &ReadTx<'_>, code: &str, unit: UnitId) -> Result<(), StationError> {
    match tx.unit_of_code(code)? {
        Some(other) if other != unit => Err(StationError::Invalid(format!("the code {code} is that of unit {other}"))),
        Some(_) | None => Ok(()),
    }
}

/// Refuses the code of another person.
pub(super) fn check_person_code(tx: &ReadTx<'_>, code: &str, user: UserId) -> Result<(), StationError> {
    match tx.user_of_code(code)? {
        Some(other) if other != user => Err(StationError::Invalid(format!("the code {code} is that of person {other}"))),
        Some(_) | None => Ok(()),
    }
}
