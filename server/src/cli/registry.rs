//! `membership`, `import` and `export`: who works where for a time, and the registry as tables, by the operator at the machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use beatbook_protocol::id::{MembershipId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use clap::{Args, Subcommand};

use super::error::CommandError;
use super::output::Output;
use super::{Common, upkeep};
use crate::station::{ImportOutcome, ImportSheets, MembershipOrder};

/// What is done about memberships.
#[derive(Debug, Subcommand)]
pub(crate) enum Membership {
    /// Lets a person work in a further unit, or in a colleague's place
    Add(AddMembership),
    /// Ends a membership before its time
    End {
        /// The membership
        #[arg(long, value_name = "ID")]
        membership: MembershipId,
        #[command(flatten)]
        common: Common,
    },
    /// Lists the memberships that have not ended
    List(Common),
}

/// A membership to make.
#[derive(Debug, Args)]
pub(crate) struct AddMembership {
    /// The person
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// Where he works
    #[arg(long, value_name = "ID")]
    unit: UnitId,
    /// A role by code; may be said several times; none for a stand-in
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// In whose place
    #[arg(long, value_name = "ID")]
    stands_in_for: Option<UserId>,
    /// From when on, in milliseconds since 1970; at once, unless said
    #[arg(long, value_name = "MS")]
    from: Option<i64>,
    /// Until when, in milliseconds since 1970; a stand-in's at most 90 days off
    #[arg(long, value_name = "MS")]
    until: Option<i64>,
    #[command(flatten)]
    common: Common,
}

/// Tables to bring in.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Units: CSV in UTF-8, or an XLSX workbook with the sheets `units` and `people`
    #[arg(long, value_name = "FILE", required_unless_present = "people")]
    units: Option<PathBuf>,
    /// People: the same
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// Does it; else it is only told what would be done
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    common: Common,
}

/// Tables to write.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where the units go
    #[arg(long, value_name = "FILE", required_unless_present = "people")]
    units: Option<PathBuf>,
    /// Where the people go
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Makes, ends or lists memberships.
pub(crate) fn membership(command: Membership) -> Result<(), CommandError> {
    match command {
        Membership::Add(add) => {
            let out = Output::new(add.common.json);
            let order = MembershipOrder {
                user: add.user,
                unit: add.unit,
                roles: add.roles,
                stands_in_for: add.stands_in_for,
                from: add.from.map(UnixMillis),
                until: add.until.map(UnixMillis),
            };
            let membership = upkeep::open(add.common.settings)?.order_membership(None, &order)?;
            out.fields(&[("membership", membership.to_string())])
        }
        Membership::End { membership, common } => Ok(upkeep::open(common.settings)?.end_membership(None, membership)?),
        Membership::List(common) => {
            let out = Output::new(common.json);
            out.report(&upkeep::open(common.settings)?.memberships(false)?)
        }
    }
}

/// Brings tables in, or tells what that would do; fails when a line cannot be.
pub(crate) fn import(import: Import) -> Result<ExitCode, CommandError> {
    let out = Output::new(import.common.json);
    let read = |path: &PathBuf| std::fs::read(path).map_err(CommandError::io("reading the table"));
    let sheets = ImportSheets {
        units: import.units.as_ref().map(read).transpose()?,
        people: import.people.as_ref().map(read).transpose()?,
    };
    let report = upkeep::open(import.common.settings)?.import(None, &sheets, import.apply)?;
    if import.common.json {
        out.report(&report)?;
    } else {
        for line in report.lines.iter().filter(|line| line.outcome != ImportOutcome::Unchanged) {
            let outcome = match line.outcome {
                ImportOutcome::Added => "added",
                ImportOutcome::Changed => "changed",
                ImportOutcome::Unchanged => "unchanged",
                ImportOutcome::Refused => "REFUSED",
            };
            out.note(&format!(
                "{} line {} ({}): {outcome} {}",
                line.sheet,
                line.line,
                line.code.escape_debug(),
                line.detail
            ))?;
        }
        out.note(&format!(
            "{} added, {} changed, {} unchanged, {} refused.",
            report.added, report.changed, report.unchanged, report.refused
        ))?;
        out.note(match (report.applied, report.refused) {
            (true, _) => "It is done.",
            (false, 0) => "Nothing is done yet: say --apply to do it.",
            (false, _) => "Nothing is done: mend the refused lines first.",
        })?;
    }
    Ok(if report.refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Writes the registry as tables.
pub(crate) fn export(export: Export) -> Result<(), CommandError> {
    let station = upkeep::open(export.common.settings)?;
    let write = |path: &Path, bytes: Vec<u8>| std::fs::write(path, bytes).map_err(CommandError::io("writing the table"));
    if let Some(path) = &export.units {
        write(path, station.export_units(None)?)?;
    }
    if let Some(path) = &export.people {
        write(path, station.export_people(None)?)?;
    }
    Ok(())
}
