//! People: adding, moving, renaming, blocking them, their codes and tokens. Who may says `policy`; each within his own units, the operator
//! at the machine everywhere.

use std::collections::BTreeMap;

use beatbook_protocol::entry::{RegistryEvent, UserEvent};
use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::kind::Who;
use serde::Serialize;

use super::members::{self, MembershipView};
use super::realm::{self, Realm};
use super::tokens::random;
use super::{names, order, units};
use crate::environment::Environment;
use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::station::{Session, Station};
use crate::store::{ENDED, ReadTx, UserRow};

/// Letters and digits that nobody confuses (Crockford's base 32).
const CODE_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A person as the registry shows him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PersonEntry {
    /// The person.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub name: String,
    /// His roles at home, by code.
    pub roles: Vec<String>,
    /// His own unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// Whether he may neither sign in nor write.
    pub blocked: bool,
    /// How other registers call him.
    pub code: Option<String>,
    /// Where else he works now or will, and in whose place.
    pub memberships: Vec<MembershipView>,
}

/// A person to be added.
#[derive(Debug, Clone)]
pub struct PersonOrder {
    /// His name as colleagues know it.
    pub name: String,
    /// Roles by code.
    pub roles: Vec<String>,
    /// His own unit.
    pub unit: UnitId,
    /// How other registers call him.
    pub code: Option<String>,
}

/// What is to be another way about a person; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct PersonChange {
    /// His name.
    pub name: Option<String>,
    /// His own unit.
    pub unit: Option<UnitId>,
    /// His roles there, all of them.
    pub roles: Option<Vec<String>>,
    /// How other registers call him.
    pub code: Option<String>,
}

impl Station {
    /// The people with their codes and memberships, by name. The station itself is none of them.
    ///
    /// # Errors
    /// Those of the store.
    pub fn people(&self) -> Result<Vec<PersonEntry>, StationError> {
        self.store.read(|tx| {
            let mut codes: BTreeMap<UserId, String> = tx.user_codes()?.into_iter().collect();
            let mut memberships: BTreeMap<UserId, Vec<MembershipView>> = BTreeMap::new();
            for view in members::views(tx, |row| row.phase != ENDED)? {
                memberships.entry(view.user).or_default().push(view);
            }
            let entry = |row: UserRow| PersonEntry {
                user: row.user,
                name: row.name,
                roles: row.roles,
                unit: row.unit,
                blocked: row.blocked,
                code: codes.remove(&row.user),
                memberships: memberships.remove(&row.user).unwrap_or_default(),
            };
            let is_station = |row: &UserRow| row.roles.iter().any(|role| role == Who::Station.code());
            Ok(tx.users()?.into_iter().filter(|row| !is_station(row)).map(entry).collect())
        })
    }

    /// Adds a person. `by` is none for the operator at the machine itself.
    ///
    /// # Errors
    /// When the unit is unknown, a role is unknown, or `by` may not.
    pub fn add_user(&self, by: Option<&Session>, name: &str, roles: &[String], unit: UnitId) -> Result<UserId, StationError> {
        let order = PersonOrder {
            name: name.to_owned(),
            roles: roles.to_vec(),
            unit,
            code: None,
        };
        self.order_person(by, &order)
    }

    /// The people, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn users(&self) -> Result<Vec<Session>, StationError> {
        self.store.read(|tx| {
            let rows = tx.users()?;
            rows.into_iter().map(|row| session_of(tx, row)).collect()
        })
    }

    /// Adds a person with his code.
    ///
    /// # Errors
    /// When the unit is unknown or closed, the name, a role or the code is none or taken, or `by` may not.
    pub fn order_person(&self, by: Option<&Session>, wanted: &PersonOrder) -> Result<UserId, StationError> {
        let name = names::check("a person", &wanted.name)?;
        let roles = check_roles(&wanted.roles)?;
        let code = wanted.code.as_deref().map(names::check_code).transpose()?;
        let user = UserId::from_parts(self.env.clock.now(), random(&self.env)?);
        order(self, |tx| {
            Realm::of(tx, by, Permission::Register)?.check(Some(wanted.unit))?;
            units::check_open(tx, wanted.unit)?;
            if let Some(code) = &code {
                units::check_person_code(tx, code, user)?;
                tx.put_code(false, user.as_bytes(), code)?;
            }
            Ok(RegistryEvent::User(UserEvent {
                user,
                name,
                roles,
                unit: wanted.unit,
                blocked: None,
                on_behalf: by.map(|by| by.user),
            }))
        })?;
        self.env.steps.passes("person added");
        Ok(user)
    }

    /// Moves a person to another unit, or gives him another name, other roles or a code; what is not named stays. His phones get and let
    /// go what follows.
    ///
    /// # Errors
    /// When the person, the unit or a role is unknown, nobody would be left to keep the registry, or `by` may not.
    pub fn change_person(&self, by: Option<&Session>, user: UserId, change: &PersonChange) -> Result<(), StationError> {
        let name = change
            .name
            .as_deref()
            .map(|name| names::check("a person", name))
            .transpose()?;
        let roles = change.roles.as_deref().map(check_roles).transpose()?;
        let code = change.code.as_deref().map(names::check_code).transpose()?;
        order(self, |tx| {
            let realm = Realm::of(tx, by, Permission::Register)?;
            let row = his(tx, by, user, Permission::Register)?;
            if let Some(unit) = change.unit.filter(|unit| *unit != row.unit) {
                realm.check(Some(unit))?;
                units::check_open(tx, unit)?;
            }
            let event = UserEvent {
                name: name.unwrap_or_else(|| row.name.clone()),
                roles: roles.unwrap_or_else(|| row.roles.clone()),
                unit: change.unit.unwrap_or(row.unit),
                ..event_of(&row, by)
            };
            check_with_memberships(tx, user, &event.roles)?;
            if realm::keeps(&row.roles) && !realm::keeps(&event.roles) {
                realm::someone_is_left(tx, user)?;
            }
            if let Some(code) = &code {
                units::check_person_code(tx, code, user)?;
                tx.put_code(false, user.as_bytes(), code)?;
            }
            Ok(RegistryEvent::User(event))
        })
    }

    /// Moves a person to another unit, or gives him other roles; what is not named stays.
    ///
    /// # Errors
    /// As [`Station::change_person`].
    pub fn move_user(
        &self,
        by: Option<&Session>,
        user: UserId,
        unit: Option<UnitId>,
        roles: Option<&[String]>,
    ) -> Result<(), StationError> {
        let change = PersonChange {
            unit,
            roles: roles.map(<[String]>::to_vec),
            ..PersonChange::default()
        };
        self.change_person(by, user, &change)
    }

    /// Blocks a person: from then on he can neither sign in nor write, and holds nothing; or ends that.
    ///
    /// # Errors
    /// When the person is unknown, is `by` himself, or the last who keeps the registry, or `by` may not.
    pub fn block(&self, by: Option<&Session>, user: UserId, blocked: bool) -> Result<(), StationError> {
        order(self, |tx| {
            let row = his(tx, by, user, Permission::Register)?;
            if blocked && by.is_some_and(|by| by.user == user) {
                return Err(StationError::Invalid(
                    "nobody blocks himself: ask another chief or administrator".into(),
                ));
            }
            if blocked && realm::keeps(&row.roles) {
                realm::someone_is_left(tx, user)?;
            }
            Ok(RegistryEvent::User(UserEvent {
                blocked: blocked.then_some(true),
                ..event_of(&row, by)
            }))
        })
    }
}

