//! Custodians' keys: a person of a unit who can open its emergency notes without the station, when the station is what burns. The station
//! keeps the public half, in the ledger; the secret is printed once.

use beatbook_protocol::entry::{RegistryEvent, UnitKeyEvent};
use beatbook_protocol::id::UnitId;
use beatbook_protocol::limits::EMERGENCY_KEYS_MAX;
use beatbook_protocol::parcel::SealingKey;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::audit::{self, Line};
use crate::error::StationError;
use crate::ledger;
use crate::registry::tokens::random;
use crate::registry::{names, units, write_events};
use crate::station::Station;

/// A pair of keys; the secret is shown once.
#[derive(Debug, Clone, Serialize)]
pub struct KeyPair {
    /// The public half, hexadecimal.
    pub key: String,
    /// The secret half, hexadecimal: for the custodian alone, on paper or on a stick that lies in a safe.
    pub secret: String,
}

/// A custodian's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitKeyView {
    /// The unit.
    pub unit: UnitId,
    /// The public half, hexadecimal.
    pub key: String,
    /// Who holds the other half.
    pub custodian: String,
    /// Whether nothing is sealed to it any more.
    pub ended: bool,
}

/// Makes a pair for a custodian of a unit.
pub(crate) fn add_key(station: &Station, unit: UnitId, custodian: &str) -> Result<KeyPair, StationError> {
    let custodian = &names::check("the custodian", custodian)?;
    let secret = Zeroizing::new(random::<32>(&station.env)?);
    let key = *SealingKey::from_bytes(&secret).public_key().as_bytes();
    say(station, unit, key, custodian, false)?;
    Ok(KeyPair {
        key: hex(&key),
        secret: hex(secret.as_slice()),
    })
}

/// Ends a key: nothing is sealed to it from the phones' next contact on. What was sealed to it stays so.
pub(crate) fn end_key(station: &Station, unit: UnitId, key: &str) -> Result<(), StationError> {
    let row = keys(station)?
        .into_iter()
        .find(|row| row.unit == unit && row.key == key && !row.ended);
    let row = row.ok_or_else(|| StationError::NotFound(format!("key {key} in use of unit {unit}")))?;
    let key = unhex(key).ok_or_else(|| StationError::Invalid("a key has 64 hexadecimal digits".into()))?;
    say(station, unit, *key, &row.custodian, true)
}

/// All keys, those that ended included.
pub(crate) fn keys(station: &Station) -> Result<Vec<UnitKeyView>, StationError> {
    let rows = station.store.read(|tx| Ok::<_, StationError>(tx.unit_keys()?))?;
    let view = |row: UnitKeyEvent| UnitKeyView {
        unit: row.unit,
        key: hex(&row.key),
        custodian: row.custodian,
        ended: row.ended == Some(true),
    };
    Ok(rows.into_iter().map(view).collect())
}

fn say(station: &Station, unit: UnitId, key: [u8; 32], custodian: &str, ended: bool) -> Result<(), StationError> {
    station.store.write(|tx| {
        units::find(tx, unit)?;
        let in_use = tx
            .unit_keys()?
            .iter()
            .filter(|row| row.unit == unit && row.ended.is_none())
            .count();
        if !ended && in_use + 1 >= EMERGENCY_KEYS_MAX {
            return Err(StationError::Invalid(format!(
                "unit {unit} has {in_use} keys in use, and a note is sealed to no more: end one first"
            )));
        }
        let event = RegistryEvent::UnitKey(UnitKeyEvent {
            unit,
            key,
            custodian: custodian.to_owned(),
            ended: ended.then_some(true),
            on_behalf: None,
        });
        write_events(tx, &station.keys, &station.env, &station.kinds, vec![event])?;
        let what = if ended { "unit_key.end" } else { "unit_key.new" };
        audit::append(
            tx,
            &station.env,
            &Line::of(None, what, format!("unit {unit}, key {}", hex(&key))),
        )
    })?;
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes from 64 hexadecimal digits, with white space around.
pub(super) fn unhex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.trim();
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
