//! What must hold: after a sync that says all is exchanged, and at the end of a world that was healed. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_client_core::sync::status;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_server::station::{Part, Reason, RecordPage, Session, Station};

use super::look::{PhoneLook, Stage, Standings, StationLook};
use super::model::Model;
use super::phone::PhoneSide;
use super::{Broken, broken};

/// A phone that says "synced" has nothing to send.
///
/// # Errors
/// When it has.
pub fn says_no_more_than_is_true(phone: &PhoneSide) -> Result<bool, Broken> {
    if phone.has_ended()? {
        return Ok(false);
    }
    let said = status(phone.core()?).map_err(|fault| broken(format!("{}: no status: {fault}", phone.name)))?;
    let waiting = phone.look()?.to_be_sent()?.len() as u64;
    if said.synced && waiting > 0 {
        return Err(broken(format!("{} says synced, and {waiting} entries wait", phone.name)));
    }
    if said.waiting != waiting {
        return Err(broken(format!(
            "{} says that {} entries wait, and {waiting} do",
            phone.name, said.waiting
        )));
    }
    Ok(said.synced)
}

/// A phone holds what the station holds, hash for hash.
///
/// # Errors
/// The first difference.
pub fn holds_what_the_station_holds(phone: &PhoneSide, station: &StationLook, model: &Model) -> Result<(), Broken> {
    let look = phone.look()?;
    let held = look.accepted()?;
    let name = &phone.name;
    let scope = station.scope(phone.user)?;
    holds_nothing_else(name, look, &scope, &station.records()?)?;
    let accepted = model.accepted_of(&scope);
    if let Some(entry) = accepted.difference(&held).next() {
        return Err(broken(format!("{name} lacks entry {entry}, which the station has")));
    }
    if let Some(entry) = held.difference(&accepted).next() {
        return Err(broken(format!(
            "{name} holds entry {entry} as accepted, which the station does not have"
        )));
    }
    if let Some(why) = look.unreadable()?.first() {
        return Err(broken(format!("{name} cannot read what the station has: {why}")));
    }
    let mut there = station.standings()?;
    there.retain(|record, _| scope.contains(record));
    same(name, &there, &look.standings()?)
}

/// Of records beyond its officer's scope a phone holds only those on which own work hangs.
fn holds_nothing_else(
    name: &str,
    look: &PhoneLook,
    scope: &BTreeSet<RecordId>,
    known: &BTreeSet<RecordId>,
) -> Result<(), Broken> {
    for (record, has_work) in look.leaving()? {
        if !has_work {
            return Err(broken(format!(
                "{name} still holds record {record}, which left, and nothing hangs on it"
            )));
        }
        if scope.contains(&record) {
            return Err(broken(format!(
                "{name} takes record {record} for one that left, and it is in scope"
            )));
        }
    }
    let beyond = |record: &RecordId| known.contains(record) && !scope.contains(record);
    match look.records()?.iter().find(|(record, _)| beyond(record)) {
        Some((record, entries)) => Err(broken(format!(
            "{name} holds record {record}, which is not in its scope: {entries}"
        ))),
        None => Ok(()),
    }
}

fn same(name: &str, there: &Standings, here: &Standings) -> Result<(), Broken> {
    for (record, stands) in there {
        match here.get(record) {
            Some(held) if held == stands => {}
            Some(held) => return Err(broken(format!("{name}, record {record}: {held}\n  at the station: {stands}"))),
            None => return Err(broken(format!("{name} lacks record {record}"))),
        }
    }
    match here.keys().find(|record| !there.contains_key(record)) {
        Some(record) => Err(broken(format!("{name} has record {record} that the station does not have"))),
        None => Ok(()),
    }
}

/// What the station shows of each record, opened once for all phones that are compared with it. For a station to which nothing happens
/// meanwhile.
#[derive(Debug)]
pub struct Shown<'s> {
    station: &'s Station,
    chief: &'s Session,
    pages: BTreeMap<RecordId, RecordPage>,
}

impl<'s> Shown<'s> {
    /// Nothing opened yet; the chief reads everything.
    #[must_use]
    pub fn by(station: &'s Station, chief: &'s Session) -> Self {
        Self {
            station,
            chief,
            pages: BTreeMap::new(),
        }
    }

    fn page(&mut self, record: RecordId) -> Result<&RecordPage, Broken> {
        if !self.pages.contains_key(&record) {
            let said = |fault: &dyn std::fmt::Display| broken(format!("the station, record {record}: {fault}"));
            let why = Reason::parse("the same on both sides?").map_err(|fault| said(&fault))?;
            let page = self.station.look(self.chief, record, Part::Page, Some(&why));
            let page = page.map_err(|fault| said(&fault))?;
            self.pages.insert(
                record,
                page.ok_or_else(|| broken(format!("the station does not show record {record}")))?,
            );
        }
        self.pages.get(&record).ok_or_else(|| broken("a page that was just opened"))
    }
}

/// Every record shows the same on a phone as at the station: values of both documents, and the official view.
///
/// # Errors
/// The first difference.
pub fn shows_the_same(phone: &PhoneSide, shown: &mut Shown<'_>, look: &StationLook) -> Result<(), Broken> {
    let core = phone.core()?;
    for record in &look.scope(phone.user)? {
        let said = |fault: &dyn std::fmt::Display| broken(format!("{}, record {record}: {fault}", phone.name));
        let here = core.record(*record).map_err(|fault| said(&fault))?;
        let there = shown.page(*record)?;
        let official = here.official.as_ref().unwrap_or(&here.facts);
        if *official != there.official {
            return Err(said(&format!("shows {official:?}\n  the station {:?}", there.official)));
        }
        if here.private.is_some() && here.private != there.private {
            return Err(said(&"its private document differs"));
        }
    }
    Ok(())
}

/// Every refused entry that its author has not dealt with is shown to him, and what he wrote on what was destroyed.
///
/// # Errors
/// The first that is not.
pub fn shows_what_was_refused(phone: &PhoneSide, number: usize, model: &Model) -> Result<(), Broken> {
    let shown = phone
        .core()?
        .refused()
        .map_err(|fault| broken(format!("{}: {fault}", phone.name)))?;
    let shown: Vec<Hash> = shown.into_iter().map(|refused| refused.entry).collect();
    let stranded = phone.look()?.stranded()?;
    let refused = model.at_stage(number, Stage::Refused).chain(&stranded);
    match refused.into_iter().find(|entry| !shown.contains(entry)) {
        Some(entry) => Err(broken(format!("{}: refused entry {entry} is not shown", phone.name))),
        None => Ok(()),
    }
}

/// The station's own books are in order: the ledger verifies, and where asked for, the projections fold to the same again.
///
/// # Errors
/// What does not hold.
pub fn station_is_in_order(station: &Station, rebuilds: bool) -> Result<(), Broken> {
    let fault = |fault| broken(format!("the station: {fault}"));
    let report = station.verify_ledger().map_err(fault)?;
    if let Some(fault) = report.faults.first() {
        return Err(broken(format!("the ledger does not verify: {fault}")));
    }
    if rebuilds {
        let report = station.rebuild().map_err(fault)?;
        if report.before != report.after {
            return Err(broken("a rebuild folds the projections otherwise"));
        }
    }
    Ok(())
}
