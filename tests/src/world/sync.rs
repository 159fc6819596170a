//! One sync of one phone over the world's line, driven by hand: no threads, no waiting but in the world's own time. Judges which faults a
//! phone may report when the line was bad, and which never.

use beatbook_client_core::Core;
use beatbook_client_core::CoreError;
use beatbook_client_core::sync::{Budget, EnrolError, Enrolment, Step, StoreVault, SyncError, SyncMachine, SyncReport};
use beatbook_protocol::id::{RecordId, UserId};

use super::device::{Device, Time};
use super::network::Line;
use super::officer::{Officer, is_an_answer};
use super::plan::Deed;
use super::station::StationSide;
use super::trace::Trace;
use super::{Broken, broken};
use crate::seeded::Seeded;

/// What lies between a phone and the station, and the station.
#[derive(Debug)]
pub struct Way<'w> {
    /// The line.
    pub line: &'w mut Line,
    /// The station.
    pub station: &'w mut StationSide,
    /// What decides.
    pub draw: &'w mut Seeded,
    /// The story.
    pub trace: &'w mut Trace,
    /// True time.
    pub time: Time,
    /// Whether the chief may act, and the phone's officer write, while a reply is under way.
    pub is_busy: bool,
    /// Records of which an entry was promised by calls meanwhile.
    pub promised: Vec<RecordId>,
}

/// Whose phone it is that syncs.
#[derive(Debug, Clone)]
pub struct Whose {
    /// The officer.
    pub user: UserId,
    /// His phone's device.
    pub device: Device,
    /// Whether its disk is full.
    pub is_full: bool,
}

/// How a sync went.
#[derive(Debug)]
pub struct Synced {
    /// What the phone says of it; none when it gave up on a message that it could not believe.
    pub report: Option<SyncReport>,
    /// Whether nothing happened at the station after the last reply left it.
    pub is_fresh: bool,
}

impl Way<'_> {
    /// Syncs a core until it says that it is done.
    ///
    /// # Errors
    /// When the phone reports what it never may.
    pub fn sync(&mut self, core: &Core, whose: &Whose, budget: Budget) -> Result<Synced, Broken> {
        let Whose { device, is_full, .. } = whose;
        let is_full = *is_full;
        let vault = StoreVault(core);
        let mut machine = match SyncMachine::open(core, &vault, budget) {
            Ok(machine) => machine,
            Err(fault) => return judge(fault, true, is_full),
        };
        let (mut is_sound, mut is_fresh) = (true, true);
        for _ in 0..STEPS_MAX {
            match machine.next(device.wall()) {
                Err(fault) => return judge(fault, is_sound, is_full),
                Ok(Step::Done(report)) => {
                    return Ok(Synced {
                        report: Some(report),
                        is_fresh,
                    });
                }
                Ok(Step::Wait { until, why }) => {
                    self.trace.say(format_args!("  waits: {why}"));
                    self.time.pass(until.since(device.wall()).max(1));
                }
                Ok(Step::Send(request)) => {
                    self.pass(200);
                    let (outcome, sound) = self.line.carry(self.draw, self.trace, self.station, &request);
                    is_sound &= sound;
                    is_fresh = true;
                    if self.is_busy && self.draw.below(12) == 0 {
                        self.station.chief_acts(self.draw, self.trace)?;
                        is_fresh = false;
                    }
                    if self.is_busy && self.draw.below(12) == 0 {
                        self.write_meanwhile(core, whose)?;
                    }
                    self.pass(200);
                    if let Err(fault) = machine.receive(device.wall(), outcome) {
                        return judge(fault, is_sound, is_full);
                    }
                }
            }
        }
        Err(broken("a sync that never ends"))
    }

    fn write_meanwhile(&mut self, core: &Core, whose: &Whose) -> Result<(), Broken> {
        let mut officer = Officer {
            core,
            draw: self.draw,
            me: whose.user,
            now: whose.device.wall(),
            promised: &mut self.promised,
            dealt_with: &mut Vec::new(),
        };
        match officer.does(Deed::Edit) {
            Ok(did) => self.trace.say(format_args!("  meanwhile {did}")),
            Err(error) if is_an_answer(&error, whose.is_full) => self.trace.say(format_args!("  meanwhile {error}")),
            Err(error) => return Err(broken(format!("in a sync: {error} ({error:?})"))),
        }
        Ok(())
    }

    /// Enrols a core by a code. Says whether it came about.
    ///
    /// # Errors
    /// When the phone reports what it never may.
    pub fn enrol(&mut self, core: &Core, code: &str, is_full: bool) -> Result<Enrolling, Broken> {
        let enrolment = match Enrolment::begin(core, &StoreVault(core), code, "模拟手机") {
            Ok(enrolment) => enrolment,
            Err(fault) => return judge(fault, true, is_full).map(|_| Enrolling::Again),
        };
        self.pass(200);
        let (outcome, sound) = self.line.carry(self.draw, self.trace, self.station, &enrolment.request());
        self.pass(200);
        match enrolment.finish(core, outcome) {
            Ok(_) => Ok(Enrolling::Done),
            Err(EnrolError::Code(_)) => Ok(Enrolling::NewCode),
            Err(EnrolError::Network(_)) => Ok(Enrolling::Again),
            Err(EnrolError::Refused { .. }) if !sound => Ok(Enrolling::Again),
            Err(EnrolError::Sync(fault)) => judge(fault, sound, is_full).map(|_| Enrolling::Again),
            Err(
                fault @ (EnrolError::Refused { .. }
                | EnrolError::UpgradeRequired
                | EnrolError::Untrusted(_)
                | EnrolError::OtherStation),
            ) => Err(broken(format!("an enrolment: {fault}"))),
        }
    }

    pub(super) fn pass(&mut self, most: u64) {
        self.time.pass(i64::try_from(20 + self.draw.below(most)).unwrap_or(20));
    }
}

/// Steps that no sync needs.
pub(super) const STEPS_MAX: u32 = 3_000;

/// What came of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolling {
    /// The phone has its book.
    Done,
    /// Once more with the same code.
    Again,
    /// The code has run out.
    NewCode,
}

/// A fault that ends a sync: only what the line or the disk did may be the reason.
pub(super) fn judge(fault: SyncError, is_sound: bool, is_full: bool) -> Result<Synced, Broken> {
    let may_be = match &fault {
        SyncError::Reply(_) => !is_sound,
        SyncError::Core(CoreError::StorageFull) => is_full,
        SyncError::NotEnrolled | SyncError::StationChanged(_) | SyncError::Key(_) | SyncError::KeyLost | SyncError::Core(_) => {
            false
        }
    };
    if may_be {
        Ok(Synced {
            report: None,
            is_fresh: false,
        })
    } else {
        Err(broken(format!("a sync: {fault}")))
    }
}
