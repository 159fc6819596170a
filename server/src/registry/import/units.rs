//! Units out of a table: each line against the tree as it is and as the whole table would make it.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::entry::{RegistryEvent, UnitEvent};
use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::time::UnixMillis;

use super::columns::{self, Cells, Codes, UNITS};
use super::{CODE, ImportLine, ImportOutcome, Judged};
use crate::error::StationError;
use crate::registry::levels::{Level, check_nesting};
use crate::registry::names;
use crate::registry::realm::Realm;
use crate::sheets::Table;
use crate::store::ReadTx;

const NAME: usize = 1;
const PARENT: usize = 2;
const LEVEL: usize = 3;

/// The tree of units with what the table makes of it.
pub(super) struct Plan<'a> {
    realm: &'a Realm,
    on_behalf: Option<UserId>,
    before: BTreeMap<UnitId, UnitEvent>,
    after: BTreeMap<UnitId, UnitEvent>,
    /// The codes as the table makes them, and as they are.
    by_code: BTreeMap<String, UnitId>,
    coded: BTreeMap<String, UnitId>,
    /// Units without a code by name, and the units right below each as the table makes them.
    uncoded: BTreeMap<String, Vec<UnitId>>,
    below: BTreeMap<UnitId, Vec<UnitId>>,
}

impl<'a> Plan<'a> {
    /// The tree as it is.
    pub(super) fn of(tx: &ReadTx<'_>, realm: &'a Realm, on_behalf: Option<UserId>) -> Result<Self, StationError> {
        let before: BTreeMap<UnitId, UnitEvent> = tx.units()?.into_iter().map(|row| (row.unit, row)).collect();
        let coded: BTreeMap<String, UnitId> = tx.unit_codes()?.into_iter().map(|(unit, code)| (code, unit)).collect();
        let with_code: BTreeSet<UnitId> = coded.values().copied().collect();
        let mut uncoded: BTreeMap<String, Vec<UnitId>> = BTreeMap::new();
        for row in before.values().filter(|row| !with_code.contains(&row.unit)) {
            uncoded.entry(row.name.clone()).or_default().push(row.unit);
        }
        Ok(Self {
            realm,
            on_behalf,
            after: before.clone(),
            before,
            by_code: coded.clone(),
            coded,
            uncoded,
            below: BTreeMap::new(),
        })
    }

    /// The unit of a code, as the table makes it.
    pub(super) fn find(&self, code: &str) -> Option<&UnitEvent> {
        self.after.get(self.by_code.get(code)?)
    }

    /// Whether a unit is, or will be, in the realm of whoever brings the table in.
    pub(super) fn is_his(&self, unit: UnitId) -> bool {
        self.realm.holds(unit) || self.above(unit).any(|above| self.realm.holds(above))
    }

    /// Judges the lines of a table.
    pub(super) fn judge(
        &mut self,
        table: &Table,
        random: impl Fn() -> Result<[u8; 10], StationError>,
        now: UnixMillis,
    ) -> Result<Vec<Judged>, StationError> {
        let lines = columns::read("units", table, &UNITS)?;
        let codes = Codes::of(&lines);
        let mut placed = Vec::new();
        for line in &lines {
            let found = match codes.fault(line) {
                Some(fault) => Err(fault),
                None => Ok(self.known(line)),
            };
            let unit = match found {
                Ok(Some(unit)) => Ok((unit, false)),
                Ok(None) => Ok((UnitId::from_parts(now, random()?), true)),
                Err(fault) => Err(fault),
            };
            if let Ok((unit, _)) = unit {
                self.by_code.insert(line.get(CODE).to_owned(), unit);
            }
            placed.push((line, unit));
        }
        // First all that the table says, then each line against all of it: a parent may stand below its children.
        let mut faults: Vec<Option<String>> = Vec::new();
        for (line, unit) in &placed {
            faults.push(match unit {
                Ok((unit, is_new)) => self.lay(line, *unit, *is_new).err(),
                Err(fault) => Some(fault.clone()),
            });
        }
        let judged = placed
            .into_iter()
            .zip(faults)
            .map(|((line, unit), fault)| match (unit, fault) {
                (Ok((unit, is_new)), None) => self.told(line, unit, is_new),
                (Ok(_), Some(fault)) | (Err(_), Some(fault)) => Judged::refused("units", line, fault),
                (Err(fault), None) => Judged::refused("units", line, fault),
            });
        Ok(judged.collect())
    }

    /// The unit that a line is about, by its code; or one without a code that bears this name at this place: it takes the code.
    fn known(&self, line: &Cells) -> Option<UnitId> {
        if let Some(unit) = self.by_code.get(line.get(CODE)) {
            return Some(*unit);
        }
        let parent = line.said(PARENT).map(|code| self.by_code.get(code));
        let fits = |row: &&UnitEvent| match parent {
            None => row.parent.is_none(),
            Some(parent) => parent.is_some() && row.parent.as_ref() == parent,
        };
        let uncoded = self.uncoded.get(line.get(NAME)).into_iter().flatten();
        let mut found = uncoded.filter_map(|unit| self.before.get(unit)).filter(fits);
        match (found.next(), found.next()) {
            (Some(row), None) => Some(row.unit),
            _ => None,
        }
    }

