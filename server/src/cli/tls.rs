//! `init --tls` and `tls`: the station's own certificate authority, its renewal, and what phones know the station by.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use qrcode::types::EcLevel;

use super::Common;
use super::error::CommandError;
use super::output::{self, Output};
use crate::config::Config;
use crate::environment::Environment;
use crate::station::StationError;
use crate::tls::authority::{self, Issued};

/// Looks after the certificate.
#[derive(Debug, Subcommand)]
pub(crate) enum Tls {
    /// Makes a private certificate authority for a station that has none, and its first certificate
    Make(Make),
    /// Issues the certificate anew; the running station shows it within moments
    Renew(Renew),
    /// Prints what phones know the station by: the root certificate, the key that is shown and the next
    Pin(Pin),
}

/// What phones reach the station by.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// A host name or address that phones reach the station by; give each [default: localhost and the address that is listened on]
    #[arg(long = "tls-name", value_name = "NAME")]
    names: Vec<String>,
}

/// `tls make`.
#[derive(Debug, Args)]
pub(crate) struct Make {
    /// The name of the station in the authority's certificate
    #[arg(long, value_name = "NAME", default_value = "Station")]
    station: String,
    #[command(flatten)]
    names: Names,
    #[command(flatten)]
    common: Common,
}

/// `tls renew`.
#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// Takes the next key, which phones have been told of, and draws another next one
    #[arg(long)]
    rotate: bool,
    /// Directory of the authority, where it is not in the keys directory
    #[arg(long, value_name = "DIR")]
    authority: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// `tls pin`.
#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Prints the text as a QR code too
    #[arg(long)]
    qr: bool,
    #[command(flatten)]
    common: Common,
}

/// Looks after the certificate.
pub(crate) fn tls(command: Tls) -> Result<(), CommandError> {
    match command {
        Tls::Make(command) => {
            let out = Output::new(command.common.json);
            let config = command.common.settings.resolve()?;
            make(out, &config, &command.station, &command.names, &Environment::system())
        }
        Tls::Renew(command) => renew(command),
        Tls::Pin(command) => pin(command),
    }
}

/// Makes an authority and the first certificate.
pub(crate) fn make(out: Output, config: &Config, station: &str, names: &Names, env: &Environment) -> Result<(), CommandError> {
    let mut named = names.names.clone();
    if named.is_empty() {
        let listen = config.http.listen.ip();
        named = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
        if !listen.is_loopback() && !listen.is_unspecified() {
            named.insert(0, listen.to_string());
        }
    }
    let issued = authority::make(&config.keys, station, &named, env)?;
    tell(out, issued)?;
    out.note("The authority's directory is needed to renew alone: move it to where nobody reaches it, and name it with --authority then.")
}

fn renew(command: Renew) -> Result<(), CommandError> {
    let out = Output::new(command.common.json);
    let config = command.common.settings.resolve()?;
    let env = Environment::system();
    tell(
        out,
        authority::renew(&config.keys, command.authority.as_deref(), command.rotate, &env)?,
    )?;
    if command.rotate {
        out.note("Phones that sync from now on hear of the next key. Rotate again only when all of them have.")?;
    }
    Ok(())
}

fn tell(out: Output, issued: Issued) -> Result<(), CommandError> {
    out.fields(&[
        ("certificate for", issued.names.join(", ")),
        ("valid until (ms)", issued.not_after.0.to_string()),
        ("key", issued.current.to_string()),
        ("next key", issued.next.to_string()),
        ("authority", issued.authority.display().to_string()),
    ])
}

fn pin(command: Pin) -> Result<(), CommandError> {
    let out = Output::new(command.common.json);
    let config = command.common.settings.resolve()?;
    let trust = authority::trust(&config.keys)?.ok_or_else(|| {
        StationError::NotFound(
            "certificate authority of this station: phones know it by the roots of whoever issued its certificate (`tls make` makes one)"
                .into(),
        )
    })?;
    let root = config.keys.join(authority::SERVED).join(authority::ROOT);
    let pem = std::fs::read_to_string(&root).map_err(CommandError::io("reading the root certificate"))?;
    let key = |at: usize| trust.pins.get(at).map(ToString::to_string).unwrap_or_default();
    let text = trust.to_string();
    out.fields(&[
        ("key", key(0)),
        ("next key", key(1)),
        ("root", pem.trim_end().to_owned()),
        ("text for phones", text.clone()),
    ])?;
    if command.qr {
        let code = QrCode::with_error_correction_level(&text, EcLevel::L)
            .map_err(|fault| CommandError::io("drawing the code")(std::io::Error::other(fault.to_string())))?;
        output::line(&code.render::<Dense1x2>().build())?;
    }
    Ok(())
}
