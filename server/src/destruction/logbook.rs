//! The keys directory's log of destructions: a line `RECORD whole|private ENTRIES ROOT AT WHY` for each. It outlives the database, so that a
//! backup from before does not bring back what was destroyed. Names records by id, and nothing of what they said.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;

use crate::error::StationError;
use crate::keys::{io, sync_dir};
use crate::store::DestructionRow;

/// Its name in the keys directory.
pub(crate) const FILE: &str = "destroyed";

/// One destruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// The record.
    pub(crate) record: RecordId,
    /// Whether its private document alone.
    pub(crate) private_only: bool,
    /// How many entries.
    pub(crate) entries: u32,
    /// Their root.
    pub(crate) root: Hash,
    /// When.
    pub(crate) at: UnixMillis,
    /// Why, by code.
    pub(crate) why: String,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Logbook {
    path: PathBuf,
}

impl Logbook {
    /// That of a keys directory; there need not be one yet.
    pub(crate) fn at(keys: &Path) -> Self {
        Self { path: keys.join(FILE) }
    }

    /// Every line, in order. A torn last one was never acknowledged, and is passed over.
    pub(crate) fn lines(&self) -> Result<Vec<LogLine>, StationError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(io(&self.path)(fault)),
        };
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let damaged = |number: usize| {
            StationError::Keys(format!(
                "{}:{number} is no destruction: take the file from a backup of the keys directory",
                self.path.display()
            ))
        };
        let lines = text.get(..whole).unwrap_or_default().lines();
        (1..)
            .zip(lines)
            .map(|(number, line)| parse(line).ok_or_else(|| damaged(number)))
            .collect()
    }

    /// Adds what is not there yet; on the disk when this returns.
    pub(crate) fn catch_up(&self, rows: &[DestructionRow]) -> Result<(), StationError> {
        if rows.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<(RecordId, bool)> = self
            .lines()?
            .into_iter()
            .map(|line| (line.record, line.private_only))
            .collect();
        let new: String = rows
            .iter()
            .filter(|row| !known.contains(&(row.said.record, row.said.document.is_some())))
            .map(write)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(io(&self.path))?;
        let text = fs::read(&self.path).map_err(io(&self.path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(u64::try_from(whole).unwrap_or(0)).map_err(io(&self.path))?;
        }
        // Another process that notes the same at the same time makes a line stand twice, which is no harm.
        let written = file.write_all(new.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(io(&self.path))?;
        self.path.parent().map_or(Ok(()), sync_dir)
    }
}

fn write(row: &DestructionRow) -> String {
    let said = &row.said;
    let what = if said.document.is_some() { "private" } else { "whole" };
    format!(
        "{} {what} {} {} {} {}\n",
        said.record, said.entries, said.root, row.at.0, said.why
    )
}

fn parse(line: &str) -> Option<LogLine> {
    let mut parts = line.split(' ');
    let found = LogLine {
        record: parts.next()?.parse().ok()?,
        private_only: match parts.next()? {
            "whole" => false,
            "private" => true,
            _ => return None,
        },
        entries: parts.next()?.parse().ok()?,
        root: parts.next()?.parse().ok()?,
        at: UnixMillis(parts.next()?.parse().ok()?),
        why: parts.next()?.to_owned(),
    };
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::entry::DestructionEvent;
    use beatbook_protocol::kind::DocumentName;

    fn row(number: u8, private: bool) -> DestructionRow {
        DestructionRow {
            event: Hash::from_bytes([number; 32]),
            place: (u64::from(number), 0),
            at: UnixMillis(7),
            said: DestructionEvent {
                record: RecordId::from_bytes([number; 16]),
                document: private.then(|| DocumentName::Private.into()),
                why: "retention".into(),
                rule: "visit 1: 1095 days".into(),
                entries: 3,
                root: Hash::from_bytes([9; 32]),
                on_behalf: None,
            },
        }
    }

    #[test]
    fn the_log_of_destructions_takes_each_once_and_gets_over_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = Logbook::at(dir.path());
        assert_eq!(log.lines().unwrap(), []);
        log.catch_up(&[row(1, false)]).unwrap();
        let file = dir.path().join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}{}", &text[..20])).unwrap();
        assert_eq!(log.lines().unwrap().len(), 1, "the torn line counts for nothing");
        log.catch_up(&[row(1, false), row(1, true), row(2, false)]).unwrap();
        let lines = log.lines().unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (lines[1].private_only, lines[2].record),
            (true, RecordId::from_bytes([2; 16]))
        );
        fs::write(&file, "whatever\n").unwrap();
        assert!(matches!(log.lines(), Err(StationError::Keys(_))));
    }
}
