//! The reference model: what each phone captured, what was acknowledged, what the station has accepted. It remembers; the programs under
//! test may not forget. Knows nothing of how they keep it.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::id::Hash;

use super::look::{PhoneLook, Stage, StationLook};
use super::{Broken, broken};

/// What is known of a world.
#[derive(Debug, Default)]
pub struct Model {
    captured: Vec<BTreeMap<Hash, Stage>>,
    acknowledged: BTreeSet<Hash>,
    accepted: BTreeSet<Hash>,
    leaves: u64,
    is_restored: bool,
}

impl Model {
    /// A phone went back to an old copy, or begins as one: what it holds now is what it answers for. What was acknowledged stays so.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn phone_began_anew(&mut self, number: usize, look: &PhoneLook) -> Result<(), Broken> {
        if self.captured.len() <= number {
            self.captured.resize(number + 1, BTreeMap::new());
        }
        if let Some(known) = self.captured.get_mut(number) {
            *known = look.own()?;
        }
        Ok(())
    }

    /// The station was restored from a backup: what it had accepted since may come back, and what no phone holds any more is gone.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn station_began_anew(&mut self, look: &StationLook) -> Result<(), Broken> {
        self.is_restored = true;
        self.leaves = look.leaves()?;
        self.accepted = look.accepted()?.into_keys().collect();
        Ok(())
    }

    /// Looks at a phone after something happened there: nothing that it captured may have gone, or stand where it cannot stand.
    ///
    /// # Errors
    /// What does not hold.
    pub fn see_phone(&mut self, number: usize, name: &str, look: &PhoneLook) -> Result<(), Broken> {
        if self.captured.len() <= number {
            self.captured.resize(number + 1, BTreeMap::new());
        }
        let own = look.own()?;
        let to_be_sent = look.to_be_sent()?;
        let known = self.captured.get_mut(number).ok_or_else(|| broken("no such phone"))?;
        for (entry, before) in known.iter() {
            let Some(now) = own.get(entry) else {
                return Err(broken(format!(
                    "{name}: captured entry {entry} ({before:?}) has left the phone"
                )));
            };
            let is_sent_again = self.is_restored && (*before, *now) == (Stage::Acknowledged, Stage::Waiting);
            if !may_become(*before, *now) && !is_sent_again {
                return Err(broken(format!("{name}: entry {entry} was {before:?} and is {now:?}")));
            }
        }
        for (entry, stage) in &own {
            if (*stage == Stage::Waiting) != to_be_sent.contains(entry) {
                return Err(broken(format!(
                    "{name}: entry {entry} is {stage:?}, and whether it will be sent is {}",
                    to_be_sent.contains(entry)
                )));
            }
            if *stage == Stage::Acknowledged {
                self.acknowledged.insert(*entry);
            }
        }
        *known = own;
        Ok(())
    }

    /// Looks at the station: its ledger only grows, and nothing stands on it twice.
    ///
    /// # Errors
    /// What does not hold.
    pub fn see_station(&mut self, look: &StationLook) -> Result<(), Broken> {
        let leaves = look.leaves()?;
        if leaves < self.leaves {
            return Err(broken(format!("the ledger had {} leaves and has {leaves}", self.leaves)));
        }
        if leaves == self.leaves {
            return Ok(());
        }
        self.leaves = leaves;
        let accepted = look.accepted()?;
        if let Some((entry, times)) = accepted.iter().find(|(_, times)| **times != 1) {
            return Err(broken(format!("entry {entry} was accepted {times} times")));
        }
        let accepted: BTreeSet<Hash> = accepted.into_keys().collect();
        if let Some(entry) = self.accepted.difference(&accepted).next() {
            return Err(broken(format!("accepted entry {entry} has left the station")));
        }
        self.accepted = accepted;
        Ok(())
    }

    /// What the station has accepted.
    #[must_use]
    pub fn accepted(&self) -> &BTreeSet<Hash> {
        &self.accepted
    }

    /// Entries that a phone was told are accepted, and the station does not have; after a restore, of those that a phone still holds.
    #[must_use]
    pub fn lost(&self) -> Vec<Hash> {
        let is_held = |entry: &&Hash| !self.is_restored || self.captured.iter().any(|own| own.contains_key(*entry));
        self.acknowledged
            .difference(&self.accepted)
            .filter(is_held)
            .copied()
            .collect()
    }

    /// Own entries of a phone at a stage.
    pub fn at_stage(&self, number: usize, stage: Stage) -> impl Iterator<Item = &Hash> {
        let captured = self.captured.get(number).into_iter().flatten();
        captured.filter(move |(_, now)| **now == stage).map(|(entry, _)| entry)
    }

    /// Figures for people: captured, acknowledged, refused entries.
    #[must_use]
    pub fn figures(&self) -> (usize, usize, usize) {
        let all = || self.captured.iter().flatten();
        let refused = all()
            .filter(|(_, stage)| matches!(stage, Stage::Refused | Stage::DealtWith))
            .count();
        (all().count(), self.acknowledged.len(), refused)
    }
}

/// Whether an entry may go from one stage to another while the station was not restored.
fn may_become(before: Stage, now: Stage) -> bool {
    match before {
        Stage::Waiting => now != Stage::DealtWith,
        Stage::Acknowledged => now == Stage::Acknowledged,
        Stage::Refused => matches!(now, Stage::Refused | Stage::DealtWith),
        Stage::DealtWith => now == Stage::DealtWith,
    }
}
