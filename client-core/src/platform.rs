//! What the core takes from the device it runs on: clocks and randomness. A simulation brings its own.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use beatbook_protocol::id::{ActorId, ItemId, RecordId};
use beatbook_protocol::time::UnixMillis;

/// The device's clocks.
pub trait Clock: Send + Sync {
    /// The wall clock, which may lie and jump.
    fn wall(&self) -> UnixMillis;
    /// Milliseconds since the boot that [`Clock::boot`] names; never runs backwards. A platform's clock that also counts while the device sleeps is
    /// the one to take (Android: `SystemClock.elapsedRealtime`; Linux: `CLOCK_BOOTTIME`; iOS: `mach_continuous_time`). Time that is not counted
    /// here counts for a lease by the wall clock alone.
    fn monotonic_ms(&self) -> u64;
    /// A number drawn at each boot, or at the start of the process where the platform hides the boot.
    fn boot(&self) -> u64;
}

/// The device's source of unguessable bytes.
pub trait Randomness: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// All that the core takes from the device.
pub struct Platform {
    /// Clocks.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub random: Box<dyn Randomness>,
}

impl Platform {
    /// This device's own clocks and randomness.
    ///
    /// # Errors
    /// When the operating system gives no randomness; nothing may be sealed without it.
    pub fn system() -> Result<Self, getrandom::Error> {
        let system = SystemPlatform::start()?;
        Ok(Self {
            clock: Box::new(system),
            random: Box::new(system),
        })
    }

    /// A new record's id.
    pub(crate) fn record_id(&self) -> RecordId {
        RecordId::from_parts(self.clock.wall(), self.bytes())
    }

    /// A new list item's id.
    pub(crate) fn item_id(&self) -> ItemId {
        ItemId::from_parts(self.clock.wall(), self.bytes())
    }

    /// A new author mark for documents.
    pub(crate) fn actor_id(&self) -> ActorId {
        ActorId::from_bytes(self.bytes())
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}

/// A device's clocks and randomness, for several cores at once: each user's file takes its own [`Platform`].
#[derive(Clone)]
pub(crate) struct SharedPlatform {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
}

impl SharedPlatform {
    pub(crate) fn of(platform: Platform) -> Self {
        Self {
            clock: Arc::from(platform.clock),
            random: Arc::from(platform.random),
        }
    }

    /// The same device, for one core.
    pub(crate) fn platform(&self) -> Platform {
        Platform {
            clock: Box::new(self.clone()),
            random: Box::new(self.clone()),
        }
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}

impl Clock for SharedPlatform {
    fn wall(&self) -> UnixMillis {
        self.clock.wall()
    }

    fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    fn boot(&self) -> u64 {
        self.clock.boot()
    }
}

impl Randomness for SharedPlatform {
    fn fill(&self, buffer: &mut [u8]) {
        self.random.fill(buffer);
    }
}

impl fmt::Debug for SharedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedPlatform")
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Platform")
    }
}

/// The clocks and the randomness of the operating system, for desktops and tests. Its monotonic clock may stand still while the device sleeps,
/// and each start of the process is a boot to it: an app on a phone brings its own [`Clock`].
#[derive(Debug, Clone, Copy)]
pub struct SystemPlatform {
    boot: u64,
    started: Instant,
}

impl SystemPlatform {
    /// Begins to count time, under a new boot number.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    #[expect(clippy::disallowed_methods, reason = "the one place where the device's own clock is read")]
    pub fn start() -> Result<Self, getrandom::Error> {
        let mut boot = [0; 8];
        getrandom::fill(&mut boot)?;
        Ok(Self {
            boot: u64::from_be_bytes(boot),
            started: Instant::now(),
        })
    }
}

impl Clock for SystemPlatform {
    #[expect(clippy::disallowed_methods, reason = "the one place where the device's own clock is read")]
    fn wall(&self) -> UnixMillis {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn boot(&self) -> u64 {
        self.boot
    }
}

impl Randomness for SystemPlatform {
    fn fill(&self, buffer: &mut [u8]) {
        // It answered when this was made; systems that answer once go on answering. Should it fail, stopping is the only honest way:
        // a page sealed with known bytes would show what its salts hide.
        if getrandom::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}
