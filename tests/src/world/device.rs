//! What each party of a simulated world is given in place of a device: a clock that runs apart from true time, random bytes that a seed
//! decides, and a fuse that ends it at one of its steps. Knows neither phones nor the station.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beatbook_client_core as client;
use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_server::station;

use crate::seeded::Seeded;

/// When every simulated world begins: 2025-11-25, milliseconds.
const BEGINNING_MS: i64 = 1_764_000_000_000;

/// True time, which nobody in the world can read.
#[derive(Debug, Clone)]
pub struct Time(Arc<AtomicI64>);

impl Time {
    /// Time at the beginning of the world.
    #[must_use]
    pub fn beginning() -> Self {
        Self(Arc::new(AtomicI64::new(BEGINNING_MS)))
    }

    /// What time it is, milliseconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets time pass; never backwards.
    pub fn pass(&self, millis: i64) {
        self.0.fetch_add(millis.max(0), Ordering::Relaxed);
    }
}

/// Random numbers that a seed and a name decide; other names, other numbers.
#[must_use]
pub fn sequence(seed: u64, name: &str) -> Seeded {
    let hash = Hash::of(&[b"beatbook/world\0", &seed.to_be_bytes(), name.as_bytes()]);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    Seeded::new(u64::from_be_bytes(first))
}

/// How a party ended that met its fuse.
#[derive(Debug)]
pub struct Killed;

/// Ends a party at one of its steps: its files are copied as they are at that moment, and it is heard no more.
#[derive(Debug, Clone, Default)]
pub struct Fuse(Arc<Mutex<Lit>>);

#[derive(Debug, Default)]
struct Lit {
    steps_left: u32,
    copies: Vec<(PathBuf, PathBuf)>,
}

impl Fuse {
    /// Ends the party at the `steps`th of its steps from now; each folder's files are copied to the one beside it.
    pub fn light(&self, steps: u32, copies: Vec<(PathBuf, PathBuf)>) {
        *self.lit() = Lit {
            steps_left: steps,
            copies,
        };
    }

    /// Takes the fuse away. Says whether it was still burning.
    pub fn put_out(&self) -> bool {
        std::mem::take(&mut *self.lit()).steps_left > 0
    }

    fn step(&self) {
        let mut lit = self.lit();
        if lit.steps_left == 0 {
            return;
        }
        lit.steps_left -= 1;
        if lit.steps_left > 0 {
            return;
        }
        let copies = std::mem::take(&mut lit.copies);
        drop(lit);
        let copied = copies.iter().try_for_each(|(from, to)| copy_files(from, to));
        match copied {
            // No panic hook speaks: this is no fault but an end.
            Ok(()) => resume_unwind(Box::new(Killed)),
            Err(fault) => resume_unwind(Box::new(format!("files could not be copied: {fault}"))),
        }
    }

    fn lit(&self) -> MutexGuard<'_, Lit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a party's work to its end, or to where its fuse ends it. Any other panic goes on.
///
/// # Errors
/// When the fuse ended it.
pub fn unless_killed<T>(work: impl FnOnce() -> T) -> Result<T, Killed> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|why: Box<dyn Any + Send>| match why.downcast::<Killed>() {
        Ok(killed) => *killed,
        Err(other) => resume_unwind(other),
    })
}

/// Copies a folder's files as they stand, as a process that dies leaves them. SQLite's shared memory goes with the process.
///
/// # Errors
/// Those of the file system.
pub fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let name = file.file_name();
        if file.file_type()?.is_file() && !name.to_string_lossy().ends_with("-shm") {
            fs::copy(file.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// The clock, the randomness and the fuse of one party. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Device {
    time: Time,
    skew: Arc<AtomicI64>,
    random: Arc<Mutex<Seeded>>,
    boot: Arc<AtomicI64>,
    /// What may end it.
    pub fuse: Fuse,
}

impl Device {
    /// A device whose clock runs `skew` milliseconds apart from true time.
    #[must_use]
    pub fn new(time: &Time, skew: i64, random: Seeded) -> Self {
        Self {
            time: time.clone(),
            skew: Arc::new(AtomicI64::new(skew)),
            random: Arc::new(Mutex::new(random)),
            boot: Arc::new(AtomicI64::new(1)),
            fuse: Fuse::default(),
        }
    }

    /// What its wall clock says, to whom may look without being a step.
    #[must_use]
    pub fn wall(&self) -> UnixMillis {
        UnixMillis(self.time.now() + self.skew.load(Ordering::Relaxed))
    }

    /// Sets its clock apart from true time.
    pub fn set_skew(&self, skew: i64) {
        self.skew.store(skew, Ordering::Relaxed);
    }

    /// Boots it anew.
    pub fn boot(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
    }

    fn draw(&self, buffer: &mut [u8]) {
        self.fuse.step();
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill(buffer);
    }

    /// What a phone's core takes from it.
    #[must_use]
    pub fn platform(&self) -> client::Platform {
        client::Platform {
            clock: Box::new(self.clone()),
            random: Box::new(self.clone()),
        }
    }

    /// What a station takes from it.
    #[must_use]
    pub fn environment(&self) -> station::Environment {
        station::Environment {
            clock: Arc::new(self.clone()),
            random: Arc::new(self.clone()),
            steps: Arc::new(self.clone()),
        }
    }
}

impl client::Clock for Device {
    fn wall(&self) -> UnixMillis {
        self.fuse.step();
        Self::wall(self)
    }

    fn monotonic_ms(&self) -> u64 {
        self.time.now().cast_unsigned()
    }

    fn boot(&self) -> u64 {
        self.boot.load(Ordering::Relaxed).cast_unsigned()
    }
}

impl client::Randomness for Device {
    fn fill(&self, buffer: &mut [u8]) {
        self.draw(buffer);
    }
}

impl station::Clock for Device {
    fn now(&self) -> UnixMillis {
        self.fuse.step();
        self.wall()
    }
}

impl station::Randomness for Device {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), std::io::Error> {
        self.draw(bytes);
        Ok(())
    }
}

impl station::Steps for Device {
    fn passes(&self, _step: &'static str) {
        self.fuse.step();
    }
}
