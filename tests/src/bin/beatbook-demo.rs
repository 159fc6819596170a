//! `make demo`: one day at a station on the embedded default, told as it goes, then served for whoever wants to look.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use beatbook_protocol::time::UnixMillis;
use beatbook_tests::day::{DayError, DayPlan, run};
use clap::Parser;

/// One day at a station: three phones record offline, come back, and the chief reviews.
#[derive(Debug, Parser)]
struct Arguments {
    /// End after the table instead of serving.
    #[arg(long)]
    once: bool,
    /// Print the table as JSON; progress goes to standard error either way.
    #[arg(long)]
    json: bool,
    /// A directory of GPX files that are the patrols, shared out among the phones.
    #[arg(long)]
    tracks: Option<PathBuf>,
    /// Where to keep station and phones; a new directory under the system's temporary one by default.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What decides everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Visits on each phone.
    #[arg(long, default_value_t = 13)]
    visits: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match day(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("the day failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn day(arguments: Arguments) -> Result<ExitCode, DayError> {
    let now = now();
    let root = arguments
        .dir
        .unwrap_or_else(|| std::env::temp_dir().join(format!("beatbook-demo-{}", now.0)));
    std::fs::create_dir_all(&root)?;
    let plan = DayPlan {
        root: root.clone(),
        seed: arguments.seed,
        visits: arguments.visits,
        tracks: gpx_files(arguments.tracks)?,
    };
    let done = run::run(&plan, now, &|line| eprintln!("- {line}")).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&done.table).unwrap_or_default());
    } else {
        println!("\nThe day in figures\n\n{}", done.table);
        println!("  look further                 {}/api/v1/review", done.station.url());
        println!("  with the header              Authorization: Bearer {}", done.token);
        println!("  files                        {}\n", root.display());
    }
    let whole = done.table.missing == 0 && done.table.records_on_phones == done.table.records_on_server;
    if !whole {
        eprintln!("something that a phone holds is not at the station");
        return Ok(ExitCode::FAILURE);
    }
    if !arguments.once {
        eprintln!("serving until Ctrl-C");
        tokio::signal::ctrl_c().await?;
    }
    done.station.stop()?;
    Ok(ExitCode::SUCCESS)
}

fn gpx_files(folder: Option<PathBuf>) -> Result<Vec<PathBuf>, DayError> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gpx"))
        {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(DayError::Wrong(format!("{} holds no .gpx files", folder.display())));
    }
    Ok(files)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
