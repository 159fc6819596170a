//! `user`, `unit` and `grant`: people, their tokens, their units, by the operator at the machine.

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use clap::{Args, Subcommand};

use super::error::CommandError;
use super::output::Output;
use super::{Common, upkeep};
use crate::station::{GrantOrder, PersonChange, PersonOrder, Station, TokenOrder, UnitChange, UnitOrder};

/// What is done about people.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Adds a person
    Add(Add),
    /// Moves a person to another unit, or gives him another name, other roles or a code
    Move(Move),
    /// Blocks a person: he can neither sign in nor write, and holds nothing
    Block(OfUser),
    /// Ends that
    Unblock(OfUser),
    /// Lists a person's phones
    Devices(OfUser),
    /// Lists the people
    List(Common),
    /// Prints a fresh token for a person's program, as for a chief who lost his
    Token(Token),
    /// Prints an invitation by which a person sets his password, once; what he had before ends when he uses it
    Invite(Invite),
    /// Ends all sessions of a person
    SignOut(OfUser),
}

/// A token to be issued.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The person
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// What the token is for
    #[arg(long)]
    name: Option<String>,
    /// A role of the person that the token has; may be said several times; all of them, unless said
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Days that it lives, 90 at most
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    #[command(flatten)]
    common: Common,
}

/// Who is invited.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// The person
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// By what name he will sign in; may be left out for who has an account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    common: Common,
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
    /// How other registers call him
    #[arg(long)]
    code: Option<String>,
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
    /// His new name
    #[arg(long)]
    name: Option<String>,
    /// How other registers call him
    #[arg(long)]
    code: Option<String>,
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
        /// What it is, by code, as `community`
        #[arg(long)]
        level: Option<String>,
        /// How other registers call it
        #[arg(long)]
        code: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Gives a unit another name, level or code
    Change {
        /// The unit
        #[arg(long, value_name = "ID")]
        unit: UnitId,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// What it is, by code, as `community`
        #[arg(long)]
        level: Option<String>,
        /// How other registers call it
        #[arg(long)]
        code: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Closes a unit once nobody is in it, or opens it again
    Close {
        /// The unit
        #[arg(long, value_name = "ID")]
        unit: UnitId,
        /// Opens it again
        #[arg(long)]
        reopen: bool,
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
            let change = PersonChange {
                name: moved.name,
                unit: moved.unit,
                roles: (!moved.roles.is_empty()).then_some(moved.roles),
                code: moved.code,
            };
            Ok(upkeep::open(moved.common.settings)?.change_person(None, moved.user, &change)?)
        }
        User::Block(OfUser { user, common }) => Ok(upkeep::open(common.settings)?.block(None, user, true)?),
        User::Unblock(OfUser { user, common }) => Ok(upkeep::open(common.settings)?.block(None, user, false)?),
        User::Devices(OfUser { user, common }) => {
            let out = Output::new(common.json);
            out.report(&upkeep::open(common.settings)?.devices(None, user)?)
        }
        User::List(common) => {
            let out = Output::new(common.json);
            out.report(&upkeep::open(common.settings)?.people()?)
        }
        User::Token(token) => {
            let out = Output::new(token.common.json);
            let order = TokenOrder {
                name: token.name,
                roles: (!token.roles.is_empty()).then_some(token.roles),
                days: token.days,
            };
            let issued = upkeep::open(token.common.settings)?.issue_program_token(None, token.user, &order)?;
            out.fields(&[("token", issued)])
        }
        User::Invite(invite) => {
            let out = Output::new(invite.common.json);
            let station = upkeep::open(invite.common.settings)?;
            out.report(&station.invite(None, invite.user, invite.account.as_deref())?)?;
            out.note("The invitation is shown this once: hand it to the person alone.")
        }
        User::SignOut(OfUser { user, common }) => {
            let out = Output::new(common.json);
            let ended = upkeep::open(common.settings)?.end_sessions(None, user, None)?;
            out.fields(&[("sessions ended", ended.to_string())])
        }
    }
}

/// Adds, moves or lists units.
pub(crate) fn unit(command: Unit) -> Result<(), CommandError> {
    match command {
        Unit::Add {
            name,
            parent,
            level,
            code,
            common,
        } => {
            let out = Output::new(common.json);
            let order = UnitOrder {
                name,
                parent,
                level,
                code,
            };
            let unit = upkeep::open(common.settings)?.order_unit(None, &order)?;
            out.fields(&[("unit", unit.to_string())])
        }
        Unit::Change {
            unit,
            name,
            level,
            code,
            common,
        } => {
            let change = UnitChange { name, level, code };
            Ok(upkeep::open(common.settings)?.change_unit(None, unit, &change)?)
        }
        Unit::Close { unit, reopen, common } => Ok(upkeep::open(common.settings)?.close_unit(None, unit, !reopen)?),
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
    let order = PersonOrder {
        name: add.name,
        roles: add.roles,
        unit,
        code: add.code,
    };
    let user = station.order_person(None, &order)?;
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
