//! The reference model: what each phone captured, what was acknowledged, what the station has accepted, what each officer may hold. It
//! remembers; the programs under test may not forget. Knows nothing of how they keep it.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::id::{Hash, RecordId, UserId};

use super::look::{Own, PhoneLook, Stage, StationLook};
use super::phone::PhoneSide;
use super::{Broken, broken};

/// What is known of a world.
#[derive(Debug, Default)]
pub struct Model {
    captured: Vec<BTreeMap<Hash, Own>>,
    promised: Vec<Vec<RecordId>>,
    acknowledged: BTreeSet<Hash>,
    accepted: BTreeMap<Hash, RecordId>,
    /// Records that each officer was at some time not to hold.
    been_out: BTreeMap<UserId, BTreeSet<RecordId>>,
    leaves: u64,
    is_restored: bool,
}

impl Model {
    /// A phone went back to an old copy, or begins as one: what it holds now is what it answers for. What was acknowledged stays so.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn phone_began_anew(&mut self, number: usize, look: &PhoneLook) -> Result<(), Broken> {
        *self.known(number) = look.own()?;
        Ok(())
    }

    fn known(&mut self, number: usize) -> &mut BTreeMap<Hash, Own> {
        if self.captured.len() <= number {
            self.captured.resize(number + 1, BTreeMap::new());
            self.promised.resize(number + 1, Vec::new());
        }
        &mut self.captured[number]
    }

    /// The station was restored from a backup: what it had accepted since may come back, and what no phone holds any more is gone.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn station_began_anew(&mut self, look: &StationLook) -> Result<(), Broken> {
        self.is_restored = true;
        self.leaves = look.leaves()?;
        self.accepted = entries(look)?;
        Ok(())
    }

    /// Calls of a phone's core came back and so promised that an entry of each of these records is on its file.
    pub fn promise(&mut self, number: usize, records: Vec<RecordId>) {
        self.known(number);
        self.promised[number].extend(records);
    }

    /// Looks at a phone after something happened there: what was promised is there, and nothing that it captured may have gone, or stand
    /// where it cannot stand. `is_station_seen`: whether the station was there to be looked at.
    ///
    /// # Errors
    /// What does not hold.
    pub fn see_phone(&mut self, number: usize, phone: &PhoneSide, is_station_seen: bool) -> Result<(), Broken> {
        let (name, look) = (&phone.name, phone.look()?);
        let own = look.own()?;
        let to_be_sent = look.to_be_sent()?;
        let is_restored = self.is_restored;
        let been_out = self.been_out.get(&phone.user).cloned().unwrap_or_default();
        let known = self.known(number);
        let mut unexplained = Vec::new();
        for (entry, before) in known.iter() {
            let Some(now) = own.get(entry) else {
                // What left the scope goes, when the officer has nothing to do about it any more: what waited was answered in the same
                // sync, and a restored station may have accepted what it refused before.
                if been_out.contains(&before.record) && (is_restored || before.stage != Stage::Refused) {
                    continue;
                }
                // It may have left by the word of a station that died before anybody looked.
                if !is_station_seen {
                    unexplained.push((*entry, *before));
                    continue;
                }
                return Err(broken(format!(
                    "{name}: captured entry {entry} of {} ({:?}) has left the phone",
                    before.record, before.stage
                )));
            };
            let may_be = may_become(before.stage, now.stage) || (is_restored && may_become_restored(before.stage, now.stage));
            if !may_be {
                return Err(broken(format!(
                    "{name}: entry {entry} was {:?} and is {:?}",
                    before.stage, now.stage
                )));
            }
        }
        let mut fresh: BTreeMap<RecordId, usize> = BTreeMap::new();
        for (_, entry) in own.iter().filter(|(entry, _)| !known.contains_key(*entry)) {
            *fresh.entry(entry.record).or_default() += 1;
        }
        known.clone_from(&own);
        known.extend(unexplained);
        for record in std::mem::take(&mut self.promised[number]) {
            match fresh.get_mut(&record).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None if been_out.contains(&record) || !is_station_seen => {}
                None => return Err(broken(format!("{name}: an entry of {record} was promised and is not there"))),
            }
        }
        for (entry, Own { stage, .. }) in &own {
            // After a restore a colleague may have given it back before its author's page returns.
            let may_be_sent = *stage == Stage::Waiting || (is_restored && *stage == Stage::Acknowledged);
            let will_be_sent = to_be_sent.contains(entry);
            if (*stage == Stage::Waiting && !will_be_sent) || (will_be_sent && !may_be_sent) {
                return Err(broken(format!(
                    "{name}: entry {entry} is {stage:?}, and whether it will be sent is {will_be_sent}"
                )));
            }
            if *stage == Stage::Acknowledged {
                self.acknowledged.insert(*entry);
            }
        }
        Ok(())
    }

    /// Looks at the station: its ledger only grows, and nothing stands on it twice.
    ///
    /// # Errors
    /// What does not hold.
    pub fn see_station(&mut self, look: &StationLook, users: impl Iterator<Item = UserId>) -> Result<(), Broken> {
        let leaves = look.leaves()?;
        if leaves < self.leaves {
            return Err(broken(format!("the ledger had {} leaves and has {leaves}", self.leaves)));
        }
        if leaves == self.leaves {
            return Ok(());
        }
        self.leaves = leaves;
        let accepted = entries(look)?;
        if let Some(entry) = self.accepted.keys().find(|entry| !accepted.contains_key(*entry)) {
            return Err(broken(format!("accepted entry {entry} has left the station")));
        }
        self.accepted = accepted;
        self.see_scopes(look, users)
    }

    /// Looks at what each officer may hold now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn see_scopes(&mut self, look: &StationLook, users: impl Iterator<Item = UserId>) -> Result<(), Broken> {
        let all = look.records()?;
        for user in users {
            let scope = look.scope(user)?;
            self.been_out.entry(user).or_default().extend(all.difference(&scope));
        }
        Ok(())
    }

    /// What the station has accepted of these records.
    #[must_use]
    pub fn accepted_of(&self, records: &BTreeSet<RecordId>) -> BTreeSet<Hash> {
        let of = self.accepted.iter().filter(|(_, record)| records.contains(record));
        of.map(|(entry, _)| *entry).collect()
    }

    /// Entries that a phone was told are accepted, and the station does not have; after a restore, of those that a phone still holds and
    /// does not show as refused.
    #[must_use]
    pub fn lost(&self) -> Vec<Hash> {
        let stands = |entry: &Hash| {
            self.captured
                .iter()
                .filter_map(|own| own.get(entry))
                .map(|own| own.stage)
                .collect()
        };
        let is_lost = |entry: &&Hash| {
            let stages: Vec<Stage> = stands(entry);
            !self.is_restored || (!stages.is_empty() && stages.iter().all(|stage| *stage == Stage::Acknowledged))
        };
        let acknowledged = self.acknowledged.iter().filter(|entry| !self.accepted.contains_key(*entry));
        acknowledged.filter(is_lost).copied().collect()
    }

    /// Own entries of a phone at a stage.
    pub fn at_stage(&self, number: usize, stage: Stage) -> impl Iterator<Item = &Hash> {
        let captured = self.captured.get(number).into_iter().flatten();
        captured.filter(move |(_, own)| own.stage == stage).map(|(entry, _)| entry)
    }

    /// Figures for people: captured, acknowledged, refused entries.
    #[must_use]
    pub fn figures(&self) -> (usize, usize, usize) {
        let all = || self.captured.iter().flatten();
        let refused = all()
            .filter(|(_, own)| matches!(own.stage, Stage::Refused | Stage::DealtWith))
            .count();
        (all().count(), self.acknowledged.len(), refused)
    }
}

