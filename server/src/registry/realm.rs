//! Where somebody keeps the registry: the units in which a role of his has the permission (`policy`), at home or by a membership, and those
//! below; the operator at the machine, everywhere. The one place that says so for units, people, memberships and grants.

use std::collections::BTreeSet;

use beatbook_protocol::id::{UnitId, UserId};

use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::projection::reading;
use crate::scope::Scope;
use crate::station::Session;
use crate::store::ReadTx;

/// The units in which somebody keeps the registry; none stands for all.
#[derive(Debug)]
pub(super) struct Realm(Option<BTreeSet<UnitId>>);

impl Realm {
    /// The units over which a person has a permission, or the operator's realm.
    ///
    /// # Errors
    /// When he has it nowhere.
    pub(super) fn of(tx: &ReadTx<'_>, by: Option<&Session>, permission: Permission) -> Result<Self, StationError> {
        let Some(by) = by else { return Ok(Self(None)) };
        policy::require(Some(by), permission)?;
        Ok(Self(Some(Scope::of(tx, by)?.units_where(permission))))
    }

    /// Whether a unit is in it.
    pub(super) fn holds(&self, unit: UnitId) -> bool {
        self.0.as_ref().is_none_or(|units| units.contains(&unit))
    }

    /// Refuses what lies beyond. No unit at all is the root of the tree, which is the operator's.
    ///
    /// # Errors
    /// When it lies beyond.
    pub(super) fn check(&self, unit: Option<UnitId>) -> Result<(), StationError> {
        match unit {
            None if self.0.is_some() => Err(StationError::Forbidden("the root of the tree is the operator's".into())),
            // As one that is not there: what lies beyond his units is not his to know.
            Some(unit) if !self.holds(unit) => Err(StationError::NotFound(format!("unit {unit}"))),
            None | Some(_) => Ok(()),
        }
    }
}

/// Whether these roles keep the registry.
pub(super) fn keeps(roles: &[String]) -> bool {
    policy::allows(&reading::roles(roles), Permission::Register)
}

/// Refuses to take one away beside whom nobody keeps the registry: nobody could let anybody in again.
///
/// # Errors
/// When he is the last.
pub(super) fn someone_is_left(tx: &ReadTx<'_>, without: UserId) -> Result<(), StationError> {
    let users = tx.users()?;
    let mut others = users.iter().filter(|row| row.user != without && !row.blocked);
    if others.any(|row| keeps(&row.roles)) {
        Ok(())
    } else {
        Err(StationError::Invalid(
            "this is the last chief or administrator: appoint another one first".into(),
        ))
    }
}
