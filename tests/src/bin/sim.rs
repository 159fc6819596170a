//! `make sim`: runs worlds by their seeds, in parallel, and says how fast; or one seed again, telling its story.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use beatbook_tests::bench::cpu_s;
use beatbook_tests::world::many::{self, Failure, Many};
use clap::Parser;

/// The simulation; see docs/simulation.md.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One seed, with its story.
    #[arg(long)]
    seed: Option<u64>,
    /// Where seeds that fail are kept, a line each.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Worlds at a time; as many as there are cores when unset.
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (from, seeds, jobs) = match arguments.seed {
        Some(seed) => (seed, 1, 1),
        None => (arguments.from, arguments.seeds, arguments.jobs.unwrap_or(cores)),
    };
    let began = Instant::now();
    let many = Many {
        seeds: (from..from + seeds).collect(),
        jobs,
        is_told: arguments.seed.is_some(),
    };
    let ended = match many::run_all(&many) {
        Ok(ended) => ended,
        Err(fault) => {
            eprintln!("the simulation could not begin: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    for failure in &ended.failures {
        eprintln!("{failure}\n");
    }
    if let Some(file) = arguments.keep.filter(|_| !ended.failures.is_empty()) {
        match keep(&file, &ended.failures) {
            Ok(()) => eprintln!("kept in {}", file.display()),
            Err(fault) => eprintln!("they could not be kept in {}: {fault}", file.display()),
        }
    }
    let rate = f64::from(u32::try_from(seeds).unwrap_or(u32::MAX)) / seconds;
    println!(
        "{seeds} seeds from {from}: {} failed; {} entries captured, {} acknowledged, {} refused; {} seeds run twice and compared",
        ended.failures.len(),
        ended.captured,
        ended.acknowledged,
        ended.refused,
        ended.compared
    );
    println!(
        "{seconds:.1} s with {jobs} at a time: {rate:.1} seeds a second, {:.1} a second and core",
        rate / f64::from(u32::try_from(jobs.min(cores)).unwrap_or(1))
    );
    // On a machine with other work to do this alone says what a seed costs.
    if let Ok(cpu) = cpu_s(std::process::id()) {
        println!("{cpu:.1} s of CPU: {:.1} seeds for each", rate * seconds / cpu.max(0.01));
    }
    if ended.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Adds the seeds to the file in which `make test` finds those that failed once, but for those that it has.
fn keep(file: &Path, failures: &[Failure]) -> io::Result<()> {
    let kept = if file.exists() {
        fs::read_to_string(file)?
    } else {
        String::new()
    };
    let has = |seed: u64| {
        kept.lines()
            .any(|line| line.split(' ').next().and_then(|first| first.parse().ok()) == Some(seed))
    };
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    for Failure { seed, why, .. } in failures.iter().filter(|failure| !has(failure.seed)) {
        writeln!(file, "{seed} {}", why.replace('\n', " "))?;
    }
    Ok(())
}
