//! The end of a phone's book in a world: what waits is handed in over the world's line, keys and records are destroyed, the station is told, and
//! the phone is an empty one that is to be enrolled again. Judges what must have reached the station by then.

use beatbook_client_core::Core;
use beatbook_client_core::ended::{LastWord, Parting, PartingStep};
use beatbook_client_core::sync::StoreVault;

use super::look::Stage;
use super::run::{World, way};
use super::sync::{STEPS_MAX, Way, Whose, judge};
use super::{Broken, broken};

/// Ends after which a phone waits for its station for as long as it takes; after the others it parts a day later without having handed in.
const IN_GOOD_HANDS: [&str; 2] = ["retired", "transferred"];

impl World {
    /// Parts with the book of a phone that has heard of its end, unless the station cannot be asked now: then it goes on another time.
    pub(super) fn part(&mut self, at: usize) -> Result<(), Broken> {
        let Self {
            draw,
            trace,
            station,
            phones,
            line,
            time,
            ..
        } = self;
        let phone = phones.get_mut(at).ok_or_else(|| broken("no such phone"))?;
        let whose = phone.whose();
        let mut way = way(line, station, draw, trace, time);
        let parted = phone.unless_killed(|core| way.hand_in(core, &whose))?.transpose()?;
        let Some(word) = parted.flatten() else {
            if phone.is_unknown()?
                && let Some((user, code)) = station.code(draw, trace, Some(phone.user))?
            {
                (phone.user, phone.code) = (user, Some(code));
            }
            return Ok(());
        };
        let own = phone.look()?.own()?;
        let waited = own.into_iter().filter(|(_, own)| own.stage == Stage::Waiting);
        let waited = waited.map(|(entry, own)| (entry, own.about)).collect();
        let mut farewell = phone.shred(word)?;
        let said = farewell.said().clone();
        way.trace.say(format_args!("  {}: parted, {said:?}", phone.name));
        if let Some(request) = farewell.request() {
            let (outcome, _) = way.line.carry(way.draw, way.trace, way.station, &request);
            farewell
                .receive(&outcome)
                .map_err(|fault| broken(format!("{}: the last word: {fault}", phone.name)))?;
        }
        phone.begin_empty(&self.empty)?;
        if said.lost_entries == 0 || IN_GOOD_HANDS.contains(&said.why.as_str()) {
            self.model.handed_in(waited);
        }
        if let Some(look) = self.station.look() {
            self.model.has_what_was_handed_in(look)?;
        }
        self.model.phone_began_anew(at, phone.look()?)
    }
}

impl Way<'_> {
    /// Hands in what waits; none when it cannot be done now.
    fn hand_in(&mut self, core: &Core, whose: &Whose) -> Result<Option<LastWord>, Broken> {
        let mut is_sound = true;
        let mut parting = match Parting::open(core, &StoreVault(core)) {
            Ok(Some(parting)) => parting,
            Ok(None) => return Err(broken("a parting of a book that is written in")),
            Err(fault) => return judge(fault, true, whose.is_full).map(|_| None),
        };
        for _ in 0..STEPS_MAX {
            let step = match parting.next(whose.device.wall()) {
                Ok(step) => step,
                Err(fault) => return judge(fault, is_sound, whose.is_full).map(|_| None),
            };
            match step {
                PartingStep::Later(why) => {
                    self.trace.say(format_args!("  parts later: {why}"));
                    return Ok(None);
                }
                PartingStep::Ready => {
                    let word = parting.last_word(whose.device.wall());
                    return word.map(Some).map_err(|fault| broken(format!("no last word: {fault}")));
                }
                PartingStep::Wait { until, why } => {
                    self.trace.say(format_args!("  waits: {why}"));
                    self.time.pass(until.since(whose.device.wall()).max(1));
                }
                PartingStep::Send(request) => {
                    self.pass(200);
                    let (outcome, sound) = self.line.carry(self.draw, self.trace, self.station, &request);
                    is_sound &= sound;
                    self.pass(200);
                    if let Err(fault) = parting.receive(whose.device.wall(), outcome) {
                        return judge(fault, is_sound, whose.is_full).map(|_| None);
                    }
                }
            }
        }
        Err(broken("a parting that never ends"))
    }
}
