//! Who may do and read what, decided in one place: from a person's roles, the unit that a thing belongs to, and the kind's rules. Every
//! route names a permission in its table, every door of the station that takes a session asks here; what nobody allows is refused.
//! Knows no rows and no HTTP: it is told who asks and what about, and answers.
//!
//! ```text
//!  route ──► permission: does any of his roles have it?            else 403
//!  door  ──► the same over the unit that it is about, and scope    else 404, as if it were not there
//!  page  ──► sight: what of this record is shown plainly, on a stated reason, or only behind broken glass
//! ```

mod permission;
mod reason;
mod rights;
mod sight;

use beatbook_protocol::kind::Who;

pub use permission::Permission;
pub(crate) use reason::plain_line;
pub use reason::{REASON_CHARS, Reason};
pub use rights::{ROLES, permits};
pub(crate) use sight::{INTERNAL, Sight, level_of, levels_of};

use crate::error::StationError;
use crate::projection::reading::roles;
use crate::station::Session;

/// Whether somebody has a permission over any unit at all: what a route asks before it looks further.
pub(crate) fn may(session: &Session, permission: Permission) -> bool {
    allows(&roles(&session.roles), permission) || allows(&roles(&session.elsewhere), permission)
}

/// Refuses who has not got a permission over any unit. The operator at the machine itself is none of the people, and may.
pub(crate) fn require(by: Option<&Session>, permission: Permission) -> Result<(), StationError> {
    if by.is_none_or(|by| may(by, permission)) {
        Ok(())
    } else {
        Err(StationError::Forbidden(format!(
            "none of this person's roles may {}: ask the station's administrator which role may",
            permission.says()
        )))
    }
}

/// Refuses a token for somebody who may what the one that asks for it may not: it would be a way round every other rule here.
pub(crate) fn require_no_less(by: Option<&Session>, whose: &[String]) -> Result<(), StationError> {
    let Some(by) = by else { return Ok(()) };
    let his = roles(whose);
    let beyond = Permission::ALL
        .into_iter()
        .find(|permission| allows(&his, *permission) && !may(by, *permission));
    match beyond {
        None => Ok(()),
        Some(permission) => Err(StationError::Forbidden(format!(
            "a token for this person would let its holder {}, which you may not: the operator at the machine issues it",
            permission.says()
        ))),
    }
}

/// Refuses roles that no person may have together: who reads what others read must not be one of them.
pub(crate) fn check_together(roles: &[String]) -> Result<(), StationError> {
    let audits = roles.iter().any(|role| role == Who::Auditor.code());
    if audits && roles.len() > 1 {
        return Err(StationError::Invalid(
            "an auditor has no other role: he reads what the others did, so register the other work under another person".into(),
        ));
    }
    Ok(())
}

/// Whether one of these roles brings the records of its unit with it.
pub(crate) fn holds_by_unit(roles: &[Who]) -> bool {
    // A department of another office has the records that were given to it, and no others.
    roles
        .iter()
        .any(|role| *role != Who::Department && permits(*role, Permission::ReadRecords))
}

/// Whether one of these roles has records at all, granted ones at least.
pub(crate) fn holds_by_grant(roles: &[Who]) -> bool {
    allows(roles, Permission::ReadRecords)
}

/// Whether one of these roles writes at all. That somebody would be a record's author is no right to become it.
pub(crate) fn writes(whos: &[Who]) -> bool {
    allows(whos, Permission::Write)
}

/// Whether one of these roles has a permission.
pub(crate) fn allows(roles: &[Who], permission: Permission) -> bool {
    permission == Permission::OwnSession || roles.iter().any(|role| permits(*role, permission))
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::id::{UnitId, UserId};

    fn session(roles: &[&str]) -> Session {
        Session {
            user: UserId::from_bytes([1; 16]),
            name: "x".into(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            unit: UnitId::from_bytes([2; 16]),
            elsewhere: Vec::new(),
        }
    }

    #[test]
    fn whoever_has_no_role_or_one_that_nobody_knows_may_nothing_but_look_after_his_own_session() {
        for roles in [&[][..], &["emperor"], &["author"], &["station"]] {
            for permission in Permission::ALL {
                assert_eq!(
                    may(&session(roles), permission),
                    permission == Permission::OwnSession,
                    "{roles:?} {permission:?}"
                );
            }
        }
    }

    #[test]
    fn nobody_gets_a_token_for_a_person_who_may_more_than_he() {
        let (chief, admin) = (session(&["chief"]), session(&["admin"]));
        let codes = |role: &str| vec![role.to_owned()];
        require_no_less(Some(&chief), &codes("officer")).unwrap();
        require_no_less(Some(&admin), &codes("admin")).unwrap();
        require_no_less(None, &codes("auditor")).unwrap();
        for (by, whose) in [(&admin, "officer"), (&admin, "chief"), (&chief, "auditor")] {
            require_no_less(Some(by), &codes(whose)).unwrap_err();
        }
    }

    #[test]
    fn an_auditor_has_no_other_role() {
        check_together(&["auditor".into()]).unwrap();
        check_together(&["chief".into(), "officer".into()]).unwrap();
        check_together(&["auditor".into(), "officer".into()]).unwrap_err();
    }
}
