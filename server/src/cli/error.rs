//! Why a command was not done. Every text says what to do.

use crate::config::ConfigError;
use crate::http::ListenError;
use crate::station::{SignInError, StationError};
use crate::tls::TlsError;

/// A command that was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The station said no.
    #[error(transparent)]
    Station(#[from] StationError),
    /// Something about signing in was not done.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The address cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate cannot be shown.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Plain HTTP to the network.
    #[error(
        "{0} is reached from beyond this machine, and the station has no certificate: name one under [http.tls], make one with \
         `beatbook-server tls make`, or say plain_http = \"behind a proxy\" under [http] where a proxy in front speaks TLS"
    )]
    Plain(std::net::SocketAddr),
    /// A kind directory that cannot be read.
    #[error("cannot read the kind files in {path}: {fault}; --kinds names a directory of *.toml files")]
    Kinds {
        /// The directory or file.
        path: std::path::PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// A backup that cannot be found.
    #[error("cannot take a backup from {path}: {fault}; --from names the directory that `backup --to` wrote, or one copy in it")]
    Backup {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// The station's units differ, so there is no unit that goes without saying.
    #[error("the station has people in several units: say which with --unit ID (`user list` shows them)")]
    WhichUnit,
    /// Another server works on the data directory.
    #[error("another server is running on {}: stop it first, or name another data directory", .0.display())]
    Served(std::path::PathBuf),
    /// The demo is not built.
    #[error("{0} is not there: `make demo` builds and runs it")]
    NoDemo(std::path::PathBuf),
    /// A file, process or stream did not do what was asked.
    #[error("{what}: {fault}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// What the system says.
        fault: std::io::Error,
    },
}

impl CommandError {
    /// A system's fault while something was to be done.
    pub(crate) fn io(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |fault| Self::Io { what, fault }
    }
}