/// A person who is there, the station itself left out: it is moved by nobody.
pub(crate) fn find(tx: &ReadTx<'_>, user: UserId) -> Result<UserRow, StationError> {
    tx.user(user)?
        .filter(|row| row.roles.iter().all(|role| role != Who::Station.code()))
        .ok_or_else(|| StationError::NotFound(format!("person {user}")))
}

/// The event that leaves everything about a person as it is.
pub(super) fn event_of(row: &UserRow, by: Option<&Session>) -> UserEvent {
    UserEvent {
        user: row.user,
        name: row.name.clone(),
        roles: row.roles.clone(),
        unit: row.unit,
        blocked: row.blocked.then_some(true),
        on_behalf: by.map(|by| by.user),
    }
}

/// Refuses what a blocked person would be let in by.
pub(crate) fn check_not_blocked(row: &UserRow) -> Result<(), StationError> {
    if row.blocked {
        return Err(StationError::Invalid(format!(
            "person {} is blocked: end that first",
            row.user
        )));
    }
    Ok(())
}

/// Random letters and digits, five bits each.
pub(crate) fn letters<const N: usize>(env: &Environment) -> Result<String, StationError> {
    let drawn = random::<N>(env)?;
    let letters = drawn.iter().filter_map(|byte| CODE_LETTERS.get(usize::from(byte % 32)));
    Ok(letters.map(|letter| char::from(*letter)).collect())
}

/// The person, if he is of the orderer's units: of others it is said that they are not there.
pub(crate) fn his(tx: &ReadTx<'_>, by: Option<&Session>, user: UserId, permission: Permission) -> Result<UserRow, StationError> {
    let realm = Realm::of(tx, by, permission)?;
    match find(tx, user)? {
        row if realm.holds(row.unit) => Ok(row),
        _ => Err(StationError::NotFound(format!("person {user}"))),
    }
}

/// What a person is, at home and wherever else he works now.
pub(crate) fn everywhere(tx: &ReadTx<'_>, row: &UserRow) -> Result<Vec<String>, StationError> {
    let session = session_of(tx, row.clone())?;
    Ok([session.roles, session.elsewhere].concat())
}

/// Refuses roles that nobody has together, those of his memberships included, whether they have begun or not.
pub(crate) fn check_with_memberships(tx: &ReadTx<'_>, user: UserId, roles: &[String]) -> Result<(), StationError> {
    let mut all = roles.to_vec();
    let elsewhere = tx.memberships_of(user)?.into_iter().filter(|row| row.phase != ENDED);
    all.extend(elsewhere.flat_map(|row| row.roles));
    all.sort_unstable();
    all.dedup();
    policy::check_together(&all)
}

/// A person as a session shows him.
pub(crate) fn session_of(tx: &ReadTx<'_>, row: UserRow) -> Result<Session, StationError> {
    let elsewhere = tx.memberships_at(row.user, tx.size()?)?;
    let mut elsewhere: Vec<String> = elsewhere.into_iter().flat_map(|(_, roles)| roles).collect();
    elsewhere.sort_unstable();
    elsewhere.dedup();
    Ok(Session {
        user: row.user,
        name: row.name,
        roles: row.roles,
        unit: row.unit,
        elsewhere,
    })
}

/// Roles as they are kept: by code, each once.
pub(crate) fn check_roles(roles: &[String]) -> Result<Vec<String>, StationError> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        return Err(StationError::Invalid("a person has a role at least".into()));
    }
    for role in &roles {
        match Who::from_code(role) {
            Some(Who::Author | Who::Station) | None => {
                return Err(StationError::Invalid(format!(
                    "{role:?} is no role: take grid_worker, officer, mediator, chief, department, supervisor, auditor or admin"
                )));
            }
            Some(_) => {}
        }
    }
    policy::check_together(&roles)?;
    Ok(roles)
}
