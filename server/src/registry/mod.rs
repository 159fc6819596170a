//! The registry: units, people, books and kinds, written into the ledger as events of the station's own book; and what lets them in:
//! codes, tokens, challenges, which are this installation's alone.

pub(crate) mod attempts;
pub(crate) mod attest;
pub(crate) mod enrol;
pub(crate) mod enrolments;
pub(crate) mod moves;
pub(crate) mod people;
pub(crate) mod tokens;

use beatbook_protocol::entry::{Entry, RegistryEvent};

use crate::environment::Environment;
use crate::error::StationError;
use crate::intake::{OwnEntry, seal_own};
use crate::keys::Keys;
use crate::kinds::Kinds;
use crate::ledger;
use crate::store::WriteTx;

/// Writes events into the ledger.
pub(crate) fn write_events(
    tx: &WriteTx<'_>,
    keys: &Keys,
    env: &Environment,
    kinds: &Kinds,
    events: Vec<RegistryEvent>,
) -> Result<u64, StationError> {
    let entries = events
        .into_iter()
        .map(|event| OwnEntry {
            bytes: Entry::Registry(event).to_bytes(),
            offered: false,
        })
        .collect();
    let page = seal_own(tx, keys, env, entries)?;
    Ok(ledger::append(tx, kinds, &page)?.0)
}
