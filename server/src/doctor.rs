//! `doctor`: looks at a station that is not running, changes nothing, and says of each thing whether it is in order.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use beatbook_protocol::id::{BookId, Hash, RecordId};

use crate::alarm;
use crate::blobs::{FOLDER, kept};
use crate::error::StationError;
use crate::keys::{Keys, loose_permissions, refuse_nested};
use crate::ledger;
use crate::report::Check;
use crate::station::DATABASE;
use crate::store::{ReadTx, Store, inspect};

/// Looks at everything.
pub(crate) fn doctor(data: &Path, keys_dir: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let apart = refuse_nested(data, keys_dir);
    checks.push(check(
        "directories",
        apart.is_ok(),
        match apart {
            Ok(()) => "data and keys lie apart".into(),
            Err(fault) => fault.to_string(),
        },
    ));
    let loose = loose_permissions(keys_dir);
    checks.push(check(
        "permissions",
        loose.is_empty(),
        if loose.is_empty() {
            "only the owner reads the keys".into()
        } else {
            loose.join("; ")
        },
    ));
    let file = data.join(DATABASE);
    let keys = Keys::open(keys_dir);
    checks.push(check(
        "keys",
        keys.is_ok(),
        match &keys {
            Ok(keys) => keys.signed().map_or("nothing was signed yet".into(), |signed| {
                format!("epoch {}, {} leaves signed, root {}", signed.epoch, signed.size, signed.root)
            }),
            Err(fault) => fault.to_string(),
        },
    ));
    if !file.is_file() {
        checks.push(check(
            "database",
            false,
            format!("there is no database in {}: run init or restore", data.display()),
        ));
        return checks;
    }
    let found = inspect(&file);
    let whole = matches!(&found, Ok(text) if text == "ok");
    checks.push(check(
        "database",
        whole,
        match found {
            Ok(text) if text == "ok" => "SQLite finds it whole".into(),
            Ok(text) => format!("{text}: keep the file and restore from the newest backup"),
            Err(fault) => format!("{fault}: keep the file and restore from the newest backup"),
        },
    ));
    if let (true, Ok(keys)) = (whole, &keys) {
        checks.extend(ledger_checks(&file, keys));
        checks.extend(log_checks(&file, keys));
        checks.extend(word_checks(&file));
    }
    if whole {
        checks.push(blobs_check(data, &file));
    }
    checks
}

/// The ledger, and the audit log that it fixes.
fn ledger_checks(file: &Path, keys: &Keys) -> Vec<Check> {
    let verified = Store::open(file, Some(Arc::clone(&keys.column)))
        .map_err(StationError::from)
        .and_then(|store| store.read(|tx| ledger::verify(tx, keys)));
    let report = match verified {
        Ok(report) => report,
        Err(fault) => return vec![check("ledger", false, fault.to_string())],
    };
    let (audit, ledger): (Vec<&str>, Vec<&str>) = report
        .faults
        .iter()
        .map(String::as_str)
        .partition(|fault| fault.starts_with("audit: "));
    let ledger = match ledger[..] {
        [] => check(
            "ledger",
            true,
            format!(
                "{} leaves, {} entries, root {}",
                report.leaves, report.entries, report.position.root
            ),
        ),
        _ => check(
            "ledger",
            false,
            format!("{}: restore from the newest backup", ledger.join("; ")),
        ),
    };
    let lost = match report.audit_lost {
        0 => String::new(),
        lost => format!("; {lost} line(s) were lost by restores, as the log tells"),
    };
    let audit = match audit[..] {
        [] => check(
            "audit",
            true,
            format!(
                "{} lines fit each other, the ledger has fixed them up to line {}{lost}",
                report.audit_lines, report.audit_fixed
            ),
        ),
        _ => check(
            "audit",
            false,
            format!(
                "{}: keep the file for who looks into it, and tell the auditor; a backup shows what stood there{lost}",
                audit.join("; ")
            ),
        ),
    };
    vec![ledger, audit]
}

/// The keys directory's logs of what must not come back, against the ledger. Both sides are made up for when the station is opened.
fn log_checks(file: &Path, keys: &Keys) -> Vec<Check> {
    let compared = Store::open(file, Some(Arc::clone(&keys.column)))
        .map_err(StationError::from)
        .and_then(|store| store.read(|tx| Ok((ended_apart(tx, keys)?, destroyed_apart(tx, keys)))));
    let (ended, destroyed) = match compared {
        Ok((ended, destroyed)) => (Ok(ended), destroyed),
        Err(fault) => return vec![check("gone", false, fault.to_string())],
    };
    vec![
        log_check("gone", "books that ended", ended),
        log_check("destroyed", "destructions", destroyed),
    ]
}

