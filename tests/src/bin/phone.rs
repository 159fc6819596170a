//! A phone as a process, for tests that kill it: works without end, and says on standard output what has been promised to the user so
//! far. A line is printed only after the call that promises it has returned.
//!
//! ```text
//! draft ID TEXT     the draft holds this text
//! kept ID RECORD    the draft became this record
//! holds RECORD TEXT the record is here, and its notes hold this text
//! accepted HASH     the station has taken this entry in
//! done              the script is at its end
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the test reads the lines, a person the errors"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use beatbook_client_core::query::Filter;
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::Fix;
use beatbook_tests::day::{DayError, content, work};
use beatbook_tests::phone::{DayClock, Phone};
use beatbook_tests::seeded::Seeded;
use clap::{Parser, ValueEnum};

/// A phone as a process.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to do.
    #[arg(value_enum)]
    script: Script,
    /// The phone's file.
    #[arg(long)]
    file: PathBuf,
    /// The station.
    #[arg(long)]
    url: String,
    /// The one-time code to enrol by.
    #[arg(long)]
    code: String,
    /// What decides everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Script {
    /// Drafts, visits, edits, patrols and syncs at random, without end.
    Work,
    /// One household and one visit, submitted and synced; goes on where it was killed.
    Visit,
    /// Brings everything to the station and says what it holds.
    Finish,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phone: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), DayError> {
    let clock = DayClock::standing_at(now());
    let mut phone = Phone::open("phone", &arguments.file, &arguments.url, &clock)?;
    if !phone.is_enrolled()? {
        phone.enrol(&arguments.code).await?;
    }
    let mut told = BTreeSet::new();
    match arguments.script {
        Script::Work => work_on(&mut phone, &mut Seeded::new(arguments.seed), &mut told).await,
        Script::Visit => {
            visit(&mut phone).await?;
            phone.sync().await?;
            tell_accepted(&phone, &mut told)?;
            println!("done");
            Ok(())
        }
        Script::Finish => finish(&mut phone, &mut told).await,
    }
}

async fn work_on(phone: &mut Phone, seeded: &mut Seeded, told: &mut BTreeSet<Hash>) -> Result<(), DayError> {
    if phone
        .core
        .list(&Filter {
            kind: Some("household".into()),
            ..Filter::default()
        })?
        .rows
        .is_empty()
    {
        phone.core.begin("household", &content::household(seeded, 101))?;
    }
    loop {
        phone.clock.advance(60_000);
        match seeded.below(8) {
            0..=2 => type_draft(phone, seeded)?,
            3 => commit_draft(phone)?,
            4 => edit_something(phone, seeded)?,
            5 => patrol_some(phone, seeded)?,
            _ => {
                // A network that fails is no fault of the phone: what waits goes next time.
                let _ = phone.sync().await;
                tell_accepted(phone, told)?;
            }
        }
    }
}

fn type_draft(phone: &Phone, seeded: &mut Seeded) -> Result<(), DayError> {
    let begun = phone.core.drafts()?.into_iter().next();
    let mut draft = match begun {
        Some(draft) => draft,
        None => phone.core.draft_begin("visit", None)?,
    };
    let text = format!("第{}稿 draft", seeded.draw());
    draft.edit.notes.insert("notes".into(), text.clone());
    phone.core.draft_save(&draft)?;
    println!("draft {} {text}", draft.id);
    Ok(())
}

fn commit_draft(phone: &Phone) -> Result<(), DayError> {
    if let Some(draft) = phone.core.drafts()?.into_iter().next() {
        let record = phone.core.draft_commit(draft.id)?;
        println!("kept {} {record}", draft.id);
    }
    Ok(())
}

fn edit_something(phone: &Phone, seeded: &mut Seeded) -> Result<(), DayError> {
    let rows = phone
        .core
        .list(&Filter {
            kind: Some("household".into()),
            ..Filter::default()
        })?
        .rows;
    if let Some(row) = seeded.pick(&rows) {
        let used = seeded.pick(&["own", "rented", "vacant"]).copied().unwrap_or("own");
        // A conflict with another phone is for people to settle: this one leaves it.
        let _ = phone.core.edit(row.record, &Edit::new().field("dwelling_use", used), None);
    }
    Ok(())
}

fn patrol_some(phone: &Phone, seeded: &mut Seeded) -> Result<(), DayError> {
    if phone.core.patrol_active()?.is_none() {
        phone.core.patrol_start(&Edit::new().field("patrol_kind", "foot"))?;
    }
    let fixes: Vec<Fix> = work::walked_for(phone, seeded, 240);
    phone.core.patrol_add(&fixes)?;
    if seeded.below(4) == 0 {
        phone.core.patrol_finish(&Edit::new())?;
    }
    Ok(())
}

/// One household and one visit, each made only if it is not there yet.
async fn visit(phone: &mut Phone) -> Result<(), DayError> {
    let mut seeded = Seeded::new(7);
    let household = match only(phone, "household")? {
        Some(record) => record,
        None => phone.core.begin("household", &content::household(&mut seeded, 101))?,
    };
    let record = match only(phone, "visit")? {
        Some(record) => record,
        None => phone
            .core
            .begin("visit", &content::visit(&mut seeded, household, phone.clock.now()))?,
    };
    phone.sync().await?;
    for (state, act) in [("due", "finish"), ("done", "submit")] {
        if phone.core.record(record)?.row.state == state {
            work::act(&phone.core, record, act)?;
        }
    }
    Ok(())
}

fn only(phone: &Phone, kind: &str) -> Result<Option<RecordId>, DayError> {
    let rows = phone
        .core
        .list(&Filter {
            kind: Some(kind.into()),
            ..Filter::default()
        })?
        .rows;
    if rows.len() > 1 {
        return Err(DayError::Wrong(format!(
            "{} records of {kind} where one was made",
            rows.len()
        )));
    }
    Ok(rows.first().map(|row| row.record))
}

async fn finish(phone: &mut Phone, told: &mut BTreeSet<Hash>) -> Result<(), DayError> {
    for draft in phone.core.drafts()? {
        println!(
            "draft {} {}",
            draft.id,
            draft.edit.notes.get("notes").cloned().unwrap_or_default()
        );
    }
    let mut filter = Filter::default();
    loop {
        let page = phone.core.list(&filter)?;
        for row in page.rows {
            let notes = phone.core.record(row.record)?.facts.notes;
            println!("holds {} {}", row.record, notes.get("notes").map_or("", String::as_str));
        }
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    phone.sync().await?;
    phone.sync().await?;
    tell_accepted(phone, told)?;
    let waiting = phone.core.waiting()?.len();
    if waiting > 0 {
        return Err(DayError::Wrong(format!("{waiting} records still wait after two whole syncs")));
    }
    println!("done");
    Ok(())
}

fn tell_accepted(phone: &Phone, told: &mut BTreeSet<Hash>) -> Result<(), DayError> {
    for (_, entry) in phone.core.accepted_entries()? {
        if told.insert(entry) {
            println!("accepted {entry}");
        }
    }
    Ok(())
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
