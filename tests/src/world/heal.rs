//! The end of a world: all faults end, every phone must come to rest in time, and all must agree. Breaks nothing any more.

use beatbook_client_core::sync::Budget;
use beatbook_protocol::id::Hash;

use super::invariants::Shown;
use super::network::Faults;
use super::run::World;
use super::{Broken, broken, invariants};

/// A healed phone has this long to sync, milliseconds.
const HEALED_MS: i64 = 30_000;
/// Steps from the end of a book to the first sync of the next one: parting, a code, enrolment, sync.
const NEW_BOOK_STEPS: u32 = 4;
/// Times that all phones sync at most until the ledger grows no more.
const ROUNDS_MAX: u32 = 5;

impl World {
    /// Ends all faults; after that every phone must come to rest in time, and all must agree.
    pub(super) fn heal(&mut self) -> Result<(), Broken> {
        self.trace.say(format_args!("healing"));
        self.station.fuse = 0;
        self.line.faults = Faults::default();
        self.station.come_back()?;
        while self.line.holds_one() {
            self.line.let_arrive(&mut self.draw, &mut self.trace, &mut self.station);
        }
        for at in 0..self.phones.len() {
            let phone = self.phones.get_mut(at).ok_or_else(|| broken("no such phone"))?;
            if phone.is_full() {
                phone.fill_disk(None)?;
            }
            for _ in 0..3 {
                if self.phones.get(at).is_some_and(|phone| phone.code.is_some()) {
                    self.sync(at, Budget::default())?;
                }
            }
        }
        // Until nobody brings anything any more. Usually once to bring and once to fetch what the others brought; what a restored station
        // lost may need something that another phone gives back.
        for _ in 0..ROUNDS_MAX {
            let before = self.leaves()?;
            for at in 0..self.phones.len() {
                self.rest(at)?;
            }
            if self.leaves()? == before {
                return self.judge();
            }
        }
        Err(broken("the phones do not come to rest"))
    }

    fn leaves(&self) -> Result<u64, Broken> {
        self.station.look().ok_or_else(|| broken("the station is gone"))?.leaves()
    }

    fn rest(&mut self, at: usize) -> Result<(), Broken> {
        let began = self.time.now();
        let mut synced = self.sync(at, Budget::default())?;
        // Its book ended, or a restored station did not know it: it parts with what it has, gets a code and a book, and syncs.
        for _ in 0..NEW_BOOK_STEPS {
            let phone = self.phones.get(at).ok_or_else(|| broken("no such phone"))?;
            if synced.is_none() || phone.has_no_book() || phone.has_ended()? {
                synced = self.sync(at, Budget::default())?;
            }
        }
        let phone = self.phones.get(at).ok_or_else(|| broken("no such phone"))?;
        let took = self.time.now() - began;
        match synced.and_then(|synced| synced.report) {
            // What waits for something that another phone gives back is judged at the end.
            Some(report) if (report.complete || report.fault.is_none()) && took <= HEALED_MS => {}
            Some(report) => return Err(broken(format!("{} is stuck: {took} ms, {report:?}", phone.name))),
            None => return Err(broken(format!("{} cannot sync on a sound line", phone.name))),
        }
        self.look(at)
    }

    fn judge(&mut self) -> Result<(), Broken> {
        let look = self.station.look().ok_or_else(|| broken("the station is gone"))?;
        let station = self.station.station().ok_or_else(|| broken("the station is gone"))?;
        self.model.see_station(look, self.phones.iter().map(|phone| phone.user))?;
        if let Some(entry) = self.model.lost().first() {
            return Err(broken(format!("acknowledged entry {entry} is not at the station")));
        }
        self.model.has_what_was_handed_in(look)?;
        let standings = look.standings()?;
        let mut shown = Shown::by(station, self.station.chief());
        for (number, phone) in self.phones.iter().enumerate() {
            if !invariants::says_no_more_than_is_true(phone)? {
                return Err(broken(format!("{} does not come to say that it is synced", phone.name)));
            }
            invariants::holds_what_the_station_holds(phone, look, &self.model)?;
            invariants::shows_the_same(phone, &mut shown, look)?;
            invariants::shows_what_was_refused(phone, number, &self.model)?;
        }
        invariants::station_is_in_order(station, self.plan.rebuilds)?;
        for (record, stands) in &standings {
            self.trace.say(format_args!("end: {record} {stands}"));
        }
        // Every row as text, for two runs of the seed to be compared; nobody else looks at it.
        if self.plan.runs_twice {
            let dump = station.dump().map_err(|fault| broken(fault.to_string()))?;
            self.trace.say(format_args!("dump {}", Hash::of(&[dump.as_bytes()])));
        }
        Ok(())
    }
}
