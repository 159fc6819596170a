//! Memberships: a person works in a unit beside his own, or in a colleague's place during leave, from a day on and until another. They are
//! ordered ahead, and begin and end by entries of their own when the time has come: so who may what stays a function of the ledger.
//! Who may order them: the chief and the administrator of the unit in which somebody is to work, and the operator.

use std::collections::BTreeMap;

use beatbook_protocol::entry::{MembershipEvent, RegistryEvent};
use beatbook_protocol::id::{MembershipId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::realm::Realm;
use super::tokens::random;
use super::{line_of, order, people, units, write_events};
use crate::audit;
use crate::error::StationError;
use crate::ledger;
use crate::policy::Permission;
use crate::station::{Session, Station};
use crate::store::{ENDED, IN_FORCE, MembershipRow, PLANNED, ReadTx};

/// A stand-in's time at most: whoever is away for longer is replaced, by a move.
const STAND_IN_MS_MAX: i64 = 90 * 24 * 60 * 60 * 1000;
/// Memberships of one person that have not ended, at most: each is looked at with every record that he reads.
const MEMBERSHIPS_MAX: usize = 16;

/// A membership to be made.
#[derive(Debug, Clone)]
pub struct MembershipOrder {
    /// Who.
    pub user: UserId,
    /// In which unit.
    pub unit: UnitId,
    /// As what, by code; none for a stand-in, who is what the other one is there.
    pub roles: Vec<String>,
    /// In whose place.
    pub stands_in_for: Option<UserId>,
    /// From when on; none: at once.
    pub from: Option<UnixMillis>,
    /// Until when; none: until it is ended. A stand-in's end is always said, and at most 90 days off.
    pub until: Option<UnixMillis>,
}

/// How far a membership is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MembershipPhase {
    /// It begins later.
    Planned,
    /// It is in force.
    InForce,
    /// It has ended.
    Ended,
}

/// A membership as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MembershipView {
    /// Its name.
    #[schema(value_type = String)]
    pub membership: MembershipId,
    /// Who.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub user_name: String,
    /// Where.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// The unit's name.
    pub unit_name: String,
    /// As what, by code.
    pub roles: Vec<String>,
    /// In whose place.
    #[schema(value_type = Option<String>)]
    pub stands_in_for: Option<UserId>,
    /// That one's name: he is acting for him.
    pub acting_for: Option<String>,
    /// From when on.
    #[schema(value_type = Option<i64>)]
    pub from: Option<UnixMillis>,
    /// Until when.
    #[schema(value_type = Option<i64>)]
    pub until: Option<UnixMillis>,
    /// How far it is.
    pub phase: MembershipPhase,
}

impl Station {
    /// Makes a membership. One that begins now is in force when this returns; a later one when its time has come.
    ///
    /// # Errors
    /// When a person, the unit or a role is unknown, the times make no sense, or the unit is not one of `by`'s.
    pub fn order_membership(&self, by: Option<&Session>, wanted: &MembershipOrder) -> Result<MembershipId, StationError> {
        let now = self.env.clock.now();
        check_times(wanted, now)?;
        let membership = MembershipId::from_parts(now, random(&self.env)?);
        order(self, |tx| {
            Realm::of(tx, by, Permission::Register)?.check(Some(wanted.unit))?;
            units::check_open(tx, wanted.unit)?;
            if by.is_some_and(|by| by.user == wanted.user) {
                let text = "nobody gives himself a membership: ask another chief or administrator";
                return Err(StationError::Invalid(text.into()));
            }
            let person = people::find(tx, wanted.user)?;
            if person.blocked {
                return Err(StationError::Invalid("a blocked person works nowhere: end that first".into()));
            }
            let roles = roles_for(tx, wanted)?;
            people::check_with_memberships(tx, wanted.user, &[person.roles.as_slice(), roles.as_slice()].concat())?;
            let others = tx.memberships_of(wanted.user)?;
            let others: Vec<&MembershipRow> = others.iter().filter(|row| row.phase != ENDED).collect();
            if others.len() >= MEMBERSHIPS_MAX {
                return Err(StationError::Invalid(format!(
                    "a person has at most {MEMBERSHIPS_MAX} memberships: end one first"
                )));
            }
            let is_same = |row: &&MembershipRow| {
                row.unit == wanted.unit
                    && row.roles == roles
                    && row.stands_in_for == wanted.stands_in_for
                    && overlaps(row, wanted)
            };
            if others.into_iter().any(|row| is_same(&row)) {
                return Err(StationError::Invalid(
                    "there is such a membership for that time already".into(),
                ));
            }
            let begins_now = wanted.from.is_none_or(|from| from <= now);
            Ok(RegistryEvent::Membership(MembershipEvent {
                membership,
                user: wanted.user,
                unit: wanted.unit,
                roles,
                stands_in_for: wanted.stands_in_for,
                from: wanted.from,
                until: wanted.until,
                phase: if begins_now { IN_FORCE } else { PLANNED },
                on_behalf: by.map(|by| by.user),
            }))
        })?;
        Ok(membership)
    }

