//! Which role has which permission. The table in `docs/security.md` is printed from here. Default: none.

use beatbook_protocol::kind::Who;

use super::Permission;

/// The roles that people can have.
pub const ROLES: [Who; 8] = [
    Who::GridWorker,
    Who::Officer,
    Who::Mediator,
    Who::Chief,
    Who::Department,
    Who::Supervisor,
    Who::Auditor,
    Who::Admin,
];

/// Whether a role has a permission. Within it, scope and the kind's rules decide further; nothing decides it wider.
#[must_use]
pub const fn permits(role: Who, permission: Permission) -> bool {
    use Permission as P;
    match role {
        // A department has no more than what was granted to it: that is its scope, not its rights.
        Who::GridWorker | Who::Officer | Who::Mediator | Who::Department => matches!(
            permission,
            P::OwnSession | P::SeeStation | P::SeeDirectory | P::ReadRecords | P::Act | P::Write
        ),
        Who::Chief => matches!(
            permission,
            P::OwnSession
                | P::SeeStation
                | P::SeeDirectory
                | P::ReadRecords
                | P::Act
                | P::Write
                | P::Grant
                | P::SeePhones
                | P::SeeStatus
                | P::SeeMetrics
                | P::Register
                | P::IssueCodes
                | P::EndBooks
                | P::AdmitSetAside
                | P::ReadNotes
                | P::Keep
                | P::SeeKeeping
        ),
        // Reads; the kinds let him comment, which is an act, and name him for nothing else.
        Who::Supervisor => matches!(
            permission,
            P::OwnSession | P::SeeStation | P::SeeDirectory | P::ReadRecords | P::Act | P::SeePhones | P::SeeStatus
        ),
        // Reads what others read, and so no records.
        Who::Auditor => matches!(
            permission,
            P::OwnSession | P::SeeStation | P::SeeDirectory | P::SeeStatus | P::SeeKeeping | P::ReadAudit
        ),
        // Looks after the registry, and reads nothing of what people wrote.
        Who::Admin => matches!(
            permission,
            P::OwnSession
                | P::SeeStation
                | P::SeeDirectory
                | P::SeePhones
                | P::SeeStatus
                | P::SeeMetrics
                | P::Register
                | P::IssueCodes
                | P::EndBooks
                | P::Keep
                | P::SeeKeeping
        ),
        // A relation to one record, and the station itself: nobody signs in as these.
        Who::Author | Who::Station => false,
    }
}
