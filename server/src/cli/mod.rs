//! The command line: one command for each thing that an operator does. Exit codes: 0 done, 1 not done, 2 asked wrongly.

mod book;
mod daily;
mod demo;
mod error;
mod keeping;
mod logs;
mod output;
mod people;
mod registry;
mod serve;
mod tls;
mod unlock;
mod upkeep;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Settings;
use crate::environment::Environment;
use crate::station::{InitOptions, Station};
use error::CommandError;
use output::Output;

/// The station server of Beatbook, the record book of community policing.
#[derive(Debug, Parser)]
#[command(name = "beatbook-server", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a new station and prints the chief's token, once
    Init(Init),
    /// Serves phones and the console until it is told to stop
    Serve(Common),
    /// Runs one day at a station with three phones (`beatbook-demo`; its own arguments follow)
    #[command(disable_help_flag = true)]
    Demo {
        /// Arguments of the demo.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Looks after the ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Folds all projections again from the ledger
    Rebuild(Common),
    /// Prints the canonical dump of the projections
    Dump(Common),
    /// Copies the station into a directory, also while it is being served
    Backup(Backup),
    /// Makes a data directory from a backup and opens a new epoch
    Restore(Restore),
    /// Looks whether everything is in order, and says what to do where it is not
    Doctor(Common),
    /// Looks after the certificate that phones know the station by
    #[command(subcommand)]
    Tls(tls::Tls),
    /// Looks after people
    #[command(subcommand)]
    User(people::User),
    /// Looks after units
    #[command(subcommand)]
    Unit(people::Unit),
    /// Looks after who works where for a time, and who stands in for whom
    #[command(subcommand)]
    Membership(registry::Membership),
    /// Brings units and people in from tables; without --apply it only tells what it would do
    Import(registry::Import),
    /// Writes units and people as tables, in the columns that import takes
    Export(registry::Export),
    /// Assigns a record to a person or unit, or shares it, or ends that
    Grant(people::Grant),
    /// Lists what is due by its retention, or destroys it
    Retention(keeping::Retention),
    /// Keeps a record beyond its time on a legal ground, or no longer
    #[command(subcommand)]
    Hold(keeping::Hold),
    /// Destroys a record, or its private document, because a request was granted or an order says so
    Destroy(keeping::Destroy),
    /// Lists what was destroyed
    Destructions(Common),
    /// Prints a one-time code that makes a person's phone a book
    EnrolCode(people::OfUser),
    /// Prints a one-time code that lets a person into his phone again, when its PIN is gone
    UnlockCode(people::OfUser),
    /// Looks after custodians' keys, which emergency notes are sealed to
    #[command(subcommand)]
    UnitKey(unlock::UnitKey),
    /// Opens emergency notes without a station
    #[command(subcommand)]
    Note(unlock::Note),
    /// Lets phones in and puts them out
    #[command(subcommand)]
    Book(book::Book),
}

#[derive(Debug, Subcommand)]
enum Ledger {
    /// Verifies every leaf, entry, tree node, signature and chain
    Verify(Common),
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Init {
    /// The station's name for people
    #[arg(long, value_name = "NAME", default_value = "Station")]
    station: String,
    /// Name of its first unit
    #[arg(long, value_name = "NAME", default_value = "Community")]
    unit: String,
    /// The chief's name
    #[arg(long, value_name = "NAME", default_value = "Chief")]
    chief: String,
    /// Makes a private certificate authority too, and a certificate for the names that phones reach the station by
    #[arg(long)]
    tls: bool,
    #[command(flatten)]
    names: tls::Names,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Backup {
    /// Directory to copy to; made when it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Restore {
    /// Directory or file of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// Runs the program with its own arguments.
#[must_use]
pub fn run() -> ExitCode {
    // Usage errors, `--help` and `--version` end here, with 2 or 0.
    let cli = Cli::parse();
    match obey(cli.command) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> Result<ExitCode, CommandError> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Init(init) => self::init(init).map(done),
        Command::Serve(common) => serve::serve(common.settings.resolve()?).map(done),
        Command::Demo { arguments } => demo::demo(&arguments),
        Command::Ledger(Ledger::Verify(common)) => upkeep::verify(common),
        Command::Rebuild(common) => upkeep::rebuild(common).map(done),
        Command::Dump(common) => upkeep::dump(common).map(done),
        Command::Backup(backup) => upkeep::backup(&backup.to, backup.common).map(done),
        Command::Restore(restore) => upkeep::restore(&restore.from, restore.common).map(done),
        Command::Doctor(common) => upkeep::doctor(common),
        Command::Tls(command) => tls::tls(command).map(done),
        Command::User(command) => people::user(command).map(done),
        Command::Unit(command) => people::unit(command).map(done),
        Command::Membership(command) => registry::membership(command).map(done),
        Command::Import(import) => registry::import(import),
        Command::Export(export) => registry::export(export).map(done),
        Command::Grant(grant) => people::grant(grant).map(done),
        Command::Retention(order) => keeping::retention(order).map(done),
        Command::Hold(order) => keeping::hold(order).map(done),
        Command::Destroy(order) => keeping::destroy(order).map(done),
        Command::Destructions(common) => keeping::destructions(common).map(done),
        Command::EnrolCode(of_user) => book::enrolment_code(of_user).map(done),
        Command::Book(command) => book::book(command).map(done),
        Command::UnlockCode(of_user) => unlock::unlock_code(of_user).map(done),
        Command::UnitKey(command) => unlock::unit_key(command).map(done),
        Command::Note(command) => unlock::note(command).map(done),
    }
}

fn init(init: Init) -> Result<(), CommandError> {
    let out = Output::new(init.common.json);
    let config = init.common.settings.resolve()?;
    let options = InitOptions {
        station_name: init.station,
        unit_name: init.unit,
        chief_name: init.chief,
    };
    let env = Environment::system();
    let made = Station::init(&config.data, &config.keys, &options, &env)?;
    out.fields(&[
        ("origin", made.origin),
        ("unit", made.unit.to_string()),
        ("chief", made.chief.to_string()),
        ("chief's token", made.chief_token),
    ])?;
    out.note("The token is shown this once: keep it where only the chief reads it.")?;
    if init.tls {
        tls::make(out, &config, &options.station_name, &init.names, &env)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_demo_gets_its_arguments_as_they_are() {
        let cli = Cli::try_parse_from(["beatbook-server", "demo", "--once", "--tracks", "t", "--help"]).unwrap();
        let Command::Demo { arguments } = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(arguments, ["--once", "--tracks", "t", "--help"]);
    }
}
