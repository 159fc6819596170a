//! A phone and a station for tests: the phone is a real core under a clock and randomness of the test.

mod holdings;
mod parcels;
mod station;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use beatbook_protocol::entry::{ActEntry, Entry, identity};
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, ExchangeRequest, PageAnswer, Verdict, runs};
pub(crate) use station::{Station, refuse};

use super::{Budget, Enrolment, Step, StoreVault, SyncError, SyncMachine, SyncReport};
use crate::core::{Core, OpenOptions};
use crate::platform::{Clock, Platform, Randomness};
use crate::store::outbox;
use crate::transport::{Outcome, OutgoingRequest};

/// A core in a file of its own, under a clock and randomness of the test.
pub(crate) struct Phone {
    pub(crate) core: Core,
    clock: Arc<AtomicI64>,
    path: PathBuf,
    written: Cell<u64>,
}

struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst).cast_unsigned()
    }

    fn boot(&self) -> u64 {
        1
    }
}

struct TestRandomness(AtomicU64);

impl Randomness for TestRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(32) {
            let hash = Hash::of(&[b"test", &self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes()]);
            part.copy_from_slice(&hash.as_bytes()[..part.len()]);
        }
    }
}

impl Phone {
    /// A new phone that is not enrolled.
    pub(crate) fn new() -> Self {
        Self::at(|_| {})
    }

    fn at(prepare: impl FnOnce(&std::path::Path)) -> Self {
        static PHONES: AtomicU64 = AtomicU64::new(0);
        let number = PHONES.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("beatbook-sync-{}-{number}.db", std::process::id()));
        prepare(&path);
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let platform = Platform {
            clock: Box::new(TestClock(Arc::clone(&clock))),
            random: Box::new(TestRandomness(AtomicU64::new(number << 32))),
        };
        let core = Core::open(&path, OpenOptions::default(), platform).unwrap().core;
        Self {
            core,
            clock,
            path,
            written: Cell::new(0),
        }
    }

    /// A copy of the phone's file as it is now, opened: a backup that was restored, or a clone.
    pub(crate) fn copy(&self) -> Self {
        Self::at(|path| {
            for ending in ["db", "db-wal"] {
                std::fs::copy(self.path.with_extension(ending), path.with_extension(ending)).unwrap();
            }
        })
    }

    /// A copy of the phone's file at a place of its own, opened without a phone around it.
    pub(crate) fn copy_to(&self, place: &std::path::Path) -> Core {
        for ending in ["db", "db-wal"] {
            std::fs::copy(self.path.with_extension(ending), place.with_extension(ending)).unwrap();
        }
        let platform = Platform {
            clock: Box::new(TestClock(Arc::clone(&self.clock))),
            random: Box::new(TestRandomness(AtomicU64::new(7 << 40))),
        };
        Core::open(place, OpenOptions::default(), platform).unwrap().core
    }

    /// A new phone that is enrolled at the station.
    pub(crate) fn enrolled(station: &mut Station) -> Self {
        let phone = Self::new();
        let enrolment = Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code", "test").unwrap();
        let outcome = station.enrol(&enrolment.request());
        enrolment.finish(&phone.core, outcome).unwrap();
        phone
    }

    /// Opens the same file again, as after the process died.
    pub(crate) fn reopen(&mut self) {
        static LIVES: AtomicU64 = AtomicU64::new(1);
        let life = LIVES.fetch_add(1, Ordering::SeqCst);
        let platform = Platform {
            clock: Box::new(TestClock(Arc::clone(&self.clock))),
            random: Box::new(TestRandomness(AtomicU64::new(life << 48))),
        };
        self.core = Core::open(&self.path, OpenOptions::default(), platform).unwrap().core;
    }

    /// The file.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.core.platform().clock.wall()
    }

    pub(crate) fn pass(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    /// Writes an entry of about so many bytes.
    pub(crate) fn write(&self, size: usize) -> Hash {
        self.written.set(self.written.get() + 1);
        let bytes = act(self.now(), &format!("{} {}", self.written.get(), "x".repeat(size)));
        let entry = identity(&bytes);
        self.core
            .write(|records| outbox::put(records.tx(), &entry, None, &bytes))
            .unwrap();
        entry
    }

    pub(crate) fn machine(&self) -> SyncMachine<'_> {
        SyncMachine::open(&self.core, &StoreVault(&self.core), Budget::default()).unwrap()
    }

    /// Syncs to the end; waits cost no time.
    pub(crate) fn sync(&self, station: &mut Station) -> Result<SyncReport, SyncError> {
        self.sync_by(|request| station.exchange(request))
    }

    /// Syncs to the end over a network of the test's own.
    pub(crate) fn sync_by(&self, mut network: impl FnMut(&OutgoingRequest) -> Outcome) -> Result<SyncReport, SyncError> {
        let mut machine = self.machine();
        loop {
            match machine.next(self.now())? {
                Step::Send(request) => drop(machine.receive(self.now(), network(&request))?),
                Step::Wait { until, .. } => self.pass(until.since(self.now())),
                Step::Done(report) => return Ok(report),
            }
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        for ending in ["db", "db-wal", "db-shm"] {
            drop(std::fs::remove_file(self.path.with_extension(ending)));
        }
        drop(std::fs::remove_dir_all(self.path.with_extension("db.blobs")));
    }
}

fn act(at: UnixMillis, comment: &str) -> Vec<u8> {
    Entry::Act(ActEntry {
        record: RecordId::from_bytes([5; 16]),
        code: "comment".into(),
        heads: Vec::new(),
        last_act: None,
        at,
        comment: Some(comment.into()),
        values: None,
        private_heads: None,
        on_behalf: None,
        nonce: None,
    })
    .to_bytes()
}

/// What a request looks like to the one who wrote it.
pub(crate) fn opened(request: &OutgoingRequest) -> ExchangeRequest {
    wire::read("request", &wire::unpack(&request.body).unwrap()).unwrap()
}

/// What the station answers to a page.
fn answer(page: Hash, leaf: usize, verdicts: &[Verdict]) -> PageAnswer {
    PageAnswer {
        page,
        leaf: Some(leaf as u64),
        verdicts: runs(verdicts),
        fault: None,
        expected: None,
    }
}
