//! The keys of the station's certificate, as the station announced them last, or as somebody scanned them since. Verifies nothing: what comes here
//! was believed.

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::PinsOffer;
use rusqlite::OptionalExtension;

use super::{AHEAD_MS_MAX, StoreError, Tx};

/// What counts: what the station announced last, or what somebody scanned since; none when it never announced any.
pub(crate) fn pins(tx: &Tx<'_>) -> Result<Option<Vec<Hash>>, StoreError> {
    let keys: Option<Vec<u8>> = tx
        .prepare_cached("SELECT keys FROM pins")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let hash = |key: &[u8]| <[u8; 32]>::try_from(key).map(Hash::from_bytes).ok();
    Ok(keys.map(|keys| keys.chunks(32).filter_map(hash).collect()))
}

/// Keeps an announcement, unless the same station has announced later since.
pub(crate) fn set_pins(tx: &Tx<'_>, origin: &str, offer: &PinsOffer, now: UnixMillis) -> Result<(), StoreError> {
    let keys: Vec<u8> = offer.pins.iter().flat_map(|pin| *pin.as_bytes()).collect();
    tx.prepare_cached(
        "INSERT INTO pins (one, origin, said_at, keys) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE SET
         origin = excluded.origin, said_at = excluded.said_at, keys = excluded.keys
         WHERE origin <> excluded.origin OR said_at < excluded.said_at OR said_at > ?4",
    )?
    .execute((origin, offer.at.0, keys, now.plus(AHEAD_MS_MAX).0))?;
    Ok(())
}

/// Somebody scanned what the station prints for its phones: these keys take the place of the announced ones, until a word that is newer than any
/// that was heard. Words of before stay old. Where none was ever heard there is nothing to replace.
pub(crate) fn replace_pins(tx: &Tx<'_>, scanned: &[Hash]) -> Result<(), StoreError> {
    let keys: Vec<u8> = scanned.iter().flat_map(|pin| *pin.as_bytes()).collect();
    tx.prepare_cached("UPDATE pins SET keys = ?1")?.execute([keys])?;
    Ok(())
}
