//! Many worlds, some at a time: each in a folder of its own, in memory where the system has such a place. Every hundredth seed runs twice,
//! and its two stories must be one.

use std::any::Any;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::plan::Plan;
use super::run::{Ran, run};
use super::template::Template;
use super::{Broken, broken};

/// Which worlds to run.
#[derive(Debug, Clone)]
pub struct Many {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How many at a time.
    pub jobs: usize,
    /// Whether each tells its story.
    pub is_told: bool,
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub why: String,
    /// The last lines of its story.
    pub last: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.last {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.why)?;
        write!(f, "replay: make sim SEED={}", self.seed)
    }
}

/// How they went.
#[derive(Debug, Default)]
pub struct Ended {
    /// Those that failed, by seed.
    pub failures: Vec<Failure>,
    /// Entries captured in all.
    pub captured: usize,
    /// Entries acknowledged.
    pub acknowledged: usize,
    /// Entries refused.
    pub refused: usize,
    /// Seeds that ran twice.
    pub compared: usize,
}

/// Runs them.
///
/// # Errors
/// When the template cannot be made.
pub fn run_all(many: &Many) -> Result<Ended, Broken> {
    let place = Place::make()?;
    let template = Template::make(&place.0.join("template"))?;
    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Ended::default());
    std::thread::scope(|scope| {
        for _ in 0..many.jobs.max(1) {
            scope.spawn(|| {
                while let Some(seed) = many.seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = one(&template, &place.0, *seed, many.is_told);
                    let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                    ended.compared += usize::from(Plan::of(*seed).runs_twice);
                    match one {
                        Ok((captured, acknowledged, refused)) => {
                            ended.captured += captured;
                            ended.acknowledged += acknowledged;
                            ended.refused += refused;
                        }
                        Err(failure) => ended.failures.push(failure),
                    }
                }
            });
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.failures.sort_by_key(|failure| failure.seed);
    Ok(ended)
}

fn one(template: &Template, place: &Path, seed: u64, is_told: bool) -> Result<(usize, usize, usize), Failure> {
    let first = whole(template, &place.join(format!("seed-{seed}")), seed, is_told)?;
    if Plan::of(seed).runs_twice {
        let second = whole(template, &place.join(format!("seed-{seed}")), seed, false)?;
        if first.hash != second.hash {
            return Err(failed(seed, "the same seed gave two stories", Vec::new()));
        }
    }
    Ok(first.figures)
}

fn whole(template: &Template, dir: &Path, seed: u64, is_told: bool) -> Result<Ran, Failure> {
    let ran = catch_unwind(AssertUnwindSafe(|| run(template, dir, seed, is_told)));
    match ran {
        Err(panic) => Err(failed(seed, &format!("a panic: {}", words(panic.as_ref())), Vec::new())),
        Ok(Err(fault)) => Err(failed(seed, &fault.to_string(), Vec::new())),
        Ok(Ok(Ran {
            failure: Some((fault, last)),
            ..
        })) => Err(failed(seed, &fault.to_string(), last)),
        Ok(Ok(ran)) => Ok(ran),
    }
}

fn failed(seed: u64, why: &str, last: Vec<String>) -> Failure {
    Failure {
        seed,
        why: why.to_owned(),
        last,
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without words")
}

/// A folder for all worlds, in memory if there is such a place; it goes when they are over.
#[derive(Debug)]
struct Place(PathBuf);

impl Place {
    fn make() -> Result<Self, Broken> {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let made = (0..100_u32)
            .map(|number| root.join(format!("beatbook-world-{}-{number}", std::process::id())))
            .find(|path| fs::create_dir(path).is_ok());
        made.map(Self)
            .ok_or_else(|| broken(format!("no folder can be made in {}", root.display())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is in memory or in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
