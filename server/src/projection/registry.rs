//! Units, people, memberships, books, kinds and grants as the ledger's newest word has them, and where people and units stood before.

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
        RegistryEvent::Book(book) => tx.put_book(book, leaf)?,
        RegistryEvent::Kind(kind) => tx.put_kind(kind)?,
        RegistryEvent::Grant(grant) => {
            if let Some(to) = Grantee::of(grant) {
                tx.put_grant(grant, to, leaf, position)?;
            }
        }
        RegistryEvent::Membership(membership) => tx.put_membership(membership, leaf, position)?,
        RegistryEvent::AuditAnchor(anchor) => tx.put_audit_anchor(anchor, (leaf, position))?,
        RegistryEvent::BookEnd(end) => {
            tx.put_book_end(end, leaf)?;
            // Nobody comes into an ended phone again, whatever code he has.
            tx.drop_unlock_share(end.book)?;
        }
        RegistryEvent::UnitKey(key) => tx.put_unit_key(key)?,
        RegistryEvent::Hold(hold) => tx.put_hold(hold, leaf, received)?,
        // It has a fold of its own, which looks into records.
        RegistryEvent::Destruction(_) | RegistryEvent::Other(_) => {}
    }
    Ok(())
}
