//! A byte source that counts lines and stops at limits, so that a parser which holds one piece of markup whole cannot be made to hold a
//! file. Knows no XML.

use std::io::{self, BufRead, Read};

/// The limit at which a source stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Of the whole file.
    File,
    /// Of one piece of markup.
    Markup,
}

/// The source.
#[derive(Debug)]
pub(super) struct LimitedSource<R> {
    inner: R,
    file_left: u64,
    markup_left: usize,
    markup_bytes_max: usize,
    lines: u64,
    limit: Option<Limit>,
    is_at_end: bool,
}

impl<R> LimitedSource<R> {
    pub(super) fn new(inner: R, file_bytes_max: u64, markup_bytes_max: usize) -> Self {
        Self {
            inner,
            file_left: file_bytes_max,
            markup_left: markup_bytes_max,
            markup_bytes_max,
            lines: 1,
            limit: None,
            is_at_end: false,
        }
    }

    /// The next piece of markup begins.
    pub(super) fn begin_markup(&mut self) {
        self.markup_left = self.markup_bytes_max;
    }

    /// The line that is being read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines
    }

    /// The limit that was met, if one was.
    pub(super) fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// Whether the last byte has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }
}

impl<R: BufRead> BufRead for LimitedSource<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let available = self.inner.fill_buf()?;
        self.is_at_end = available.is_empty();
        if !available.is_empty() {
            if self.file_left == 0 {
                self.limit = Some(Limit::File);
            } else if self.markup_left == 0 {
                self.limit = Some(Limit::Markup);
            }
        }
        if self.limit.is_some() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let allowed = usize::try_from(self.file_left).unwrap_or(usize::MAX).min(self.markup_left);
        Ok(&available[..available.len().min(allowed)])
    }

    fn consume(&mut self, amount: usize) {
        // The inner buffer still holds these bytes: reading it again costs nothing.
        if let Ok(available) = self.inner.fill_buf() {
            let used = &available[..amount.min(available.len())];
            self.lines += used.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.inner.consume(amount);
        self.file_left = self.file_left.saturating_sub(amount as u64);
        self.markup_left = self.markup_left.saturating_sub(amount);
    }
}

impl<R: BufRead> Read for LimitedSource<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(out.len());
        out[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}
