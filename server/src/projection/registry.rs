//! Units, people, books and kinds as the ledger's newest word has them.

use beatbook_protocol::entry::RegistryEvent;

use crate::error::StationError;
use crate::store::WriteTx;

/// Folds an event.
pub(crate) fn fold(tx: &WriteTx<'_>, event: &RegistryEvent) -> Result<(), StationError> {
    match event {
        RegistryEvent::Unit(unit) => tx.put_unit(unit)?,
        RegistryEvent::User(user) => tx.put_user(user)?,
        RegistryEvent::Book(book) => tx.put_book(book)?,
        RegistryEvent::Kind(kind) => tx.put_kind(kind)?,
        RegistryEvent::Grant(_) | RegistryEvent::Other(_) => {}
    }
    Ok(())
}
