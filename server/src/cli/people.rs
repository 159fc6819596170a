//! `user` and `enrol-code`: people, their tokens and their phones, by the operator at the machine.

use beatbook_protocol::id::{UnitId, UserId};
use clap::{Args, Subcommand};

use super::error::CommandError;
use super::output::Output;
use super::{Common, upkeep};
use crate::station::Station;

/// What is done about people.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Adds a person
    Add(Add),
    /// Lists the people
    List(Common),
    /// Prints a fresh token for a person, as for a chief who lost his
    Token(OfUser),
}

/// A person to add.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// His name as colleagues know it
    #[arg(long)]
    name: String,
    /// A role by code, as `officer` or `grid_worker`; may be said several times
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// His unit; may be left out while everybody is in the same one
    #[arg(long, value_name = "ID")]
    unit: Option<UnitId>,
    #[command(flatten)]
    common: Common,
}

/// A person who is there.
#[derive(Debug, Args)]
pub(crate) struct OfUser {
    /// The person
    #[arg(long, value_name = "ID")]
    user: UserId,
    #[command(flatten)]
    common: Common,
}

/// Adds, lists, or gives a token.
pub(crate) fn user(command: User) -> Result<(), CommandError> {
    match command {
        User::Add(add) => self::add(add),
        User::List(common) => {
            let out = Output::new(common.json);
            out.report(&upkeep::open(common.settings)?.users()?)
        }
        User::Token(OfUser { user, common }) => {
            let out = Output::new(common.json);
            let token = upkeep::open(common.settings)?.issue_token(None, user)?;
            out.fields(&[("token", token)])
        }
    }
}

/// Prints a one-time code for a person's phone.
pub(crate) fn enrolment_code(OfUser { user, common }: OfUser) -> Result<(), CommandError> {
    let out = Output::new(common.json);
    out.report(&upkeep::open(common.settings)?.enrolment_code(None, user)?)
}

fn add(add: Add) -> Result<(), CommandError> {
    let out = Output::new(add.common.json);
    let station = upkeep::open(add.common.settings)?;
    let unit = match add.unit {
        Some(unit) => unit,
        None => only_unit(&station)?,
    };
    let user = station.add_user(None, &add.name, &add.roles, unit)?;
    out.fields(&[("user", user.to_string())])
}

fn only_unit(station: &Station) -> Result<UnitId, CommandError> {
    let mut units: Vec<UnitId> = station.users()?.into_iter().map(|user| user.unit).collect();
    units.sort_unstable();
    units.dedup();
    match units[..] {
        [unit] => Ok(unit),
        _ => Err(CommandError::WhichUnit),
    }
}
