//! The keys of the station's certificate, as the station announced them last. Verifies nothing: what comes here was believed.

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::PinsOffer;
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// A station's clock may be this much ahead of the phone's; an announcement from later than that was made under a clock that has been set right
/// since, and holds up no newer one.
const AHEAD_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// What the station announced last; none when it never did.
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
