//! What keeps a station in order: verify, rebuild, dump, backup, restore, doctor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Common;
use super::error::CommandError;
use super::output::{self, Output};
use super::serve::kind_files;
use crate::config::Settings;
use crate::environment::Environment;
use crate::station::Station;
use crate::tls;

/// Opens the station that the settings name.
pub(crate) fn open(settings: Settings) -> Result<Station, CommandError> {
    let config = settings.resolve()?;
    let kinds = kind_files(config.kinds.as_deref())?;
    let station = Station::open(&config.data, &config.keys, &kinds, Environment::system())?;
    Ok(station.enrolling_by(config.enrolment).signing_in_by(config.sign_in)?)
}

/// Verifies the ledger; fails when anything does not hold.
pub(crate) fn verify(common: Common) -> Result<ExitCode, CommandError> {
    let out = Output::new(common.json);
    let report = open(common.settings)?.verify_ledger()?;
    out.report(&report)?;
    Ok(success(report.holds()))
}

/// Folds the projections again.
pub(crate) fn rebuild(common: Common) -> Result<(), CommandError> {
    let out = Output::new(common.json);
    let report = open(common.settings)?.rebuild()?;
    out.report(&report)?;
    out.note(if report.before == report.after {
        "The projections were as the ledger says."
    } else {
        "The projections had differed from the ledger, or this version folds otherwise; they are as the ledger says now."
    })
}

/// Prints the canonical dump.
pub(crate) fn dump(common: Common) -> Result<(), CommandError> {
    let station = open(common.settings)?;
    station.note_export("dump")?;
    output::line(station.dump()?.trim_end())
}

/// Copies the station.
pub(crate) fn backup(to: &Path, common: Common) -> Result<(), CommandError> {
    let out = Output::new(common.json);
    out.report(&open(common.settings)?.backup(to)?)
}

/// Makes a data directory from a backup.
pub(crate) fn restore(from: &Path, common: Common) -> Result<(), CommandError> {
    let out = Output::new(common.json);
    let config = common.settings.resolve()?;
    let file = copy_in(from)?;
    out.report(&Station::restore(&file, &config.data, &config.keys, &Environment::system())?)?;
    out.note(&format!("Restored from {}.", file.display()))?;
    out.note("Now run serve: the phones will give back what the backup did not have.")
}

/// Looks at everything; fails when something is not in order.
pub(crate) fn doctor(common: Common) -> Result<ExitCode, CommandError> {
    let out = Output::new(common.json);
    let config = common.settings.resolve()?;
    kind_files(config.kinds.as_deref())?;
    let mut checks = Station::doctor(&config.data, &config.keys);
    checks.extend(tls::checks(&config.http.tls, &config.keys, Environment::system().clock.now()));
    let well = checks.iter().all(|check| check.ok);
    if common.json {
        out.report(&checks)?;
    } else {
        for place in [("data", &config.data), ("keys", &config.keys)] {
            output::line(&format!("{:4} {}: {}", "", place.0, place.1.display()))?;
        }
        output::line(&format!("{:4} listen: {}", "", config.http.listen))?;
        for check in &checks {
            output::line(&format!(
                "{:4} {}: {}",
                if check.ok { "ok" } else { "BAD" },
                check.name,
                check.detail
            ))?;
        }
    }
    Ok(success(well))
}

/// The copy itself, or the one in the directory that holds most: the highest epoch, then size, then time of `beatbook-E-S-T.db`.
fn copy_in(from: &Path) -> Result<PathBuf, CommandError> {
    if from.is_file() {
        return Ok(from.to_owned());
    }
    let wrong = |fault| CommandError::Backup {
        path: from.to_owned(),
        fault,
    };
    let mut best = None;
    for file in std::fs::read_dir(from).map_err(wrong)? {
        let path = file.map_err(wrong)?.path();
        let rank = path.file_name().and_then(|name| rank(name.to_str()?));
        best = best.max(rank.map(|rank| (rank, path)));
    }
    best.map(|(_, path)| path)
        .ok_or_else(|| wrong(std::io::Error::other("there is no beatbook-*.db in it")))
}

fn rank(name: &str) -> Option<[u64; 3]> {
    let mut parts = name.strip_prefix("beatbook-")?.strip_suffix(".db")?.split('-');
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

fn success(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_copies_gives_the_one_that_holds_most() {
        let dir = tempfile::tempdir().unwrap();
        assert!(copy_in(dir.path()).is_err());
        for name in [
            "beatbook-0-900-7.db",
            "beatbook-1-10-5.db",
            "beatbook-1-9-6.db",
            "beatbook-1-10-5.json",
            "beatbook-9.part",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(copy_in(dir.path()).unwrap(), dir.path().join("beatbook-1-10-5.db"));
        let older = dir.path().join("beatbook-0-900-7.db");
        assert_eq!(copy_in(&older).unwrap(), older, "a file that is named is taken");
    }
}
