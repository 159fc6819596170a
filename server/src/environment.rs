//! Where the station's time and randomness come from. Everything else receives them from here, so that a simulation can give its own.

use std::fmt::Debug;
use std::sync::Arc;

use beatbook_protocol::time::UnixMillis;

/// The station's wall clock.
pub trait Clock: Send + Sync + Debug {
    /// What time it is.
    fn now(&self) -> UnixMillis;
}

/// The station's source of randomness.
pub trait Randomness: Send + Sync + Debug {
    /// Fills the bytes.
    ///
    /// # Errors
    /// When the source gives nothing; nothing may then be signed or issued.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), std::io::Error>;
}

/// Is told of the steps between which a crash must lose nothing and double nothing.
pub trait Steps: Send + Sync + Debug {
    /// The station has come to this step. A simulation may end it here; nothing else happens.
    fn passes(&self, step: &'static str);
}

/// What a station needs of the world around it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Randomness>,
    /// Who is told of its steps.
    pub steps: Arc<dyn Steps>,
}

impl Environment {
    /// The operating system's clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandomness),
            steps: Arc::new(Unwatched),
        }
    }

    /// Random bytes.
    ///
    /// # Errors
    /// Those of the source.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], std::io::Error> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), std::io::Error> {
        getrandom::fill(bytes).map_err(std::io::Error::other)
    }
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Steps for Unwatched {
    fn passes(&self, _step: &'static str) {}
}
