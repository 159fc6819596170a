//! Writes the bill of materials of this tree (CycloneDX 1.5, JSON) to stdout, or to a file that is named.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use beatbook_tests::sbom::{SbomError, sbom};

fn main() -> ExitCode {
    match write(std::env::args_os().nth(1).as_deref().map(Path::new)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Nobody is left to be told when stderr is closed.
            let _ = writeln!(std::io::stderr(), "sbom: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn write(to: Option<&Path>) -> Result<(), SbomError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = serde_json::to_string_pretty(&sbom(&root)?).map_err(|fault| SbomError::Form(fault.to_string()))?;
    match to {
        Some(path) => std::fs::write(path, text + "\n")?,
        None => writeln!(std::io::stdout().lock(), "{text}")?,
    }
    Ok(())
}