    /// Ends a membership before its time, or gives a planned one up.
    ///
    /// # Errors
    /// When there is none that has not ended, or the unit is not one of `by`'s.
    pub fn end_membership(&self, by: Option<&Session>, membership: MembershipId) -> Result<(), StationError> {
        order(self, |tx| {
            let row = tx.membership(membership)?.filter(|row| row.phase != ENDED);
            let realm = Realm::of(tx, by, Permission::Register)?;
            let row = row.filter(|row| realm.holds(row.unit));
            let row = row.ok_or_else(|| StationError::NotFound(format!("membership {membership} that has not ended")))?;
            Ok(RegistryEvent::Membership(row.event(ENDED, by.map(|by| by.user))))
        })
    }

    /// The memberships, ended ones too when asked for, by person.
    ///
    /// # Errors
    /// Those of the store.
    pub fn memberships(&self, with_ended: bool) -> Result<Vec<MembershipView>, StationError> {
        self.keep_time()?;
        self.store.read(|tx| views(tx, |row| with_ended || row.phase != ENDED))
    }

    /// Writes the beginnings and ends of memberships whose time has come. Asked before anything is answered that rests on who may what, and
    /// by the server's own clock; says how many entries it wrote.
    ///
    /// # Errors
    /// Those of the store.
    pub fn keep_time(&self) -> Result<usize, StationError> {
        let now = self.env.clock.now();
        let is_due = self.store.read(|tx| {
            // A station whose history is in doubt writes nothing.
            let due = tx.next_due()?.is_some_and(|due| due <= now);
            Ok::<_, StationError>(due && tx.alarm()?.is_none())
        })?;
        if !is_due {
            return Ok(0);
        }
        let written = self.store.write(|tx| {
            let mut events = Vec::new();
            for row in tx.due(now)? {
                events.push(RegistryEvent::Membership(due_event(tx, &row, now)?));
            }
            for line in events.iter().filter_map(line_of) {
                audit::append(tx, &self.env, &line)?;
            }
            let count = events.len();
            if count > 0 {
                write_events(tx, &self.keys, &self.env, &self.kinds, events)?;
            }
            Ok::<_, StationError>(count)
        })?;
        self.store.read(|tx| ledger::note(tx, &self.keys))?;
        tracing::info!(written, "memberships began or ended");
        Ok(written)
    }
}

/// What a membership becomes whose time has come. One whose whole time passed while the station stood still never was in force, nor was a
/// stand-in for one who works there no more.
fn due_event(tx: &ReadTx<'_>, row: &MembershipRow, now: UnixMillis) -> Result<MembershipEvent, StationError> {
    let is_over = row.until.is_some_and(|until| until <= now);
    if row.phase != PLANNED || is_over {
        return Ok(row.event(ENDED, None));
    }
    let Some(other) = row.stands_in_for else {
        return Ok(row.event(IN_FORCE, None));
    };
    let roles = roles_there(tx, other, row.unit)?;
    Ok(if roles.is_empty() {
        row.event(ENDED, None)
    } else {
        MembershipEvent {
            roles,
            ..row.event(IN_FORCE, None)
        }
    })
}

