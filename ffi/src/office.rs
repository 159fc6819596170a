//! Who and what there is to choose from: people and units, for fields that name one and for a draft's unit.

use beatbook_client_core::query::{PersonView, UnitView};

/// Somebody of the staff, as the station told of him.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Person {
    /// What a field of the sort `User` holds.
    pub id: String,
    /// His name.
    pub name: String,
    /// What he is at home, by code; none when he has left.
    pub roles: Vec<String>,
    /// The unit where he is at home.
    pub unit: String,
    /// Whether he is this session's user.
    pub is_me: bool,
}

/// A unit, as the station told of it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct UnitRow {
    /// What a draft's `unit` holds.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The one above.
    pub above: Option<String>,
    /// Whether this user may open records in it: he works there, or in one above.
    pub is_mine: bool,
    /// Whether it takes no new records.
    pub is_closed: bool,
}

impl From<PersonView> for Person {
    fn from(person: PersonView) -> Self {
        Self {
            id: person.user.to_string(),
            name: person.name,
            roles: person.roles,
            unit: person.unit.to_string(),
            is_me: person.is_me,
        }
    }
}

impl From<UnitView> for UnitRow {
    fn from(unit: UnitView) -> Self {
        Self {
            id: unit.unit.to_string(),
            name: unit.name,
            above: unit.above.map(|above| above.to_string()),
            is_mine: unit.is_mine,
            is_closed: unit.is_closed,
        }
    }
}
