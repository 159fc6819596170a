//! `demo`: runs the sibling program `beatbook-demo`, which may know the phone's core; the server may not.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use super::error::CommandError;

/// Runs the demo with these arguments and passes its exit code on.
pub(crate) fn demo(arguments: &[OsString]) -> Result<ExitCode, CommandError> {
    let here = std::env::current_exe().map_err(CommandError::io("finding this program"))?;
    let demo = here.with_file_name(format!("beatbook-demo{}", std::env::consts::EXE_SUFFIX));
    if !demo.is_file() {
        return Err(CommandError::NoDemo(demo));
    }
    run(demo, arguments)
}

/// Becomes the demo, so that signals from the terminal reach it alone.
#[cfg(unix)]
fn run(demo: PathBuf, arguments: &[OsString]) -> Result<ExitCode, CommandError> {
    use std::os::unix::process::CommandExt as _;
    Err(CommandError::io("running beatbook-demo")(
        Command::new(demo).args(arguments).exec(),
    ))
}

#[cfg(not(unix))]
fn run(demo: PathBuf, arguments: &[OsString]) -> Result<ExitCode, CommandError> {
    let status = Command::new(demo)
        .args(arguments)
        .status()
        .map_err(CommandError::io("running beatbook-demo"))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