/// What two sides say: how many both know, those of the log alone, those of the database alone.
struct Apart {
    both: usize,
    log: usize,
    database: usize,
}

fn log_check(name: &'static str, what: &str, apart: Result<Apart, StationError>) -> Check {
    match apart {
        Err(fault) => check(name, false, fault.to_string()),
        Ok(Apart {
            both,
            log: 0,
            database: 0,
        }) => check(
            name,
            true,
            format!("{both} {what}, the keys directory and the database agree"),
        ),
        Ok(Apart { log, database, .. }) => check(
            name,
            false,
            format!(
                "{what}: the keys directory knows {log} that the database does not, the database {database} that the keys directory does \
                 not: opening the station carries out and notes what is missing; if you did not just restore or replace either of them, \
                 find out who did"
            ),
        ),
    }
}

fn ended_apart(tx: &ReadTx<'_>, keys: &Keys) -> Result<Apart, StationError> {
    let logged: BTreeSet<BookId> = keys.gone.revoked().into_iter().map(|line| line.book).collect();
    let (mut known, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for row in tx.books()? {
        known.insert(row.book);
        if tx.book_end(row.book)?.is_some() {
            ended.insert(row.book);
        }
    }
    Ok(Apart {
        both: logged.intersection(&ended).count(),
        // A book that an older copy never knew has nothing to be ended.
        log: logged.difference(&ended).filter(|book| known.contains(book)).count(),
        database: ended.difference(&logged).count(),
    })
}

fn destroyed_apart(tx: &ReadTx<'_>, keys: &Keys) -> Result<Apart, StationError> {
    let logged: BTreeSet<(RecordId, bool)> = keys
        .destroyed
        .lines()?
        .into_iter()
        .map(|line| (line.record, line.private_only))
        .collect();
    let done: BTreeSet<(RecordId, bool)> = tx
        .destructions(None, u32::MAX)?
        .into_iter()
        .map(|row| (row.said.record, row.said.document.is_some()))
        .collect();
    // What went as a whole after a restore needs no destruction of a part.
    let is_done = |(record, private): &(RecordId, bool)| {
        done.contains(&(*record, *private)) || (*private && done.contains(&(*record, false)))
    };
    let log = logged.iter().filter(|one| !is_done(one)).count();
    Ok(Apart {
        both: logged.len() - log,
        log,
        database: done.difference(&logged).count(),
    })
}

/// Every blob against its name, and which are named and not there. Not having arrived is no fault: phones bring photos when they may.
fn blobs_check(data: &Path, file: &Path) -> Check {
    let folder = data.join(FOLDER);
    let looked = kept::inspect(&folder).and_then(|found| {
        let named = Store::open(file, None)?.read(|tx| Ok::<_, StationError>(tx.named_blobs()?))?;
        let missing = named.iter().filter(|hash| !kept::place(&folder, hash).is_file()).count();
        Ok((found, missing))
    });
    match looked {
        Ok((found, missing)) if found.damaged.is_empty() => check(
            "blobs",
            true,
            format!(
                "{} blobs, {} bytes, all as their names say; {missing} that records name have not arrived",
                found.blobs, found.bytes
            ),
        ),
        Ok((found, _)) => {
            let names: Vec<String> = found.damaged.iter().map(Hash::to_string).collect();
            check(
                "blobs",
                false,
                format!(
                    "not what their names say: {}; move them away, then take them from a backup's folder blobs, or let phones bring them again",
                    names.join(", ")
                ),
            )
        }
        Err(fault) => check("blobs", false, fault.to_string()),
    }
}

/// What the station has been shown or given since a restore.
fn word_checks(file: &Path) -> Vec<Check> {
    let found = Store::open(file, None).and_then(|store| store.read(|tx| Ok((tx.alarm()?, tx.recovered_records()?))));
    match found {
        Ok((alarm, recovered)) => vec![
            check(
                "history",
                alarm.is_none(),
                alarm.as_ref().map_or(
                    "nobody has shown another history under this station's key".into(),
                    alarm::text,
                ),
            ),
            check(
                "recovered",
                true,
                match recovered {
                    0 => "nothing rests on a colleague's word".into(),
                    records => format!(
                        "{records} record(s) hold entries that rest on a colleague's word since a restore, until their authors' phones sync"
                    ),
                },
            ),
        ],
        Err(fault) => vec![check("history", false, crate::error::StationError::from(fault).to_string())],
    }
}

fn check(name: &'static str, ok: bool, detail: String) -> Check {
    Check { name, ok, detail }
}