    /// Lays a line into the tree; why it cannot be.
    fn lay(&mut self, line: &Cells, unit: UnitId, is_new: bool) -> Result<(), String> {
        let name = names::check("a unit", line.get(NAME)).map_err(|fault| fault.to_string())?;
        let level = match line.said(LEVEL) {
            Some(level) => Some(level_of(level)?),
            None => None,
        };
        let parent = match line.said(PARENT) {
            Some(code) => Some(
                *self
                    .by_code
                    .get(code)
                    .ok_or_else(|| format!("its parent {code:?} is neither here nor in the table"))?,
            ),
            None => None,
        };
        let before = self.before.get(&unit);
        let event = UnitEvent {
            unit,
            name,
            parent: parent.or_else(|| before.and_then(|row| row.parent)),
            level: level.or_else(|| before.and_then(|row| row.level.clone())),
            closed: before.and_then(|row| row.closed),
            on_behalf: self.on_behalf,
        };
        if !is_new && !self.realm.holds(unit) {
            return Err("this is beyond the person's own units".into());
        }
        self.after.insert(unit, event);
        Ok(())
    }

    /// What becomes of a line that was laid.
    fn told(&self, line: &Cells, unit: UnitId, is_new: bool) -> Judged {
        let Some(after) = self.after.get(&unit) else {
            return Judged::refused("units", line, "it was not read".into());
        };
        if let Err(fault) = self.check(after, is_new) {
            return Judged::refused("units", line, fault);
        }
        let before = self.before.get(&unit);
        let mut changes: Vec<&str> = Vec::new();
        if let Some(before) = before {
            let differing = [
                ("name", before.name != after.name),
                ("parent", before.parent != after.parent),
                ("level", before.level != after.level),
            ];
            changes.extend(differing.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what));
        }
        let is_event = is_new || !changes.is_empty();
        // A unit that was found by its name takes the code of the line.
        let takes_code = !is_new && self.adopts(line, unit);
        if takes_code {
            changes.push("code");
        }
        let outcome = match (is_new, changes.is_empty()) {
            (true, _) => ImportOutcome::Added,
            (false, false) => ImportOutcome::Changed,
            (false, true) => ImportOutcome::Unchanged,
        };
        Judged {
            told: ImportLine {
                sheet: "units",
                line: line.line,
                code: line.get(CODE).to_owned(),
                outcome,
                detail: changes.join(", "),
            },
            event: is_event.then(|| RegistryEvent::Unit(after.clone())),
            code: (is_new || takes_code).then(|| (true, *unit.as_bytes())),
        }
    }

    fn adopts(&self, line: &Cells, unit: UnitId) -> bool {
        self.coded.get(line.get(CODE)) != Some(&unit)
    }

    /// Whether a unit may stand where the table puts it.
    fn check(&self, unit: &UnitEvent, is_new: bool) -> Result<(), String> {
        let Some(parent) = unit.parent else {
            let was_root = self.before.get(&unit.unit).is_some_and(|row| row.parent.is_none());
            return match self.realm.check(None) {
                Ok(()) => Ok(()),
                Err(_) if was_root => Ok(()),
                Err(_) => Err("name its parent: only the operator makes a root".into()),
            };
        };
        if self.above(unit.unit).any(|above| above == unit.unit) {
            return Err("it would stand below itself".into());
        }
        if is_new && !self.is_his(parent) || !is_new && !self.is_his(unit.unit) {
            return Err("this is beyond the person's own units".into());
        }
        let row = self.after.get(&parent).ok_or("its parent cannot be brought in")?;
        let stays = self.before.get(&unit.unit).is_some_and(|before| before.parent == unit.parent);
        if row.closed == Some(true) && !stays {
            return Err("its parent is closed".into());
        }
        let fits = |below: &UnitEvent, above: &UnitEvent| {
            check_nesting(below.level.as_deref(), above.level.as_deref()).map_err(|fault| fault.to_string())
        };
        fits(unit, row)?;
        for below in self.below.get(&unit.unit).into_iter().flatten() {
            self.after.get(below).map_or(Ok(()), |below| fits(below, unit))?;
        }
        Ok(())
    }

    /// The units above one, as the table makes the tree; in a loop, as far as it has links.
    fn above(&self, unit: UnitId) -> impl Iterator<Item = UnitId> + '_ {
        let next = |unit: &UnitId| self.after.get(unit).and_then(|row| row.parent);
        std::iter::successors(next(&unit), move |unit| next(unit)).take(self.after.len())
    }
}

/// A level by its code or its Chinese name.
fn level_of(text: &str) -> Result<String, String> {
    if let Some(level) = Level::ALL.into_iter().find(|level| level.chinese() == text) {
        return Ok(level.code().to_owned());
    }
    Level::check(text)
        .map(|level| level.code().to_owned())
        .map_err(|fault| fault.to_string())
}
