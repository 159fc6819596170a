//! Commands about what is kept and what goes: what is due, holds, destructions.

use beatbook_protocol::id::RecordId;
use clap::{Args, Subcommand};

use super::Common;
use super::error::CommandError;
use super::output::Output;
use super::serve::kind_files;
use crate::environment::Environment;
use crate::station::Station;

/// What is due by its retention.
#[derive(Debug, Args)]
pub(crate) struct Retention {
    /// Destroys what is due and neither held nor waiting for the chief; without it nothing is touched
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Lists what is due and touches nothing; this is the default
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

/// Keeping records beyond their time.
#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Holds a record
    Set(HoldOf),
    /// Ends the hold of a record
    Release(HoldOf),
}

#[derive(Debug, Args)]
pub(crate) struct HoldOf {
    /// The record
    record: RecordId,
    /// The case, law or decision, without names of residents
    #[arg(long, value_name = "TEXT")]
    ground: String,
    #[command(flatten)]
    common: Common,
}

/// A destruction ordered by hand.
#[derive(Debug, Args)]
pub(crate) struct Destroy {
    /// The record; what was merged with it goes along
    record: RecordId,
    /// Its private document alone
    #[arg(long)]
    private_only: bool,
    /// The record of kind `request` that asked for it and was answered
    #[arg(long, value_name = "RECORD", required_unless_present = "ground", conflicts_with = "ground")]
    request: Option<RecordId>,
    /// The law or decision that orders it
    #[arg(long, value_name = "TEXT")]
    ground: Option<String>,
    #[command(flatten)]
    common: Common,
}

fn open(common: Common) -> Result<(Output, Station), CommandError> {
    let out = Output::new(common.json);
    let config = common.settings.resolve()?;
    let kinds = kind_files(config.kinds.as_deref())?;
    let station = Station::open(&config.data, &config.keys, &kinds, Environment::system())?.keeping(config.retention)?;
    Ok((out, station))
}

/// Lists what is due, or destroys it.
pub(crate) fn retention(order: Retention) -> Result<(), CommandError> {
    let (out, station) = open(order.common)?;
    if order.apply {
        out.report(&station.apply_retention(None)?)?;
        return out.note("Copies made before hold it still: let them go with their own time.");
    }
    out.report(&station.retention(None)?)?;
    out.note("Nothing was touched: --apply destroys what is due. There is no way back.")
}

/// Holds a record, or ends its hold.
pub(crate) fn hold(order: Hold) -> Result<(), CommandError> {
    match order {
        Hold::Set(of) => {
            let (out, station) = open(of.common)?;
            station.hold(None, of.record, &of.ground)?;
            out.fields(&[("held", of.record.to_string())])
        }
        Hold::Release(of) => {
            let (out, station) = open(of.common)?;
            station.release(None, of.record, &of.ground)?;
            out.fields(&[("released", of.record.to_string())])
        }
    }
}

/// Destroys a record.
pub(crate) fn destroy(order: Destroy) -> Result<(), CommandError> {
    let (out, station) = open(order.common)?;
    let entries = station.destroy(None, order.record, order.private_only, order.request, order.ground.as_deref())?;
    out.fields(&[
        ("record", order.record.to_string()),
        ("entries destroyed", entries.to_string()),
    ])
}

/// Lists what was destroyed.
pub(crate) fn destructions(common: Common) -> Result<(), CommandError> {
    let (out, station) = open(common)?;
    out.report(&station.export_destructions(None)?)
}
