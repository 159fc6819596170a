//! What the lock beside this file needs of it: the station's last word on the time, keys of the unit's custodians, and the share of the file's
//! own key until the station keeps it. Knows neither PINs nor wraps.

use beatbook_protocol::entry::UnitKeyEvent;
use beatbook_protocol::id::{Hash, UnitId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::LEASE_MS;
use rusqlite::OptionalExtension;
use zeroize::Zeroizing;

use super::{AHEAD_MS_MAX, StoreError, Tx};
use crate::platform::Platform;

/// The station's last word, and what this phone's clocks showed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StationWord {
    /// The station's clock.
    pub(crate) station_time: UnixMillis,
    /// How long the phone may work without it.
    pub(crate) lease_ms: u64,
    /// The phone's wall clock.
    pub(crate) wall: UnixMillis,
    /// The phone's boot.
    pub(crate) boot: u64,
    /// Its monotonic clock.
    pub(crate) monotonic_ms: u64,
}

/// A share of the file's key.
#[derive(Debug)]
pub(crate) struct OwnShare {
    /// What both sides call it.
    pub(crate) name: Hash,
    /// Its bytes, until the station keeps them and the wrap is made.
    pub(crate) share: Option<Zeroizing<[u8; 32]>>,
    /// Whether the station has said that it keeps it.
    pub(crate) is_kept: bool,
}

/// The station's last word.
pub(crate) fn word(tx: &Tx<'_>) -> Result<Option<StationWord>, StoreError> {
    let row = tx
        .prepare_cached("SELECT station_time, lease_ms, wall, boot, monotonic_ms FROM station_word")?
        .query_row([], |row| {
            Ok(StationWord {
                station_time: UnixMillis(row.get(0)?),
                lease_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                wall: UnixMillis(row.get(2)?),
                boot: row.get::<_, i64>(3)?.cast_unsigned(),
                monotonic_ms: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })
        .optional()?;
    Ok(row)
}

/// The lease as the station told it; none while it told nothing.
pub(crate) fn lease_ms(tx: &Tx<'_>) -> Result<Option<u64>, StoreError> {
    Ok(word(tx)?.map(|word| word.lease_ms).filter(|lease| *lease != LEASE_MS))
}

/// The station was heard; of two words the one that is later by its own clock counts, unless the one before was said under a clock that was far
/// ahead: of this phone's when that was heard, and of the present one's. Without a lease the one told before stays.
pub(crate) fn put_word(
    tx: &Tx<'_>,
    platform: &Platform,
    station_time: UnixMillis,
    lease_ms: Option<u64>,
) -> Result<(), StoreError> {
    let clock = &platform.clock;
    tx.prepare_cached(
        "INSERT INTO station_word (one, station_time, lease_ms, wall, boot, monotonic_ms) VALUES (1, ?1, coalesce(?2, ?3), ?4, ?5, ?6)
         ON CONFLICT (one) DO UPDATE SET station_time = excluded.station_time, lease_ms = coalesce(?2, lease_ms), wall = excluded.wall,
           boot = excluded.boot, monotonic_ms = excluded.monotonic_ms
         WHERE excluded.station_time > station_word.station_time OR station_word.station_time > max(station_word.wall, excluded.wall) + ?7",
    )?
    .execute((
        station_time.0,
        lease_ms.map(u64::cast_signed),
        LEASE_MS.cast_signed(),
        clock.wall().0,
        clock.boot().cast_signed(),
        clock.monotonic_ms().cast_signed(),
        AHEAD_MS_MAX,
    ))?;
    Ok(())
}

/// A custodian's key, unless a later leaf has said otherwise.
pub(crate) fn put_unit_key(tx: &Tx<'_>, event: &UnitKeyEvent, leaf: u64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO unit_key (unit, key, ended, leaf) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (unit, key) DO UPDATE SET ended = excluded.ended, leaf = excluded.leaf WHERE excluded.leaf >= unit_key.leaf",
    )?
    .execute((
        event.unit.as_bytes(),
        event.key,
        event.ended == Some(true),
        leaf.cast_signed(),
    ))?;
    Ok(())
}

/// The keys in use of a unit's custodians, then those of the units above it; as many as a note is sealed to beside the station's.
pub(crate) fn custodian_keys(tx: &Tx<'_>, unit: UnitId) -> Result<Vec<[u8; 32]>, StoreError> {
    let most = i64::try_from(beatbook_protocol::limits::EMERGENCY_KEYS_MAX - 1).unwrap_or(0);
    let mut rows = tx.prepare_cached(
        "WITH RECURSIVE above (unit, height) AS (
           VALUES (?1, 0) UNION SELECT u.parent, above.height + 1 FROM unit AS u JOIN above ON u.unit = above.unit
             WHERE u.parent IS NOT NULL AND above.height < 32)
         SELECT key FROM (
           SELECT k.key, min(above.height) AS height FROM unit_key AS k JOIN above ON k.unit = above.unit WHERE k.ended = 0 GROUP BY k.key)
         ORDER BY height, key LIMIT ?2",
    )?;
    let rows = rows.query_map((unit.as_bytes(), most), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The share, if there is one.
pub(crate) fn share(tx: &Tx<'_>) -> Result<Option<OwnShare>, StoreError> {
    let row = tx
        .prepare_cached("SELECT name, share, kept FROM own_share")?
        .query_row([], |row| {
            Ok(OwnShare {
                name: Hash::from_bytes(row.get(0)?),
                share: row.get::<_, Option<[u8; 32]>>(1)?.map(Zeroizing::new),
                is_kept: row.get(2)?,
            })
        })
        .optional()?;
    Ok(row)
}

/// A new share, which the station is to keep.
pub(crate) fn put_share(tx: &Tx<'_>, share: &[u8; 32], name: &Hash) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO own_share (one, name, share, kept) VALUES (1, ?1, ?2, 0)
         ON CONFLICT (one) DO UPDATE SET name = excluded.name, share = excluded.share, kept = 0",
        (name.as_bytes(), share),
    )?;
    Ok(())
}

/// The station keeps the share of this name.
pub(crate) fn share_is_kept(tx: &Tx<'_>, name: &Hash) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE own_share SET kept = 1 WHERE name = ?1")?
        .execute([name.as_bytes()])?;
    Ok(())
}

/// The share's bytes are needed here no more.
pub(crate) fn forget_share(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE own_share SET share = NULL WHERE kept = 1", [])?;
    Ok(())
}

/// The share is to be another one.
pub(crate) fn drop_share(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM own_share", [])?;
    Ok(())
}
