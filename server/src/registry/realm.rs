//! Where somebody keeps the registry: the units in which he is chief or administrator, at home or by a membership, and those below; the
//! operator at the machine, everywhere. The one place that says so for units, people, memberships and grants.

use std::collections::BTreeSet;

use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::kind::Who;

use crate::error::StationError;
use crate::scope::Scope;
use crate::station::Session;
use crate::store::ReadTx;

/// Who keeps the registry of a unit.
const KEEPERS: [Who; 2] = [Who::Chief, Who::Admin];

/// The units in which somebody keeps the registry; none stands for all.
#[derive(Debug)]
pub(super) struct Realm(Option<BTreeSet<UnitId>>);

impl Realm {
    /// The realm of a person, or the operator's.
    ///
    /// # Errors
    /// When he keeps the registry nowhere.
    pub(super) fn of(tx: &ReadTx<'_>, by: Option<&Session>) -> Result<Self, StationError> {
        let Some(by) = by else { return Ok(Self(None)) };
        let units = Scope::of(tx, by)?.units_as(&KEEPERS);
        if units.is_empty() {
            return Err(StationError::Forbidden(
                "only the chief or an administrator registers people".into(),
            ));
        }
        Ok(Self(Some(units)))
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
        if unit.map_or(self.0.is_none(), |unit| self.holds(unit)) {
            Ok(())
        } else {
            Err(StationError::Forbidden("this is beyond the person's own units".into()))
        }
    }
}

/// Whether these roles keep the registry.
pub(super) fn keeps(roles: &[String]) -> bool {
    roles.iter().any(|role| KEEPERS.iter().any(|who| who.code() == role))
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
