//! One world from its first deed to its healing, as its seed decides.

use std::fs;
use std::path::{Path, PathBuf};

use beatbook_client_core::sync::{Budget, SyncFault};
use beatbook_protocol::id::Hash;
use beatbook_protocol::kind::Catalogue;

use super::device::{Device, Time, sequence};
use super::invariants;
use super::model::Model;
use super::network::{Faults, Line};
use super::officer::{Officer, is_an_answer};
use super::phone::PhoneSide;
use super::plan::{Deed, Plan};
use super::station::StationSide;
use super::sync::{Synced, Way};
use super::template::{Template, phone_folder};
use super::trace::Trace;
use super::{Broken, broken};
use crate::seeded::Seeded;

/// Days that a phone's clock may be wrong by.
const SKEW_DAYS: u64 = 40;

/// How a world ended.
#[derive(Debug)]
pub struct Ran {
    /// The hash over its story and its end.
    pub hash: Hash,
    /// Entries captured, acknowledged, refused.
    pub figures: (usize, usize, usize),
    /// What did not hold, after which lines of the story.
    pub failure: Option<(Broken, Vec<String>)>,
}

/// One world as it stands.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) draw: Seeded,
    pub(super) time: Time,
    pub(super) station: StationSide,
    pub(super) phones: Vec<PhoneSide>,
    pub(super) line: Line,
    pub(super) model: Model,
    pub(super) trace: Trace,
    pub(super) dir: PathBuf,
    /// Where an empty file lies.
    pub(super) empty: PathBuf,
    pub(super) seed: u64,
}

/// Runs the world of a seed in a new folder, which goes with it. `is_told` tells its story aloud.
///
/// # Errors
/// When the world cannot be made; what does not hold in it is in [`Ran`].
pub fn run(template: &Template, dir: &Path, seed: u64, is_told: bool) -> Result<Ran, Broken> {
    let plan = Plan::of(seed);
    template.copy(dir, plan.phones)?;
    let time = Time::beginning();
    // The template's first minutes are over.
    time.pass(60_000);
    let mut draw = sequence(seed, "world");
    let device = Device::new(&time, 0, sequence(seed, "station"));
    let station = StationSide::open(
        dir,
        device,
        (template.chief.clone(), template.units.clone()),
        plan.station_fuse,
    )?;
    let mut phones = Vec::new();
    for (number, user) in template.users.iter().enumerate().take(plan.phones) {
        let device = phone_device(&time, seed, number, &mut draw);
        phones.push(PhoneSide::open(
            &phone_folder(dir, number),
            format!("phone {number}"),
            *user,
            device,
        )?);
    }
    let line = Line::new(plan.faults);
    let mut world = World {
        plan,
        draw,
        time,
        station,
        phones,
        line,
        model: Model::default(),
        trace: Trace::new(is_told),
        dir: dir.to_owned(),
        empty: template.empty(),
        seed,
    };
    let ended = world.live().and_then(|()| world.heal());
    let ran = Ran {
        hash: world.trace.hash(),
        figures: world.model.figures(),
        failure: ended.err().map(|fault| (fault, world.trace.last().to_vec())),
    };
    drop(world);
    fs::remove_dir_all(dir)?;
    Ok(ran)
}

pub(super) fn phone_device(time: &Time, seed: u64, number: usize, draw: &mut Seeded) -> Device {
    Device::new(time, skew(draw), sequence(seed, &format!("phone {number}")))
}

