//! What of a record somebody sees: how personal a field may be that is shown to him plainly, and what shows him more. Knows no values.

use std::collections::BTreeMap;

use beatbook_protocol::kind::{CheckedKind, Field, Who};

use super::{Permission, Reason, permits};
use crate::feed::reads_private;

/// Sensitivity of what needs nothing: open and internal.
pub(crate) const INTERNAL: u8 = 1;
/// Names and contacts of people.
const PERSONAL: u8 = 2;
/// What no level is above, and where a field stands that the kind does not know.
const SENSITIVE: u8 = 3;

/// What somebody sees of one record.
///
/// | who | plainly | with a reason said | behind broken glass |
/// | --- | --- | --- | --- |
/// | opened it, or has a role that may write such records | facts to level 2 | all | all |
/// | has it in scope otherwise (a supervisor, a department) | facts to level 1 | the same | all |
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Whether his role works on such records.
    pub(crate) works: bool,
    /// Why he looks: said with the request, or when the glass was broken.
    pub(crate) reason: Option<Reason>,
    /// Whether the glass before this record is broken for him.
    pub(crate) glass: bool,
}

impl Sight {
    /// Of who reads a record of a kind; none when no role of his reads records at all.
    pub(crate) fn of(kind: &CheckedKind, roles: &[Who], opened_it: bool) -> Option<Self> {
        let reads = roles.iter().any(|role| permits(*role, Permission::ReadRecords));
        reads.then(|| Self {
            works: reads_private(kind, roles, opened_it),
            reason: None,
            glass: false,
        })
    }

    /// The same with a reason said.
    pub(crate) fn because(self, reason: Option<Reason>) -> Self {
        Self {
            reason: reason.or(self.reason),
            ..self
        }
    }

    /// The same with the glass broken, for the reason said then.
    pub(crate) fn broken(self, reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            glass: true,
            ..self
        }
    }

    /// The same as if nothing was said: up to what is personal to who works on the record, and no glass.
    pub(crate) fn plainly(self) -> Self {
        Self {
            reason: None,
            glass: false,
            ..self
        }
    }

    /// Whether all is shown, `private` included.
    pub(crate) fn sees_all(&self) -> bool {
        self.glass || (self.works && self.reason.is_some())
    }

    /// Whether a field of this level in the facts is shown.
    pub(crate) fn sees(&self, level: u8) -> bool {
        let plainly = if self.works { PERSONAL } else { INTERNAL };
        level <= plainly || self.sees_all()
    }

    /// Whether the log must say that somebody was shown a field of this level.
    pub(crate) fn is_noted(level: u8) -> bool {
        level >= PERSONAL
    }
}

/// How personal each field of a document is, by `CODE`, and those of lists' items by `LIST/CODE`. A list's items are at least as personal
/// as the list.
pub(crate) fn levels_of(fields: &[Field]) -> BTreeMap<String, u8> {
    let mut levels = BTreeMap::new();
    for field in fields {
        for part in &field.fields {
            let level = part.sensitivity.max(field.sensitivity);
            levels.insert(format!("{}/{}", field.code, part.code), level);
        }
        levels.insert(field.code.clone(), field.sensitivity);
    }
    levels
}

/// The level of a place; of one that the kind does not know the highest, since nobody said that it is less.
pub(crate) fn level_of(levels: &BTreeMap<String, u8>, place: &str) -> u8 {
    levels.get(place).copied().unwrap_or(SENSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::kind::Catalogue;

    #[test]
    fn a_reason_shows_all_to_who_works_on_the_record_and_nothing_more_to_others() {
        let kinds = Catalogue::builtin().unwrap();
        let kind = kinds.newest("visit").unwrap();
        let why = Reason::parse("核对联系人").unwrap();
        let officer = Sight::of(kind, &[Who::Officer], false).unwrap();
        assert!(officer.sees(2) && !officer.sees(3));
        assert!(officer.because(Some(why.clone())).sees(3));
        let supervisor = Sight::of(kind, &[Who::Supervisor], false).unwrap();
        assert!(supervisor.sees(1) && !supervisor.sees(2));
        assert!(!supervisor.clone().because(Some(why.clone())).sees(2));
        assert!(supervisor.broken(why).sees(3));
        for role in [Who::Auditor, Who::Admin] {
            assert_eq!(Sight::of(kind, &[role], true), None);
        }
    }

    #[test]
    fn items_are_as_personal_as_their_list_and_unknown_fields_as_can_be() {
        let kinds = Catalogue::builtin().unwrap();
        let levels = levels_of(&kinds.newest("visit").unwrap().fields);
        assert_eq!(level_of(&levels, "people_met/relation"), 2);
        assert_eq!(level_of(&levels, "outcome"), 0);
        assert_eq!(level_of(&levels, "nobody_knows"), 3);
    }
}
