//! Which line of the audit log the ledger fixed last, noted beside the keys: a database that was put back to an older state cannot hide that
//! lines are gone. A line `LINES HEAD` for each; the last counts.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use beatbook_protocol::id::Hash;

use super::io;
use crate::error::StationError;

/// Its name in the keys directory.
pub(super) const AUDITED: &str = "audited";

/// The note, open.
#[derive(Debug)]
pub(super) struct Audited {
    path: PathBuf,
    pub(super) last: Option<(u64, Hash)>,
}

impl Audited {
    /// Reads what was noted; nothing in a directory that an earlier version made. A torn last line is passed over: what it was to say is in
    /// the ledger.
    pub(super) fn open(dir: &Path) -> Result<Self, StationError> {
        let path = dir.join(AUDITED);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(fault) => return Err(io(&path)(fault)),
        };
        let last = text.split_inclusive('\n').filter_map(parse).next_back();
        Ok(Self { path, last })
    }

    /// Notes a line, flushed when this returns; one that is not higher than the last is there already.
    pub(super) fn note(&mut self, lines: u64, head: Hash) -> Result<(), StationError> {
        if self.last.is_some_and(|(last, _)| last >= lines) {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(io(&self.path))?;
        // A line break before it ends what a power cut may have torn.
        let text = format!("\n{lines} {head}\n");
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(io(&self.path))?;
        self.last = Some((lines, head));
        Ok(())
    }
}

fn parse(line: &str) -> Option<(u64, Hash)> {
    let (lines, head) = line.strip_suffix('\n')?.split_once(' ')?;
    Some((lines.parse().ok()?, head.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_note_is_passed_over_and_the_next_stands_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        let hash = |byte| Hash::from_bytes([byte; 32]);
        let mut audited = Audited::open(dir.path()).unwrap();
        audited.note(3, hash(1)).unwrap();
        audited.note(2, hash(9)).unwrap();
        fs::write(
            dir.path().join(AUDITED),
            fs::read_to_string(dir.path().join(AUDITED)).unwrap() + "7 01ab",
        )
        .unwrap();
        let mut again = Audited::open(dir.path()).unwrap();
        assert_eq!(again.last, Some((3, hash(1))));
        again.note(9, hash(2)).unwrap();
        assert_eq!(Audited::open(dir.path()).unwrap().last, Some((9, hash(2))));
    }
}