fn entries(look: &StationLook) -> Result<BTreeMap<Hash, RecordId>, Broken> {
    let accepted = look.accepted()?;
    if let Some((entry, (_, times))) = accepted.iter().find(|(_, (_, times))| *times != 1) {
        return Err(broken(format!("entry {entry} was accepted {times} times")));
    }
    Ok(accepted.into_iter().map(|(entry, (record, _))| (entry, record)).collect())
}

/// Whether an entry may go from one stage to another while the station was not restored.
fn may_become(before: Stage, now: Stage) -> bool {
    match before {
        Stage::Waiting => !matches!(now, Stage::DealtWith | Stage::NotTakenBack),
        Stage::Acknowledged => now == Stage::Acknowledged,
        Stage::Refused => matches!(now, Stage::Refused | Stage::DealtWith),
        Stage::DealtWith => now == Stage::DealtWith,
        Stage::NotTakenBack => now == Stage::NotTakenBack,
    }
}

/// Whether it may once the station was: what it had said is asked of it again, and it may say otherwise.
fn may_become_restored(before: Stage, now: Stage) -> bool {
    match before {
        Stage::Waiting => false,
        Stage::Acknowledged => matches!(now, Stage::Waiting | Stage::Refused | Stage::NotTakenBack),
        Stage::Refused | Stage::DealtWith | Stage::NotTakenBack => now == Stage::Acknowledged,
    }
}
