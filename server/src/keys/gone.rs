//! The log of what must not come back: a line for each book that ended, and for whatever else is never to be undone by an older copy of
//! the database. It lies in the keys directory, outside every backup, and is written before the ledger says the same.
//!
//! A line is a word and what it is about, one space between: `revoked BOOK WHY MILLIS`. Lines of other words are kept and handed on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use beatbook_protocol::id::BookId;
use beatbook_protocol::time::UnixMillis;

use super::io;
use crate::error::StationError;

/// What a revoked book's line begins with.
const REVOKED: &str = "revoked";

/// A book that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoked {
    /// The book.
    pub(crate) book: BookId,
    /// Why.
    pub(crate) why: String,
    /// When, by the station's clock.
    pub(crate) at: UnixMillis,
}

/// The log, open.
pub(crate) struct GoneLog(Mutex<Open>);

struct Open {
    file: File,
    lines: Vec<String>,
}

impl GoneLog {
    /// Opens it; it is there, since whoever opens the directory has begun one where an earlier version kept none. A torn last line is cut off:
    /// nothing was done on its word.
    pub(super) fn open(path: &Path) -> Result<Self, StationError> {
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(io(path))?;
        let bytes = whole_lines(&mut file).map_err(io(path))?;
        let text = String::from_utf8_lossy(&bytes);
        let damaged =
            |line: &str| StationError::Keys(format!("{} is damaged at {line:?}: restore it from its copy", path.display()));
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for line in &lines {
            if line.starts_with(REVOKED) && parse(line).is_none() {
                return Err(damaged(line));
            }
        }
        Ok(Self(Mutex::new(Open { file, lines })))
    }

    /// The books that ended, in the order of their ends.
    pub(crate) fn revoked(&self) -> Vec<Revoked> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.lines.iter().filter_map(|line| parse(line)).collect()
    }

    /// Whether a book has ended.
    pub(crate) fn is_revoked(&self, book: BookId) -> bool {
        self.revoked().iter().any(|revoked| revoked.book == book)
    }

    /// Notes that a book ends, before anything else says so; on the disk when this returns.
    pub(crate) fn revoke(&self, revoked: &Revoked) -> Result<(), StationError> {
        if self.is_revoked(revoked.book) {
            return Ok(());
        }
        self.append(format!("{REVOKED} {} {} {}", revoked.book, revoked.why, revoked.at.0))
    }

    /// Puts a line behind the others. What a write before it left torn, as on a full disk, is cut off first: glued to it, neither line could
    /// be read, and the station would not open again.
    fn append(&self, line: String) -> Result<(), StationError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = whole_lines(&mut open.file)
            .and_then(|_| open.file.write_all(format!("{line}\n").as_bytes()))
            .and_then(|()| open.file.sync_data());
        written.map_err(|fault| StationError::Keys(format!("the log of what is gone cannot be written: {fault}")))?;
        open.lines.push(line);
        Ok(())
    }
}

/// The bytes up to the last line that is whole; what stands behind it is cut off.
fn whole_lines(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(u64::try_from(whole).unwrap_or(0))?;
        file.sync_data()?;
        bytes.truncate(whole);
    }
    Ok(bytes)
}

fn parse(line: &str) -> Option<Revoked> {
    let mut words = line.split(' ');
    if words.next()? != REVOKED {
        return None;
    }
    let revoked = Revoked {
        book: words.next()?.parse().ok()?,
        why: words.next()?.to_owned(),
        at: UnixMillis(words.next()?.parse().ok()?),
    };
    words.next().is_none().then_some(revoked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(byte: u8) -> Revoked {
        Revoked {
            book: BookId::from_bytes([byte; 16]),
            why: "lost".into(),
            at: UnixMillis(7),
        }
    }

    #[test]
    fn a_revoked_book_stays_revoked_and_a_torn_line_and_a_foreign_one_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone");
        std::fs::write(&path, "").unwrap();
        let log = GoneLog::open(&path).unwrap();
        log.revoke(&revoked(1)).unwrap();
        log.append("destroyed something else".into()).unwrap();
        log.revoke(&revoked(2)).unwrap();
        log.revoke(&revoked(1)).unwrap();
        drop(log);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"revoked 0303");
        std::fs::write(&path, &bytes).unwrap();
        let log = GoneLog::open(&path).unwrap();
        assert_eq!(log.revoked(), [revoked(1), revoked(2)]);
        assert!(!log.is_revoked(revoked(3).book));
        log.revoke(&revoked(3)).unwrap();
        assert_eq!(GoneLog::open(&path).unwrap().revoked().len(), 3);
        std::fs::write(&path, "revoked nobody\n").unwrap();
        assert!(GoneLog::open(&path).is_err(), "a log that cannot be read lets nobody in");
    }

    #[test]
    fn a_line_torn_at_any_byte_costs_that_line_alone_and_spoils_no_later_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone");
        std::fs::write(&path, "").unwrap();
        let log = GoneLog::open(&path).unwrap();
        log.revoke(&revoked(1)).unwrap();
        log.revoke(&revoked(2)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let kept = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            let left: Vec<Revoked> = [revoked(1), revoked(2)].into_iter().take(kept).collect();
            // A power cut: what is torn is there when the log is opened.
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let log = GoneLog::open(&path).unwrap();
            assert_eq!(log.revoked(), left, "cut at {cut}");
            log.revoke(&revoked(3)).unwrap();
            let told = [left.clone(), vec![revoked(3)]].concat();
            assert_eq!(GoneLog::open(&path).unwrap().revoked(), told, "cut at {cut}");
            // A full disk: what is torn is there when the open log goes on.
            std::fs::write(&path, "").unwrap();
            let log = GoneLog::open(&path).unwrap();
            std::fs::write(&path, &bytes[..cut]).unwrap();
            log.revoke(&revoked(3)).unwrap();
            assert_eq!(GoneLog::open(&path).unwrap().revoked(), told, "cut at {cut} while open");
        }
    }
}
