//! Units, people, books, kinds and grants as the ledger's newest word has them, and where people and units stood before.

use beatbook_protocol::entry::RegistryEvent;
use beatbook_protocol::time::UnixMillis;

use crate::error::StationError;
use crate::store::{Grantee, WriteTx};

/// Folds an event that stands at a place of the ledger.
pub(crate) fn fold(
    tx: &WriteTx<'_>,
    event: &RegistryEvent,
    (leaf, position): (u64, u32),
    received: UnixMillis,
) -> Result<(), StationError> {
    match event {
        RegistryEvent::Unit(unit) => {
            tx.put_unit(unit)?;
            tx.put_unit_at(unit, leaf, position)?;
        }
        RegistryEvent::User(user) => {
            tx.put_user(user)?;
            tx.put_user_at(user, leaf, position)?;
        }
        RegistryEvent::Book(book) => tx.put_book(book)?,
        RegistryEvent::Kind(kind) => tx.put_kind(kind)?,
        RegistryEvent::Grant(grant) => {
            if let Some(to) = Grantee::of(grant) {
                tx.put_grant(grant, to, leaf, position)?;
            }
        }
        RegistryEvent::Hold(hold) => tx.put_hold(hold, leaf, received)?,
        RegistryEvent::Membership(_)
        | RegistryEvent::BookEnd(_)
        // It has a fold of its own, which looks into records.
        | RegistryEvent::Destruction(_)
        | RegistryEvent::AuditAnchor(_)
        | RegistryEvent::UnitKey(_)
        | RegistryEvent::Other(_) => {}
    }
    Ok(())
}
