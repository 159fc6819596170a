//! `beatbook-server`: the station's program. Everything it does is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    beatbook_server::cli::run()
}
