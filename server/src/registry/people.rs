//! People: adding them, and their tokens. Who may: the chief and the administrator, and the operator at the machine itself.

use beatbook_protocol::entry::{RegistryEvent, UserEvent};
use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::kind::Who;

use super::tokens::{self, random};
use super::write_events;
use crate::error::StationError;
use crate::ledger;
use crate::station::{Session, Station};
use crate::store::UserRow;

/// Adds a person.
pub(crate) fn add(
    station: &Station,
    by: Option<&Session>,
    name: &str,
    roles: &[String],
    unit: UnitId,
) -> Result<UserId, StationError> {
    may_register(by)?;
    let name = check_name(name)?;
    let roles = check_roles(roles)?;
    let user = UserId::from_parts(station.env.clock.now(), random(&station.env)?);
    station.store.write(|tx| {
        if !tx.has_unit(unit)? {
            return Err(StationError::NotFound(format!("unit {unit}")));
        }
        let event = RegistryEvent::User(UserEvent {
            user,
            name,
            roles,
            unit,
            blocked: None,
            on_behalf: by.map(|by| by.user),
        });
        write_events(tx, &station.keys, &station.env, &station.kinds, vec![event])
    })?;
    station.env.steps.passes("person added");
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    Ok(user)
}

/// A fresh API token for a person.
pub(crate) fn issue_token(station: &Station, by: Option<&Session>, user: UserId) -> Result<String, StationError> {
    if by.is_none_or(|by| by.user != user) {
        may_register(by)?;
    }
    if station.store.read(|tx| Ok::<_, StationError>(tx.user(user)?))?.is_none() {
        return Err(StationError::NotFound(format!("person {user}")));
    }
    tokens::issue(station, user, None)
}

/// A person as a session shows him.
pub(crate) fn session_of(row: UserRow) -> Session {
    Session {
        user: row.user,
        name: row.name,
        roles: row.roles,
        unit: row.unit,
    }
}

/// A name as it is kept.
pub(super) fn check_name(name: &str) -> Result<String, StationError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 80 {
        return Err(StationError::Invalid("a name has 1 to 80 characters".into()));
    }
    Ok(name.to_owned())
}

/// Roles as they are kept: by code, each once.
pub(super) fn check_roles(roles: &[String]) -> Result<Vec<String>, StationError> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    for role in &roles {
        match Who::from_code(role) {
            Some(Who::Author | Who::Station) | None => {
                return Err(StationError::Invalid(format!(
                    "{role:?} is no role: take grid_worker, officer, mediator, chief, ..."
                )));
            }
            Some(_) => {}
        }
    }
    Ok(roles)
}

/// Only some register people.
pub(super) fn may_register(by: Option<&Session>) -> Result<(), StationError> {
    let may = by.is_none_or(|by| {
        by.roles
            .iter()
            .any(|role| role == Who::Chief.code() || role == Who::Admin.code())
    });
    if may {
        Ok(())
    } else {
        Err(StationError::Forbidden(
            "only the chief or an administrator registers people".into(),
        ))
    }
}
