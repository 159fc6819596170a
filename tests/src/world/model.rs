//! The reference model: what each phone captured, what was acknowledged, what the station has accepted, what each officer may hold. It
//! remembers; the programs under test may not forget. Knows nothing of how they keep it.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::id::{Hash, RecordId, UserId};

use super::look::{About, Own, PhoneLook, Stage, StationLook};
use super::phone::PhoneSide;
use super::{Broken, broken};

/// What is known of a phone.
#[derive(Debug, Default)]
struct Known {
    /// The own entries that it answers for.
    captured: BTreeMap<Hash, Own>,
    /// Own work on what was destroyed, kept in words until its author has dealt with it.
    stranded: BTreeSet<Hash>,
    /// Records of which an entry was promised since it was looked at.
    promised: Vec<RecordId>,
    /// What its author has dealt with.
    dealt_with: BTreeSet<Hash>,
    /// Whether the station was restored since the phone last said, rightly, that it is synced: what was said to it may be taken back.
    is_behind: bool,
}

/// What is known of a world.
#[derive(Debug, Default)]
pub struct Model {
    phones: Vec<Known>,
    acknowledged: BTreeMap<Hash, About>,
    /// Those that the station, as it was restored last, has said or confirmed.
    sure: BTreeSet<Hash>,
    accepted: BTreeMap<Hash, About>,
    /// All that the station ever accepted.
    ever_accepted: BTreeSet<Hash>,
    destroyed: Destroyed,
    /// What phones handed in whose books had ended.
    handed_in: BTreeMap<Hash, About>,
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
        let is_restored = self.is_restored;
        let known = self.known(number);
        (known.captured, known.stranded) = (look.own()?, look.stranded()?);
        known.is_behind = is_restored;
        Ok(())
    }

    /// A phone said, rightly, that it is synced: what a restored station took back of its work, it has heard.
    pub fn phone_caught_up(&mut self, number: usize) {
        self.known(number).is_behind = false;
    }

    fn known(&mut self, number: usize) -> &mut Known {
        if self.phones.len() <= number {
            self.phones.resize_with(number + 1, Known::default);
        }
        &mut self.phones[number]
    }

    /// The station was restored from a backup: what it had accepted since may come back, and what no phone holds any more is gone.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn station_began_anew(&mut self, look: &StationLook) -> Result<(), Broken> {
        self.is_restored = true;
        self.sure.clear();
        for known in &mut self.phones {
            known.is_behind = true;
        }
        self.leaves = look.leaves()?;
        self.destroyed = Destroyed(look.destroyed()?);
        self.accepted = entries(look)?;
        // What came after the backup went with the phone that handed it in.
        let known = look.known()?;
        self.handed_in.retain(|entry, _| known.contains(entry));
        Ok(())
    }

    /// A phone parted with its book; before that it handed these in, its own and without a verdict.
    pub fn handed_in(&mut self, entries: BTreeMap<Hash, About>) {
        self.handed_in.extend(entries);
    }

    /// What was handed in is at the station, until it is destroyed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn has_what_was_handed_in(&self, look: &StationLook) -> Result<(), Broken> {
        if self.handed_in.is_empty() {
            return Ok(());
        }
        let (known, destroyed) = (look.known()?, Destroyed(look.destroyed()?));
        let is_missing = |(entry, about): &(&Hash, &About)| !known.contains(*entry) && !destroyed.holds(about);
        match self.handed_in.iter().find(is_missing) {
            Some((entry, _)) => Err(broken(format!(
                "entry {entry} was handed in, and the station does not have it"
            ))),
            None => Ok(()),
        }
    }

    /// Calls of a phone's core came back and so promised that an entry of each of these records is on its file.
    pub fn promise(&mut self, number: usize, records: Vec<RecordId>) {
        self.known(number).promised.extend(records);
    }

    /// Its officer took up, or dismissed, what came back.
    pub fn dealt_with(&mut self, number: usize, entries: Vec<Hash>) {
        self.known(number).dealt_with.extend(entries);
    }

    /// Looks at a phone after something happened there: what was promised is there, and nothing that it captured may have gone, or stand
    /// where it cannot stand. `is_station_seen`: whether the station was there to be looked at.
    ///
    /// # Errors
    /// What does not hold.
    pub fn see_phone(&mut self, number: usize, phone: &PhoneSide, is_station_seen: bool) -> Result<(), Broken> {
        let (name, look) = (&phone.name, phone.look()?);
        let (own, stranded) = (look.own()?, look.stranded()?);
        self.known(number);
        let been_out = self.been_out.get(&phone.user);
        let was_out = |record: &RecordId| been_out.is_some_and(|out| out.contains(record));
        let known = &self.phones[number];
        let mut unexplained = Vec::new();
        for (entry, before) in &known.captured {
            let is_accepted = self.ever_accepted.contains(entry);
            let Some(now) = own.get(entry) else {
                let is_undecided = matches!(before.stage, Stage::Waiting | Stage::Refused) && !is_accepted;
                // What was destroyed goes; what the station had not taken in of it stays in words until its author has dealt with it.
                let is_destroyed = self.destroyed.holds(&before.about);
                if is_destroyed && (!is_undecided || stranded.contains(entry)) {
                    continue;
                }
                // What left the scope goes, when the officer has nothing to do about it any more: what waited was answered in the same
                // sync, and what was refused may have been accepted since from another copy of the phone, or by a restored station.
                if was_out(&before.about.record) && (known.is_behind || before.stage != Stage::Refused || is_accepted) {
                    continue;
                }
                // It may have left by the word of a station that died before anybody looked.
                if !is_station_seen {
                    unexplained.push((*entry, *before));
                    continue;
                }
                return Err(broken(format!(
                    "{name}: captured entry {entry} of {} ({:?}) has left the phone",
                    before.about.record, before.stage
                )));
            };
            let may_be = may_become(before.stage, now.stage)
                || (known.is_behind && may_become_restored(before.stage, now.stage))
                || ((is_accepted || !is_station_seen) && may_be_taken_in_after_all(before.stage, now.stage));
            if !may_be {
                return Err(broken(format!(
                    "{name}: entry {entry} was {:?} and is {:?}",
                    before.stage, now.stage
                )));
            }
            if now.stage == Stage::DealtWith && before.stage != now.stage && !known.dealt_with.contains(entry) {
                return Err(broken(format!(
                    "{name}: nobody dealt with entry {entry}, and it is not shown any more"
                )));
            }
        }
        if let Some(entry) = known
            .stranded
            .difference(&stranded)
            .find(|entry| !known.dealt_with.contains(*entry))
        {
            return Err(broken(format!(
                "{name}: the words of {entry}, whose record was destroyed, are gone, and nobody dealt with them"
            )));
        }
        let mut fresh: BTreeMap<RecordId, usize> = BTreeMap::new();
        for (_, entry) in own.iter().filter(|(entry, _)| !known.captured.contains_key(*entry)) {
            *fresh.entry(entry.about.record).or_default() += 1;
        }
        for record in &known.promised {
            match fresh.get_mut(record).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None if was_out(record) || self.destroyed.holds_any_of(*record) || !is_station_seen => {}
                None => return Err(broken(format!("{name}: an entry of {record} was promised and is not there"))),
            }
        }
        self.see_queue(name, known.is_behind, &own, look)?;
        self.note_acknowledged(known.is_behind, &own);
        let known = self.known(number);
        known.promised.clear();
        (known.captured, known.stranded) = (own, stranded);
        known.captured.extend(unexplained);
        Ok(())
    }

    /// What a phone shows as acknowledged stays so; if it is not behind, the station as it is now has said it.
    fn note_acknowledged(&mut self, is_behind: bool, own: &BTreeMap<Hash, Own>) {
        for (entry, own) in own.iter().filter(|(_, own)| own.stage == Stage::Acknowledged) {
            self.acknowledged.insert(*entry, own.about);
            if !is_behind {
                self.sure.insert(*entry);
            }
        }
    }

    /// What waits will be sent, and what the phone itself parked, and nothing else.
    fn see_queue(&self, name: &str, is_behind: bool, own: &BTreeMap<Hash, Own>, look: &PhoneLook) -> Result<(), Broken> {
        let (to_be_sent, parked) = (look.to_be_sent()?, look.descendants()?);
        for (entry, Own { stage, .. }) in own {
            let may_be_sent = match stage {
                Stage::Waiting => true,
                // Its page has no answer yet: a copy of this phone brought it, or, after a restore, a colleague who holds it.
                Stage::Acknowledged => is_behind || self.accepted.contains_key(entry),
                // A page of which a part was accepted goes up whole to a restored station.
                Stage::Refused | Stage::DealtWith => is_behind || parked.contains(entry),
                Stage::NotTakenBack => false,
            };
            let will_be_sent = to_be_sent.contains(entry);
            if (*stage == Stage::Waiting && !will_be_sent) || (will_be_sent && !may_be_sent) {
                return Err(broken(format!(
                    "{name}: entry {entry} is {stage:?}, and whether it will be sent is {will_be_sent}"
                )));
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
        self.destroyed = Destroyed(look.destroyed()?);
        let accepted = entries(look)?;
        for (entry, about) in &self.accepted {
            let is_destroyed = self.destroyed.holds(about);
            if is_destroyed == accepted.contains_key(entry) {
                return Err(broken(format!(
                    "accepted entry {entry} has left the station, or has not: {is_destroyed}"
                )));
            }
        }
        self.ever_accepted.extend(accepted.keys());
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
        let of = self.accepted.iter().filter(|(_, about)| records.contains(&about.record));
        of.map(|(entry, _)| *entry).collect()
    }

    /// Entries that a phone was told are accepted, and the station neither has nor destroyed; of those that a station said which was restored
    /// since, the ones that a phone still holds and does not show as refused.
    #[must_use]
    pub fn lost(&self) -> Vec<Hash> {
        let is_lost = |entry: &Hash| {
            let stands = self.phones.iter().filter_map(|known| known.captured.get(entry));
            let stages: Vec<Stage> = stands.map(|own| own.stage).collect();
            self.sure.contains(entry) || (!stages.is_empty() && stages.iter().all(|stage| *stage == Stage::Acknowledged))
        };
        let gone = self
            .acknowledged
            .iter()
            .filter(|(entry, about)| !self.accepted.contains_key(*entry) && !self.destroyed.holds(about));
        gone.map(|(entry, _)| *entry).filter(is_lost).collect()
    }

    /// Own entries of a phone at a stage.
    pub fn at_stage(&self, number: usize, stage: Stage) -> impl Iterator<Item = &Hash> {
        let captured = self.phones.get(number).map(|known| &known.captured);
        captured
            .into_iter()
            .flatten()
            .filter(move |(_, own)| own.stage == stage)
            .map(|(entry, _)| entry)
    }

    /// Figures for people: captured, acknowledged, refused entries.
    #[must_use]
    pub fn figures(&self) -> (usize, usize, usize) {
        let all = || self.phones.iter().flat_map(|known| &known.captured);
        let refused = all()
            .filter(|(_, own)| matches!(own.stage, Stage::Refused | Stage::DealtWith))
            .count();
        (all().count(), self.acknowledged.len(), refused)
    }
}

/// The records that were destroyed, as a whole, or (true) their private document alone.
#[derive(Debug, Default)]
struct Destroyed(BTreeSet<(RecordId, bool)>);

impl Destroyed {
    /// Whether an entry went with one.
    fn holds(&self, about: &About) -> bool {
        self.0.contains(&(about.record, false)) || (about.is_private && self.0.contains(&(about.record, true)))
    }

    fn holds_any_of(&self, record: RecordId) -> bool {
        self.0.contains(&(record, false)) || self.0.contains(&(record, true))
    }
}

fn entries(look: &StationLook) -> Result<BTreeMap<Hash, About>, Broken> {
    let accepted = look.accepted()?;
    if let Some((entry, (_, times))) = accepted.iter().find(|(_, (_, times))| *times != 1) {
        return Err(broken(format!("entry {entry} was accepted {times} times")));
    }
    Ok(accepted.into_iter().map(|(entry, (about, _))| (entry, about)).collect())
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

/// Whether it may when the station has accepted it since: what was refused outside the scope, or for want of something, may come again
/// from another copy of the phone when it fits.
fn may_be_taken_in_after_all(before: Stage, now: Stage) -> bool {
    matches!(before, Stage::Refused | Stage::DealtWith) && now == Stage::Acknowledged
}
