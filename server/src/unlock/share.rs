//! Keeping a phone's share: it comes sealed in an exchange, and lies sealed in the database, bound to its book.

use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::wire::{KeyShare, share_name};
use zeroize::Zeroizing;

use crate::error::StationError;
use crate::intake::refuse_ended;
use crate::station::Station;

/// The column's name in its seal.
pub(super) const COLUMN: &str = "unlock_share";

/// Keeps a share that a book brings, in the place of the one before; gives its name. None when it does not open: sealed to a key that
/// is gone, and the phone will be told the new one.
///
/// # Errors
/// When the book has ended, or those of the store.
pub(crate) fn keep(station: &Station, book: BookId, brought: &KeyShare) -> Result<Option<Hash>, StationError> {
    let Some(share) = brought.open(&station.origin, book, &station.keys.sealing).map(Zeroizing::new) else {
        tracing::warn!(%book, "the share of a phone's key does not open");
        return Ok(None);
    };
    let name = share_name(&share);
    station.store.write(|tx| {
        // It may have ended since its exchange began, and the share that its end took away must not lie here again.
        refuse_ended(tx, book)?;
        if tx.unlock_share(book)?.is_some_and(|row| row.name == name) {
            return Ok(());
        }
        let sealed = station.keys.column.seal(&station.env, COLUMN, book.as_bytes(), &share)?;
        Ok::<_, StationError>(tx.put_unlock_share(book, &sealed, &name, station.env.clock.now())?)
    })?;
    station.env.steps.passes("share kept");
    Ok(Some(name))
}
