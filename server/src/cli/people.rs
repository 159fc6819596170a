//! `user`, `unit` and `grant`: people, their tokens, their units, by the operator at the machine.

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use clap::{Args, Subcommand};

use super::error::CommandError;
use super::output::Output;
use super::{Common, upkeep};
use crate::station::{GrantOrder, Station};

/// What is done about people.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Adds a person
    Add(Add),
    /// Moves a person to another unit, or gives him other roles
    Move(Move),
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

/// Where a person goes, or as what.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// The person
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// His new unit; he stays where he is, unless said
    #[arg(long, value_name = "ID")]
    unit: Option<UnitId>,
    /// A role by code; may be said several times, and then these are all; his roles stay, unless said
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// What is done about units.
#[derive(Debug, Subcommand)]
pub(crate) enum Unit {
    /// Adds a unit
    Add {
        /// Its name
        #[arg(long)]
        name: String,
        /// The unit above it; a root of its own, unless said
        #[arg(long, value_name = "ID")]
        parent: Option<UnitId>,
        #[command(flatten)]
        common: Common,
    },
    /// Puts a unit, with all below it, under another one
    Move {
        /// The unit
        #[arg(long, value_name = "ID")]
        unit: UnitId,
        /// The unit that it goes below; a root of its own, unless said
        #[arg(long, value_name = "ID")]
        parent: Option<UnitId>,
        #[command(flatten)]
        common: Common,
    },
    /// Lists the units
    List(Common),
}

/// A record that is assigned or shared.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// The record
    #[arg(long, value_name = "ID")]
    record: RecordId,
    /// To this person
    #[arg(long, value_name = "ID", conflicts_with = "unit", required_unless_present = "unit")]
    user: Option<UserId>,
    /// To this unit and those below it
    #[arg(long, value_name = "ID")]
    unit: Option<UnitId>,
    /// `assigned` or `shared`
    #[arg(long, default_value = "shared")]
    reason: String,
    /// Ends it
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    common: Common,
}

/// A person who is there.
#[derive(Debug, Args)]
pub(crate) struct OfUser {
    /// The person
    #[arg(long, value_name = "ID")]
    pub(super) user: UserId,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Adds, lists, or gives a token.
pub(crate) fn user(command: User) -> Result<(), CommandError> {
    match command {
        User::Add(add) => self::add(add),
        User::Move(moved) => {
            let station = upkeep::open(moved.common.settings)?;
            let roles = (!moved.roles.is_empty()).then_some(moved.roles.as_slice());
            Ok(station.move_user(None, moved.user, moved.unit, roles)?)
        }
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

/// Adds, moves or lists units.
pub(crate) fn unit(command: Unit) -> Result<(), CommandError> {
    match command {
        Unit::Add { name, parent, common } => {
            let out = Output::new(common.json);
            let unit = upkeep::open(common.settings)?.add_unit(None, &name, parent)?;
            out.fields(&[("unit", unit.to_string())])
        }
        Unit::Move { unit, parent, common } => Ok(upkeep::open(common.settings)?.move_unit(None, unit, parent)?),
        Unit::List(common) => {
            let out = Output::new(common.json);
            out.report(&upkeep::open(common.settings)?.units()?)
        }
    }
}

/// Assigns or shares a record, or ends that.
pub(crate) fn grant(grant: Grant) -> Result<(), CommandError> {
    let order = GrantOrder {
        user: grant.user,
        unit: grant.unit,
        reason: grant.reason,
        ended: grant.end,
    };
    Ok(upkeep::open(grant.common.settings)?.grant(None, grant.record, &order)?)
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
