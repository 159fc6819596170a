//! `unlock-code`, `unit-key` and `note`: letting officers into their phones again, custodians' keys, and emergency notes without a station.

use std::fs;
use std::path::PathBuf;

use beatbook_protocol::id::UnitId;
use clap::Subcommand;
use zeroize::Zeroizing;

use super::Common;
use super::error::CommandError;
use super::output::{self, Output};
use super::people::OfUser;
use super::upkeep;
use crate::unlock::open_note;

/// What is done about custodians' keys.
#[derive(Debug, Subcommand)]
pub(crate) enum UnitKey {
    /// Makes a pair of keys for a custodian of a unit and prints the secret, once
    New {
        /// The unit
        #[arg(value_name = "UNIT")]
        unit: UnitId,
        /// Who will hold the secret
        #[arg(long, value_name = "NAME")]
        custodian: String,
        #[command(flatten)]
        common: Common,
    },
    /// Ends a key: no further note is sealed to it
    End {
        /// The unit
        #[arg(value_name = "UNIT")]
        unit: UnitId,
        /// The public half, as `list` prints it
        #[arg(long, value_name = "KEY")]
        key: String,
        #[command(flatten)]
        common: Common,
    },
    /// Lists the keys
    List(Common),
}

/// What is done about emergency notes.
#[derive(Debug, Subcommand)]
pub(crate) enum Note {
    /// Opens a note's file with a custodian's secret; needs no station
    Open {
        /// File that holds the secret and nothing else; on the command line everybody on this machine could read it
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The note's file
        #[arg(value_name = "NOTE")]
        note: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Prints a one-time code that lets a person into his phone again.
pub(crate) fn unlock_code(OfUser { user, common }: OfUser) -> Result<(), CommandError> {
    let out = Output::new(common.json);
    out.report(&upkeep::open(common.settings)?.unlock_code(None, user)?)
}

/// Makes, ends or lists custodians' keys.
pub(crate) fn unit_key(command: UnitKey) -> Result<(), CommandError> {
    match command {
        UnitKey::New { unit, custodian, common } => {
            let out = Output::new(common.json);
            let pair = upkeep::open(common.settings)?.add_unit_key(unit, &custodian)?;
            out.report(&pair)?;
            out.note("The secret is shown this once: give it to the custodian alone, in a file of its own or on paper in a safe.")
        }
        UnitKey::End { unit, key, common } => Ok(upkeep::open(common.settings)?.end_unit_key(unit, &key)?),
        UnitKey::List(common) => {
            let out = Output::new(common.json);
            out.report(&upkeep::open(common.settings)?.unit_keys()?)
        }
    }
}

/// Opens an emergency note.
pub(crate) fn note(command: Note) -> Result<(), CommandError> {
    let Note::Open { key, note, json } = command;
    let out = Output::new(json);
    let secret = Zeroizing::new(fs::read_to_string(&key).map_err(CommandError::io("reading the secret"))?);
    let file = fs::read(&note).map_err(CommandError::io("reading the note"))?;
    let content = open_note(&file, &secret)?.content;
    let fields = [
        ("written at", content.at.0.to_string()),
        ("phone's book", content.book.to_string()),
        ("unit", content.unit.to_string()),
        ("place", content.place.unwrap_or_else(|| "-".to_owned())),
    ];
    if json {
        let text = ("text", content.text);
        return out.fields(&fields.into_iter().chain([text]).collect::<Vec<_>>());
    }
    out.fields(&fields)?;
    // Whatever was typed: no line of it can pass for one of ours, nor tell the terminal anything.
    let shown = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    let text: String = content.text.chars().map(shown).collect();
    text.lines().try_for_each(|line| output::line(&format!("> {line}")))
}
