//! Time as data. Nothing here reads a clock: the caller says what time it is, and how sure he is.

use minicbor::{Decode, Encode};

use crate::ledger::Position;

/// Milliseconds since 1970-01-01T00:00:00Z, by whichever clock the context names.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct UnixMillis(#[n(0)] pub i64);

impl UnixMillis {
    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time moved by some milliseconds; stays at the ends of the range instead of wrapping.
    #[must_use]
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What a phone knew of time when it sealed a page. A wall clock may lie; the monotonic clock within one boot does not, and the
/// newest checkpoint seen proves that the page is not older than it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stamp {
    /// The wall clock.
    #[n(0)]
    pub wall: UnixMillis,
    /// A random number drawn at each boot of the phone (or start of the process where the platform hides the boot).
    #[n(1)]
    pub boot: u64,
    /// Milliseconds on the monotonic clock since that boot.
    #[n(2)]
    pub monotonic: u64,
    /// The newest checkpoint of the station's ledger that the phone had verified; none before its first exchange.
    #[n(3)]
    pub checkpoint: Option<Position>,
}
