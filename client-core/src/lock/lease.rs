//! How long a phone may work without its station, whatever is done to its clock. Pure: what was seen of time before, what is seen now, and
//! what follows. Knows no files.
//!
//! Within one start of the phone the monotonic clock cannot be set; across a restart there is only the wall clock, and the highest time that it
//! ever showed. What went by is the greater of both. A phone that lay switched off, and whose clock was then set to just after it was
//! last seen, hides the time that it was off: no program on it can know better. The time that it is on counts in any case. A phone whose monotonic
//! clock stands still in its sleep is off in this sense while it sleeps: its wall clock counts that time, unless somebody sets it back
//! before the phone's app looks at it. A wall clock that runs ahead always ends a lease earlier, and never later.

use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::LEASE_MS;
use serde::{Deserialize, Serialize};

use crate::store::AHEAD_MS_MAX;

/// The shortest and the longest lease that a station may ask for.
const LEASE_MS_RANGE: std::ops::RangeInclusive<u64> = 60 * 60 * 1000..=90 * 24 * 60 * 60 * 1000;
/// A phone warns this long before the end, or a quarter of the lease where that is less.
const WARN_MS: u64 = 48 * 60 * 60 * 1000;
/// Finger and face open this long after the last PIN.
pub(super) const BIOMETRIC_MS: u64 = 72 * 60 * 60 * 1000;
/// A clock that a network corrected by so much between two starts was not set back. It counts as time that went by.
const SLACK_MS: u64 = 2 * 60 * 1000;

/// Why a lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseOver {
    /// Its time ran out.
    RanOut,
    /// The clock was set back while the phone was off: how much time went by cannot be known.
    ClockSetBack,
}

impl std::fmt::Display for LeaseOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RanOut => "this phone was too long without its station: go online once; what waits is kept",
            Self::ClockSetBack => "the phone's clock was set back: go online once; what waits is kept",
        })
    }
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Enough is left.
    Holds,
    /// It ends soon: say so.
    EndsSoon,
    /// Over: only the station reopens the records.
    Over(LeaseOver),
}

/// A lease as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// How it stands.
    pub state: LeaseState,
    /// Milliseconds that are left.
    pub left_ms: u64,
    /// When it ends if the phone's clock goes right, by the station's clock; none before the first contact.
    pub until: Option<UnixMillis>,
}

/// What the clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) wall: i64,
    pub(crate) boot: u64,
    pub(crate) monotonic_ms: u64,
}

/// What was seen of time so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TimeMarks {
    /// Time that went by since this began, as far as can be known: never less.
    pub(super) elapsed_ms: u64,
    /// Time that the phone was seen to be on: never more.
    pub(super) awake_ms: u64,
    /// `elapsed_ms` at the last contact.
    contact_at_ms: u64,
    /// `elapsed_ms` at the last PIN.
    pub(super) pin_at_ms: u64,
    /// The station's clock at the last contact; 0 before the first.
    pub(super) station_time: i64,
    lease_ms: u64,
    /// The highest wall time seen since the last contact.
    wall_max: i64,
    boot: u64,
    monotonic_ms: u64,
    /// The clock was set back across a restart since the last contact.
    is_doubtful: bool,
}

impl TimeMarks {
    pub(super) fn begin(now: Moment) -> Self {
        Self {
            elapsed_ms: 0,
            awake_ms: 0,
            contact_at_ms: 0,
            pin_at_ms: 0,
            station_time: 0,
            lease_ms: LEASE_MS,
            wall_max: now.wall,
            boot: now.boot,
            monotonic_ms: now.monotonic_ms,
            is_doubtful: false,
        }
    }

    /// Takes in what the clocks show now.
    pub(super) fn observe(&mut self, now: Moment) {
        let wall_ms = now.wall.saturating_sub(self.wall_max);
        let ahead_ms = u64::try_from(wall_ms).unwrap_or(0);
        let went_ms = if now.boot == self.boot {
            // It never runs backwards within one start; should it, the phone is not to be believed.
            self.is_doubtful |= now.monotonic_ms < self.monotonic_ms;
            let on_ms = now.monotonic_ms.saturating_sub(self.monotonic_ms);
            self.awake_ms = self.awake_ms.saturating_add(on_ms);
            on_ms.max(ahead_ms)
        } else {
            let behind_ms = u64::try_from(wall_ms.saturating_neg()).unwrap_or(0);
            self.is_doubtful |= behind_ms > SLACK_MS;
            self.awake_ms = self.awake_ms.saturating_add(now.monotonic_ms);
            let slack_ms = if behind_ms > 0 { SLACK_MS } else { 0 };
            now.monotonic_ms.max(ahead_ms).saturating_add(slack_ms)
        };
        self.elapsed_ms = self.elapsed_ms.saturating_add(went_ms);
        self.wall_max = self.wall_max.max(now.wall);
        self.boot = now.boot;
        self.monotonic_ms = now.monotonic_ms;
    }

    /// The station was heard, at a moment of this phone's clocks. An answer that is not newer than the last extends nothing, unless the last was
    /// said under a clock that was far ahead of whatever this phone showed since: such a one, set right, must not end the lease for good. The
    /// same answer never counts twice.
    pub(super) fn contact(&mut self, station_time: UnixMillis, lease_ms: u64, at: Moment, now: Moment) -> bool {
        self.observe(now);
        let was_ahead = self.station_time > self.wall_max.saturating_add(AHEAD_MS_MAX);
        if station_time.0 == self.station_time || (station_time.0 < self.station_time && !was_ahead) {
            return false;
        }
        let mut since = Self::begin(at);
        since.observe(now);
        self.station_time = station_time.0;
        self.last_for(lease_ms);
        // What went by since counts; what a wrong clock had shown before the contact does not.
        self.contact_at_ms = self.elapsed_ms.saturating_sub(since.elapsed_ms);
        self.wall_max = since.wall_max;
        self.is_doubtful = since.is_doubtful;
        true
    }

    /// How long a lease lasts, as the station told it last.
    pub(super) const fn lease_ms(&self) -> u64 {
        self.lease_ms
    }

    /// A lease lasts as long as the station said; it ends by when the station was heard, as before.
    pub(super) fn last_for(&mut self, lease_ms: u64) {
        self.lease_ms = lease_ms.clamp(*LEASE_MS_RANGE.start(), *LEASE_MS_RANGE.end());
    }

    /// How the lease stands by what was seen last.
    pub(super) fn lease(&self) -> Lease {
        let spent_ms = self.elapsed_ms.saturating_sub(self.contact_at_ms);
        let left_ms = self.lease_ms.saturating_sub(spent_ms);
        let state = if self.is_doubtful {
            LeaseState::Over(LeaseOver::ClockSetBack)
        } else if left_ms == 0 {
            LeaseState::Over(LeaseOver::RanOut)
        } else if left_ms <= WARN_MS.min(self.lease_ms / 4) {
            LeaseState::EndsSoon
        } else {
            LeaseState::Holds
        };
        let is_over = matches!(state, LeaseState::Over(_));
        let until = UnixMillis(self.station_time).plus(i64::try_from(self.lease_ms).unwrap_or(i64::MAX));
        Lease {
            state,
            left_ms: if is_over { 0 } else { left_ms },
            until: (self.station_time > 0).then_some(until),
        }
    }
}
