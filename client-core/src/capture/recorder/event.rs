//! What a recorder is told, what it answers, and how it counts. Decides nothing.

use beatbook_protocol::track::{Fix, GapReason};
use serde::{Deserialize, Serialize};

/// What happens to a recorder. The caller writes each down before or with applying it, so that nothing is lost with the process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum TrackEvent {
    /// A position came in.
    Fix(Fix),
    /// Positions will not come, and why. `Paused` lasts until `Resumed`; any other reason until the next fix.
    Broke(GapReason),
    /// The officer went on after a pause.
    Resumed,
}

/// What became of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is on the track.
    Kept,
    /// Later fixes decide: it lies near the last kept one, may be a jump, or came late. The counts tell in the end.
    Held,
    /// It is not on the track.
    Dropped(DropReason),
}

/// Why a fix was dropped at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Another fix bears the same time: receivers repeat themselves.
    SameTime,
    /// Its place or time cannot be.
    OutOfRange,
    /// It is vaguer than the settings allow.
    Inaccurate,
    /// The patrol is paused: nothing is recorded.
    Paused,
}

/// What became of all fixes. `fixes_in` is the sum of the others and of the few that are still held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecorderCounts {
    /// All that came in.
    pub fixes_in: u64,
    /// On the track.
    pub kept: u64,
    /// Dropped because a kept fix lies within the near radius.
    pub represented: u64,
    /// Dropped as lone jumps.
    pub jumps: u64,
    /// Dropped for bearing the time of another.
    pub same_time: u64,
    /// Dropped for coming late, after fixes of a later time.
    pub out_of_order: u64,
    /// Dropped as vaguer than the settings allow.
    pub inaccurate: u64,
    /// Dropped as impossible.
    pub out_of_range: u64,
    /// Dropped while paused.
    pub while_paused: u64,
}
