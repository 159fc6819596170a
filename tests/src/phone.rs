//! A phone: a real client-core over a real file, a clock that the day moves, and a real HTTP transport.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use beatbook_client_core::sync::{Budget, EnrolError, Enrolled, SyncError, SyncReport, is_enrolled, pins, scanned};
use beatbook_client_core::transport::{HttpTransport, TransportError, Trust};
use beatbook_client_core::{Clock, Core, CoreError, OpenOptions, Platform, SystemPlatform, drive};
use beatbook_protocol::id::UserId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Invitation, InvitationFault};

/// What can go wrong on a phone.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// The core said no.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The sync could not be believed or stored.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The phone was not enrolled.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// What was scanned is no invitation.
    #[error(transparent)]
    Invitation(#[from] InvitationFault),
    /// The address cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(String),
    /// The sync ended before all was exchanged.
    #[error("{phone}: the sync ended early: {fault}")]
    Incomplete {
        /// Whose phone.
        phone: String,
        /// Why.
        fault: String,
    },
}

/// A wall clock that the day moves by hand; the monotonic clock is the device's.
#[derive(Debug, Clone)]
pub struct DayClock {
    wall: Arc<AtomicI64>,
    started: Instant,
}

impl DayClock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn standing_at(at: UnixMillis) -> Self {
        Self {
            wall: Arc::new(AtomicI64::new(at.0)),
            started: Instant::now(),
        }
    }

    /// Moves the clock on.
    pub fn advance(&self, millis: i64) {
        self.wall.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock.
    pub fn set(&self, at: UnixMillis) {
        self.wall.store(at.0, Ordering::SeqCst);
    }

    /// What it says.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.wall.load(Ordering::SeqCst))
    }
}

impl Clock for DayClock {
    fn wall(&self) -> UnixMillis {
        self.now()
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn boot(&self) -> u64 {
        1
    }
}

/// One phone of one person.
#[derive(Debug)]
pub struct Phone {
    /// Whose it is.
    pub name: String,
    /// The core.
    pub core: Core,
    /// The clock on the phone.
    pub clock: DayClock,
    /// What all syncs so far took.
    pub total: Total,
    url: String,
    trust: Trust,
}

/// What syncs took together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Requests.
    pub requests: u64,
    /// Bytes sent in bodies.
    pub bytes_up: u64,
    /// Bytes received in bodies.
    pub bytes_down: u64,
    /// Pages sealed and answered.
    pub pages: u64,
    /// Entries in them.
    pub entries: u64,
    /// Entries refused.
    pub refused: u64,
}

impl Phone {
    /// Opens a phone's file, or begins it, under a key.
    ///
    /// # Errors
    /// Those of the core.
    pub fn open(name: &str, file: &Path, url: &str, clock: &DayClock) -> Result<Self, PhoneError> {
        Self::open_under(Some([7; 32]), name, file, url, clock)
    }

    /// The same without a key: the words in such a file can be searched.
    ///
    /// # Errors
    /// Those of the core.
    pub fn open_plain(name: &str, file: &Path, url: &str, clock: &DayClock) -> Result<Self, PhoneError> {
        Self::open_under(None, name, file, url, clock)
    }

    fn open_under(key: Option<[u8; 32]>, name: &str, file: &Path, url: &str, clock: &DayClock) -> Result<Self, PhoneError> {
        let system = SystemPlatform::start().map_err(|fault| PhoneError::Random(fault.to_string()))?;
        let platform = Platform {
            clock: Box::new(clock.clone()),
            random: Box::new(system),
        };
        let options = OpenOptions {
            key,
            ..OpenOptions::default()
        };
        let core = Core::open(file, options, platform)?.core;
        Ok(Self {
            name: name.to_owned(),
            core,
            clock: clock.clone(),
            total: Total::default(),
            url: url.to_owned(),
            trust: Trust::default(),
        })
    }

    /// Whether the phone was enrolled before.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn is_enrolled(&self) -> Result<bool, PhoneError> {
        Ok(is_enrolled(&self.core)?)
    }

    /// Enrols the phone by a one-time code.
    ///
    /// # Errors
    /// When the code is refused or no answer came.
    pub async fn enrol(&self, code: &str) -> Result<UserId, PhoneError> {
        let transport = self.transport()?;
        Ok(drive::enrol(&self.core, &transport, code, &format!("{} 的手机", self.name))
            .await?
            .user)
    }

    /// Believes from now on whom this text names, as a station prints it for its phones: somebody has scanned it.
    ///
    /// # Errors
    /// When it is no such text, or the phone's file cannot be written.
    pub fn trust(&mut self, text: &str) -> Result<(), PhoneError> {
        self.trust = Trust::from_text(text)?;
        scanned(&self.core, &self.trust)?;
        Ok(())
    }

    /// A fresh connection, to whom the phone believes to be the station: what it was given, and what the station announced since.
    ///
    /// # Errors
    /// When the address or the trust cannot be used.
    pub fn transport(&self) -> Result<HttpTransport, PhoneError> {
        let trust = self.trust.clone().holding_to(pins(&self.core)?);
        Ok(HttpTransport::open_trusting(&self.url, &trust, None)?)
    }

    /// Enrols the phone by an invitation; what both screens show is in the answer.
    ///
    /// # Errors
    /// When it is no invitation, another station answers, the code is refused, or no answer came.
    pub async fn enrol_by(&self, invitation: &str) -> Result<Enrolled, PhoneError> {
        let invitation = Invitation::parse(invitation)?;
        let transport = self.transport()?;
        let device = format!("{} 的手机", self.name);
        Ok(drive::enrol_by(&self.core, &transport, &invitation, &device).await?)
    }

    /// Calls another address from now on (the station came back elsewhere, or a road lies between).
    pub fn call(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    /// Syncs over a fresh connection until nothing waits on either side.
    ///
    /// # Errors
    /// When the exchange failed, or stopped before all was exchanged.
    pub async fn sync(&mut self) -> Result<SyncReport, PhoneError> {
        let transport = self.transport()?;
        let report = drive::sync(&self.core, &transport, Budget::default()).await?;
        self.total.requests += u64::from(report.requests);
        self.total.bytes_up += report.bytes_up;
        self.total.bytes_down += report.bytes_down;
        self.total.pages += report.pages;
        self.total.entries += report.entries;
        self.total.refused += report.refused;
        match &report.fault {
            None => Ok(report),
            Some(fault) => Err(PhoneError::Incomplete {
                phone: self.name.clone(),
                fault: fault.to_string(),
            }),
        }
    }
}