fn check_times(wanted: &MembershipOrder, now: UnixMillis) -> Result<(), StationError> {
    let begins = wanted.from.map_or(now, |from| from.max(now));
    let invalid = |text: &str| Err(StationError::Invalid(text.into()));
    match (wanted.until, wanted.stands_in_for) {
        (Some(until), _) if until <= begins => invalid("a membership ends after it began, and not in the past"),
        (None, Some(_)) => invalid("say until when he stands in: at most 90 days"),
        (Some(until), Some(_)) if until.since(begins) > STAND_IN_MS_MAX => {
            invalid("nobody stands in for more than 90 days: move somebody there instead")
        }
        (_, Some(other)) if other == wanted.user => invalid("nobody stands in for himself"),
        (Some(_) | None, _) => Ok(()),
    }
}

/// Whether two memberships are in force at one time.
fn overlaps(row: &MembershipRow, wanted: &MembershipOrder) -> bool {
    let begins_before_end = |from: Option<UnixMillis>, until: Option<UnixMillis>| match (from, until) {
        (Some(from), Some(until)) => from < until,
        (None, _) | (_, None) => true,
    };
    begins_before_end(row.from, wanted.until) && begins_before_end(wanted.from, row.until)
}

fn roles_for(tx: &ReadTx<'_>, wanted: &MembershipOrder) -> Result<Vec<String>, StationError> {
    let Some(other) = wanted.stands_in_for else {
        return people::check_roles(&wanted.roles);
    };
    if !wanted.roles.is_empty() {
        return Err(StationError::Invalid(
            "a stand-in is what the one is whom he stands in for: name no roles".into(),
        ));
    }
    let name = people::find(tx, other)?.name;
    let roles = roles_there(tx, other, wanted.unit)?;
    if roles.is_empty() {
        return Err(StationError::Invalid(format!(
            "{name} does not work in unit {}: name his unit",
            wanted.unit
        )));
    }
    Ok(roles)
}

/// What a person is in a unit itself, at home or by a membership of his own: a stand-in is not stood in for.
fn roles_there(tx: &ReadTx<'_>, user: UserId, unit: UnitId) -> Result<Vec<String>, StationError> {
    let mut roles = match tx.user(user)? {
        Some(row) if row.unit == unit => row.roles,
        Some(_) | None => Vec::new(),
    };
    for row in tx.memberships_of(user)? {
        if row.unit == unit && row.phase == IN_FORCE && row.stands_in_for.is_none() {
            roles.extend(row.roles);
        }
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

/// Memberships with the names of those whom they name, by person.
pub(super) fn views(tx: &ReadTx<'_>, wanted: impl Fn(&MembershipRow) -> bool) -> Result<Vec<MembershipView>, StationError> {
    let people: BTreeMap<UserId, String> = tx.users()?.into_iter().map(|row| (row.user, row.name)).collect();
    let units: BTreeMap<UnitId, String> = tx.units()?.into_iter().map(|row| (row.unit, row.name)).collect();
    let view = |row: MembershipRow| MembershipView {
        membership: row.membership,
        user: row.user,
        user_name: people.get(&row.user).cloned().unwrap_or_default(),
        unit: row.unit,
        unit_name: units.get(&row.unit).cloned().unwrap_or_default(),
        roles: row.roles,
        stands_in_for: row.stands_in_for,
        acting_for: row.stands_in_for.and_then(|user| people.get(&user).cloned()),
        from: row.from,
        until: row.until,
        phase: match row.phase {
            PLANNED => MembershipPhase::Planned,
            IN_FORCE => MembershipPhase::InForce,
            _ => MembershipPhase::Ended,
        },
    };
    Ok(tx.memberships()?.into_iter().filter(|row| wanted(row)).map(view).collect())
}
