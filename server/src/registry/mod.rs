//! The registry: units, people, memberships, books and kinds, written into the ledger as events of the station's own book; and what lets
//! people in: codes, tokens, challenges, which are this installation's alone.

pub(crate) mod attempts;
pub(crate) mod attest;
pub(crate) mod devices;
pub(crate) mod enrol;
pub(crate) mod enrolments;
mod export;
pub(crate) mod grants;
pub(crate) mod import;
pub(crate) mod levels;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod people;
mod realm;
pub(crate) mod tokens;
pub(crate) mod units;

use beatbook_protocol::entry::{Entry, RegistryEvent};

use crate::audit::{self, Line};
use crate::environment::Environment;
use crate::error::StationError;
use crate::intake::{OwnEntry, seal_own};
use crate::keys::Keys;
use crate::kinds::Kinds;
use crate::ledger;
use crate::station::Station;
use crate::store::WriteTx;

/// Events in one page: an import has thousands.
const PAGE_EVENTS: usize = 200;

/// Writes events into the ledger; the last leaf of them.
pub(crate) fn write_events(
    tx: &WriteTx<'_>,
    keys: &Keys,
    env: &Environment,
    kinds: &Kinds,
    events: Vec<RegistryEvent>,
) -> Result<u64, StationError> {
    let mut last = 0;
    for events in events.chunks(PAGE_EVENTS) {
        let entries = events
            .iter()
            .map(|event| OwnEntry {
                bytes: Entry::Registry(event.clone()).to_bytes(),
                offered: false,
            })
            .collect();
        let page = seal_own(tx, keys, env, entries)?;
        last = ledger::append(tx, kinds, &page)?.0;
    }
    Ok(last)
}

/// Writes what was found to be in order into the ledger and a line for it into the audit log, on the same look; then notes what was signed.
fn order(station: &Station, event: impl FnOnce(&WriteTx<'_>) -> Result<RegistryEvent, StationError>) -> Result<(), StationError> {
    station.store.write(|tx| {
        let event = event(tx)?;
        if let Some(line) = line_of(&event) {
            audit::append(tx, &station.env, &line)?;
        }
        write_events(tx, &station.keys, &station.env, &station.kinds, vec![event])
    })?;
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    Ok(())
}

/// What the audit log says of a change of the registry: who, which, what of it; no names.
fn line_of(event: &RegistryEvent) -> Option<Line> {
    let text = |what: Option<String>| what.unwrap_or_else(|| "-".into());
    Some(match event {
        RegistryEvent::Unit(unit) => Line::of(
            unit.on_behalf,
            "registry.unit",
            format!(
                "unit {} below {} level {} closed {}",
                unit.unit,
                text(unit.parent.map(|parent| parent.to_string())),
                text(unit.level.clone()),
                unit.closed == Some(true)
            ),
        ),
        RegistryEvent::User(user) => Line::of(
            user.on_behalf,
            "registry.person",
            format!(
                "person {} in {} as {} blocked {}",
                user.user,
                user.unit,
                user.roles.join(" "),
                user.blocked == Some(true)
            ),
        ),
        RegistryEvent::Membership(membership) => Line::of(
            membership.on_behalf,
            "registry.membership",
            format!(
                "membership {} of {} in {} as {} for {} phase {}",
                membership.membership,
                membership.user,
                membership.unit,
                membership.roles.join(" "),
                text(membership.stands_in_for.map(|user| user.to_string())),
                membership.phase
            ),
        ),
        RegistryEvent::Grant(grant) => Line {
            record: Some(grant.record),
            ..Line::of(
                grant.on_behalf,
                "registry.grant",
                format!(
                    "{} to person {} unit {} ended {}",
                    grant.reason,
                    text(grant.user.map(|user| user.to_string())),
                    text(grant.unit.map(|unit| unit.to_string())),
                    grant.ended == Some(true)
                ),
            )
        },
        RegistryEvent::Book(_)
        | RegistryEvent::Kind(_)
        | RegistryEvent::BookEnd(_)
        | RegistryEvent::Hold(_)
        | RegistryEvent::Destruction(_)
        | RegistryEvent::AuditAnchor(_)
        | RegistryEvent::UnitKey(_)
        | RegistryEvent::Other(_) => return None,
    })
}
