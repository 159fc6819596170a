//! `beatbook-server`: the station's program. Everything it does is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    bound_heaps();
    beatbook_server::cli::run()
}

/// Goes on with two heaps for all threads, by starting itself anew in the same process. glibc makes one for each thread that ever served a phone, up to
/// eight for each core, and gives back little of them: after ten long replies 110 MB stood where 35 had been in use at most. It reads this
/// when a program is started, and at no other time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn bound_heaps() {
    use std::os::unix::process::CommandExt as _;

    const HEAPS: &str = "MALLOC_ARENA_MAX";
    let is_settled = std::env::var_os(HEAPS).is_some() || std::env::var_os("GLIBC_TUNABLES").is_some();
    if let (false, Ok(program)) = (is_settled, std::env::current_exe()) {
        let mut words = std::env::args_os();
        let mut anew = std::process::Command::new(program);
        if let Some(name) = words.next() {
            anew.arg0(name);
        }
        // It comes back only where that failed: then it goes on with as many as there are.
        drop(anew.args(words).env(HEAPS, "2").exec());
    }
}
