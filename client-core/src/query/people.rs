//! Who and what there is to choose from: people and units, as the station told of them.

use beatbook_protocol::id::{UnitId, UserId};

use crate::core::Core;
use crate::error::CoreError;
use crate::store::registry;

/// Somebody of the staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// He.
    pub user: UserId,
    /// His name.
    pub name: String,
    /// What he is at home, by code; none when he has left.
    pub roles: Vec<String>,
    /// Where he is at home.
    pub unit: UnitId,
    /// Whether this phone's book is his.
    pub is_me: bool,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitView {
    /// It.
    pub unit: UnitId,
    /// Its name.
    pub name: String,
    /// The one above.
    pub above: Option<UnitId>,
    /// Whether this user works there, at home or by a membership, or in one above: then he may open records in it.
    pub is_mine: bool,
    /// Whether it takes no new records.
    pub is_closed: bool,
}

impl Core {
    /// The staff, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn people(&self) -> Result<Vec<PersonView>, CoreError> {
        let me = self.office().me.as_ref().map(|me| me.user);
        let rows = self.read(registry::people)?;
        let view = |(user, name, roles, unit)| PersonView {
            user,
            name,
            roles,
            unit,
            is_me: me == Some(user),
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// The units, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn units(&self) -> Result<Vec<UnitView>, CoreError> {
        let office = self.office();
        let rows = self.read(registry::units)?;
        let view = |(unit, name, above, is_closed)| UnitView {
            is_mine: office.whos_in(unit).is_some(),
            unit,
            name,
            above,
            is_closed,
        };
        Ok(rows.into_iter().map(view).collect())
    }
}
