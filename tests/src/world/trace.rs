//! What happened in a world, line by line: kept as one hash, so that two runs of a seed can be compared, and told aloud when asked for.

use std::fmt::Arguments;
use std::io::Write;

use beatbook_protocol::id::Hash;

/// The story of one run.
#[derive(Debug)]
pub struct Trace {
    hash: Hash,
    lines: u64,
    is_told: bool,
    last: Vec<String>,
}

/// Lines that a failure shows.
const LAST: usize = 12;

impl Trace {
    /// An empty story; `is_told` also writes each line to standard output.
    #[must_use]
    pub fn new(is_told: bool) -> Self {
        Self {
            hash: Hash::of(&[b"beatbook/trace\0"]),
            lines: 0,
            is_told,
            last: Vec::new(),
        }
    }

    /// The next line.
    pub fn say(&mut self, line: Arguments<'_>) {
        let line = line.to_string();
        self.hash = Hash::of(&[self.hash.as_bytes(), line.as_bytes()]);
        self.lines += 1;
        if self.is_told {
            // A reader that has gone away is no reason to end a run.
            let _ = writeln!(std::io::stdout().lock(), "{:>5} {line}", self.lines);
        }
        if self.last.len() == LAST {
            self.last.remove(0);
        }
        self.last.push(line);
    }

    /// The hash over all lines so far.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The newest lines.
    #[must_use]
    pub fn last(&self) -> &[String] {
        &self.last
    }
}
