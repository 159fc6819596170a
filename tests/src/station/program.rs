//! Where the station's program is: beside the program that asks, and built where it is not there yet. Runs nothing but cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Result, StationProcessError};

/// `beatbook-server` beside this program, or one folder up when this program is a test.
///
/// # Errors
/// When it is not there, and cannot be built.
pub fn program() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let mut folder = here.parent().map(Path::to_path_buf).unwrap_or_default();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let program = folder.join("beatbook-server");
    if !program.exists() && !build(folder.ends_with("release"))? {
        return Err(StationProcessError::NoProgram(program));
    }
    Ok(program)
}

/// Builds the station's program where cargo runs us: `cargo run --bin bench` alone builds only the benchmark.
fn build(release: bool) -> Result<bool> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(false);
    };
    let profile = if release { "--profile=release" } else { "--profile=dev" };
    let arguments = [
        "build",
        "--quiet",
        profile,
        "-p",
        "beatbook-server",
        "--bin",
        "beatbook-server",
    ];
    Ok(Command::new(cargo).args(arguments).stdin(Stdio::null()).status()?.success())
}
