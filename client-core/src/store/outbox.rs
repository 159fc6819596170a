//! Own entries in the order of their writing, until the station has them.

use beatbook_protocol::id::{Hash, RecordId};

use super::{StoreError, Tx};

/// Puts an entry at the end.
pub(crate) fn put(tx: &Tx<'_>, entry: &Hash, record: Option<RecordId>, bytes: &[u8]) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO outbox (entry, record, bytes) VALUES (?1, ?2, ?3)")?
        .execute((entry.as_bytes(), record.map(|record| *record.as_bytes()), bytes))?;
    Ok(())
}