/// How far a phone's clock is off: mostly seconds, sometimes days.
fn skew(draw: &mut Seeded) -> i64 {
    let most = if draw.below(3) == 0 { SKEW_DAYS * 86_400_000 } else { 90_000 };
    i64::try_from(draw.below(2 * most)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
}

impl World {
    fn live(&mut self) -> Result<(), Broken> {
        for number in 0..self.plan.deeds {
            let deed = self.plan.next(&mut self.draw);
            let at = usize::try_from(self.draw.below(self.phones.len() as u64)).unwrap_or(0);
            self.time
                .pass(i64::try_from(1_000 + self.draw.below(600_000)).unwrap_or(1_000));
            let now = self.time.now();
            self.trace.say(format_args!("{number} {now} {deed:?} {at}"));
            // Whoever looks after the station notices before long.
            if !self.station.is_open() && self.draw.below(4) == 0 {
                self.station.come_back()?;
                // What it took in before it died is seen before anything else happens.
                self.look(at)?;
            }
            self.happens(deed, at)?;
            self.look(at)?;
        }
        Ok(())
    }

    fn happens(&mut self, deed: Deed, at: usize) -> Result<(), Broken> {
        let Self {
            draw,
            trace,
            station,
            phones,
            ..
        } = self;
        let phone = phones.get_mut(at).ok_or_else(|| broken("no such phone"))?;
        match deed {
            Deed::Open | Deed::Edit | Deed::Act | Deed::Patrol | Deed::Settle | Deed::TakeUp => self.work(deed, at),
            Deed::Sync => self.sync_somehow(at),
            Deed::KillPhone => phone.kill().and_then(|()| phone.start()),
            Deed::ClosePhone => {
                phone.close();
                phone.start()
            }
            Deed::PhoneDisk => {
                let room = (!phone.is_full()).then(|| u32::try_from(draw.below(12)).unwrap_or(0));
                trace.say(format_args!("  room: {room:?}"));
                phone.fill_disk(room)
            }
            Deed::SetClock => {
                phone.device.set_skew(skew(draw));
                Ok(())
            }
            Deed::LoseToken => phone.lose_token(),
            Deed::Enrol => self.enrol_one_more(at),
            Deed::KillStation if station.is_open() && draw.below(2) == 0 => station.kill(),
            Deed::KillStation => station.come_back(),
            Deed::ChiefActs => station.chief_acts(draw, trace),
            Deed::ChiefSettles => station.chief_settles(draw, trace),
            Deed::Backup => station.back_up(draw, trace),
            Deed::RaiseKind => raised(draw).and_then(|file| station.raise_kind(file)),
            Deed::Stray => {
                self.line.let_arrive(draw, trace, station);
                Ok(())
            }
            Deed::Pass => {
                let hours = 1 + self.draw.below(240);
                self.time.pass(i64::try_from(hours * 3_600_000).unwrap_or(0));
                Ok(())
            }
            Deed::RestorePhone => {
                if phone.go_back()? {
                    self.model.phone_began_anew(at, phone.look()?)?;
                }
                phone.keep_copy()
            }
            Deed::ClonePhone => self.clone_phone(at),
            Deed::RestoreStation => {
                if station.has_no_backup() {
                    return station.back_up(draw, trace);
                }
                if station.restore(draw, trace)?
                    && let Some(look) = station.look()
                {
                    self.model.station_began_anew(look)?;
                    self.model.see_scopes(look, phones.iter().map(|phone| phone.user))?;
                }
                Ok(())
            }
            Deed::MoveUser => station.move_somebody(draw, trace, phone.user),
            Deed::Grant => station.grant(draw, trace, phone.user),
            Deed::Membership => station.lend(draw, trace, phone.user),
            Deed::Destroy => station.destroy(draw, trace),
            Deed::EndBook => station.end_book(draw, trace, phone.user),
            Deed::Decide => station.decide(draw, trace),
        }
    }

    /// What must hold after every deed.
    pub(super) fn look(&mut self, at: usize) -> Result<(), Broken> {
        if let Some(look) = self.station.look() {
            self.model.see_station(look, self.phones.iter().map(|phone| phone.user))?;
        }
        let phone = self.phones.get(at).ok_or_else(|| broken("no such phone"))?;
        self.model.see_phone(at, phone, self.station.is_open())?;
        invariants::says_no_more_than_is_true(phone).map(|_| ())
    }

    fn work(&mut self, deed: Deed, at: usize) -> Result<(), Broken> {
        let Self {
            draw,
            trace,
            phones,
            plan,
            ..
        } = self;
        let phone = phones.get_mut(at).ok_or_else(|| broken("no such phone"))?;
        if phone.has_ended()? || !phone.is_enrolled()? {
            return Ok(());
        }
        phone.endanger(draw, plan.phone_fuse);
        let (me, now, is_full) = (phone.user, phone.device.wall(), phone.is_full());
        let (mut promised, mut dealt_with) = (Vec::new(), Vec::new());
        let did = phone.unless_killed(|core| {
            let (promised, dealt_with) = (&mut promised, &mut dealt_with);
            Officer {
                core,
                draw,
                me,
                now,
                promised,
                dealt_with,
            }
            .does(deed)
        })?;
        self.model.promise(at, promised);
        self.model.dealt_with(at, dealt_with);
        match did {
            None => trace.say(format_args!("  {}: killed at work", phone.name)),
            Some(Ok(did)) => trace.say(format_args!("  {}: {did}", phone.name)),
            Some(Err(error)) if is_an_answer(&error, is_full) => trace.say(format_args!("  {}: {error}", phone.name)),
            Some(Err(error)) => return Err(broken(format!("{}, {deed:?}: {error} ({error:?})", phone.name))),
        }
        Ok(())
    }

    fn sync_somehow(&mut self, at: usize) -> Result<(), Broken> {
        let sizes = [600, 5_000, 2 * 1024 * 1024];
        let draw = &mut self.draw;
        let phone = self.phones.get(at).ok_or_else(|| broken("no such phone"))?;
        let seconds = i64::try_from(5 + draw.below(120)).unwrap_or(5);
        let budget = Budget {
            bytes_up_max: *draw.pick(&sizes).unwrap_or(&5_000),
            feed_bytes_max: (draw.below(2) == 0).then(|| u32::try_from(200 + draw.below(6_000)).unwrap_or(200)),
            requests_max: 1 + u32::try_from(draw.below(12)).unwrap_or(1),
            failures_max: 1 + u32::try_from(draw.below(4)).unwrap_or(1),
            deadline: Some(phone.device.wall().plus(seconds * 1_000)),
        };
        phone.endanger(draw, self.plan.phone_fuse);
        self.sync(at, budget)?;
        Ok(())
    }

    /// Syncs a phone; or parts with its book when that has ended, or enrols it first. None when it was killed, or did not come to a sync.
    pub(super) fn sync(&mut self, at: usize, budget: Budget) -> Result<Option<Synced>, Broken> {
        let phone = self.phones.get_mut(at).ok_or_else(|| broken("no such phone"))?;
        if phone.code.is_none() && phone.has_ended()? {
            return self.part(at).map(|()| None);
        }
        if phone.has_no_book() {
            return self.enrol(at).map(|()| None);
        }
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
        let synced = phone.unless_killed(|core| way.sync(core, &whose, budget))?.transpose();
        self.model.promise(at, std::mem::take(&mut way.promised));
        let synced = synced?;
        let Some(synced) = synced else {
            trace.say(format_args!("  {}: killed in a sync", phone.name));
            return Ok(None);
        };
        let report = synced.report.clone().unwrap_or_default();
        trace.say(format_args!(
            "  {}: {} requests, {} accepted, {} refused, {} of others, complete {}, {:?}",
            phone.name, report.requests, report.accepted, report.refused, report.feed_entries, report.complete, report.fault
        ));
        for event in &report.events {
            trace.say(format_args!("    {event:?}"));
        }
        if report.fault == Some(SyncFault::UnknownBook)
            && let Some((user, code)) = station.code(draw, trace, Some(phone.user))?
        {
            (phone.user, phone.code) = (user, Some(code));
        }
        if report.complete && synced.is_fresh {
            self.look(at)?;
            let phone = self.phones.get(at).ok_or_else(|| broken("no such phone"))?;
            if let Some(look) = self
                .station
                .look()
                .filter(|_| invariants::says_no_more_than_is_true(phone) == Ok(true))
            {
                invariants::holds_what_the_station_holds(phone, look, &self.model)?;
                self.model.phone_caught_up(at);
            }
        }
        Ok(Some(synced))
    }
}

pub(super) fn way<'w>(
    line: &'w mut Line,
    station: &'w mut StationSide,
    draw: &'w mut Seeded,
    trace: &'w mut Trace,
    time: &Time,
) -> Way<'w> {
    let is_busy = line.faults != Faults::default();
    Way {
        line,
        station,
        draw,
        trace,
        time: time.clone(),
        is_busy,
        promised: Vec::new(),
    }
}

/// A file that raises some kind to its next version: one more field.
fn raised(draw: &mut Seeded) -> Result<(String, String), Broken> {
    let builtin = Catalogue::builtin().map_err(|fault| broken(fault.to_string()))?;
    let code = *draw.pick(&["visit", "household", "incident"]).unwrap_or(&"visit");
    let kind = builtin.newest(code).ok_or_else(|| broken("no such kind"))?;
    let field = "[[field]]\ncode = \"remark\"\nlabel = { zh = \"说明\", en = \"Remark\" }\ntype = \"text\"\npurpose = \"To say more.\"\n\n";
    let text =
        kind.source()
            .replacen("version = 1", "version = 2", 1)
            .replacen("[workflow]\n", &format!("{field}[workflow]\n"), 1);
    Ok((format!("{code}-2.toml"), text))
}
