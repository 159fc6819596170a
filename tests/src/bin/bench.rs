//! `make bench`: what capture and sync cost, as a table for people or JSON for programs.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use beatbook_tests::bench::{BenchError, capture, hostile, live, load, sync};
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Benchmarks; see docs/performance.md for what the figures mean.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Saving, opening, listing, searching, and adding fixes on a phone.
    Capture {
        /// Records present.
        #[arg(long, default_value_t = 10_000)]
        records: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// First push, fresh pull, nothing to do, twenty edits up and down.
    Sync {
        /// Records of three changes each.
        #[arg(long, default_value_t = 1_000)]
        records: usize,
        /// Then nothing to do again, on a phone that holds so many records.
        #[arg(long, value_delimiter = ',', default_values_t = [5_000, 30_000])]
        noop_at: Vec<usize>,
        /// Delay each way, milliseconds.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
        /// A station that already runs, http://ADDRESS:PORT; needs --token.
        #[arg(long, requires = "token")]
        url: Option<String>,
        /// A chief's token at that station.
        #[arg(long)]
        token: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// How long a change takes from one phone that is online to another.
    Live {
        /// Changes.
        #[arg(long, default_value_t = 40)]
        changes: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What hostile requests cost a station, hazard by hazard.
    Hostile {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What the station bears in bulk: first pushes of new records, one request after the other.
    Bulk {
        /// Records of three changes each.
        #[arg(long, default_value_t = 100_000)]
        records: usize,
        /// Records in each request.
        #[arg(long, default_value_t = 1_000)]
        batch: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Phones with a day's work each that come home at once: 13 visits, one patrol of 2,000 fixes, 2 incidents.
    Load {
        /// Phones.
        #[arg(long, default_value_t = 300)]
        phones: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Used by `capture` itself: reads a phone's file in a process of its own.
    #[command(hide = true)]
    Probe {
        /// The file.
        file: PathBuf,
    },
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match measure(Arguments::parse().what).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(what: What) -> Result<(), BenchError> {
    match what {
        What::Capture { records, json } => show(&capture::run(records).await?, json),
        What::Sync {
            records,
            noop_at,
            delay_ms,
            url,
            token,
            json,
        } => {
            let elsewhere = url.zip(token).map(|(url, token)| sync::Elsewhere { url, token });
            show(&sync::run(records, &noop_at, delay_ms, elsewhere).await?, json)
        }
        What::Live { changes, json } => show(&live::run(changes).await?, json),
        What::Hostile { json } => show_hostile(&hostile::run().await?, json),
        What::Bulk { records, batch, json } => show(&load::bulk(records, batch).await?, json),
        What::Load { phones, json } => show(&load::load(phones).await?, json),
        What::Probe { file } => capture::probe(&file),
    }
}

fn show_hostile(figures: &hostile::HostileFigures, json: bool) -> Result<(), BenchError> {
    if json {
        show(figures, true)?;
        return hold(figures);
    }
    println!(
        "{:<34} {:>5} {:>9} {:>9} {:>8} {:>9}",
        "hazard", "n", "wire KB", "KB", "CPU ms", "over MB"
    );
    for row in &figures.hazards {
        println!(
            "{:<34} {:>5} {:>9.1} {:>9.1} {:>8.1} {:>9.1}{}",
            row.name,
            row.requests,
            row.wire_kb,
            row.unpacked_kb,
            row.cpu_ms,
            row.over_idle_mb,
            if row.within { "" } else { "  OVER" }
        );
    }
    println!(
        "idle {:.1} MB; bounds: {:.0} MB over idle, {:.0} ms and {} ms for each KB unpacked",
        figures.idle_mb, figures.over_idle_mb_max, figures.cpu_ms_max, figures.cpu_ms_per_kb_max
    );
    hold(figures)
}

/// Fails where a hazard cost more than it may.
fn hold(figures: &hostile::HostileFigures) -> Result<(), BenchError> {
    let over = figures.hazards.iter().filter(|row| !row.within).count();
    if over > 0 {
        return Err(BenchError::Wrong(format!("{over} hazard(s) are over the bounds")));
    }
    Ok(())
}

fn show(figures: &impl Serialize, json: bool) -> Result<(), BenchError> {
    let value = serde_json::to_value(figures).map_err(|fault| BenchError::Wrong(fault.to_string()))?;
    if json {
        println!("{value:#}");
        return Ok(());
    }
    for (name, figure) in value.as_object().into_iter().flatten() {
        println!("{name:<20} {figure}");
    }
    Ok(())
}
