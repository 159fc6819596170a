//! The hint channel as the phone hears it: server-sent events (HTML standard, section 9.2) of which only "a hint came" is taken. Holds a
//! bounded line; knows nothing of records, and nothing of when to ask.

/// The longest line that a station's stream has any reason to send.
const LINE_BYTES_MAX: usize = 1024;

/// Why a stream of hints is not there, or no longer.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum HintFault {
    /// The station does not take the token: the next exchange brings a new one.
    #[error("the station does not take the token for hints")]
    SignIn,
    /// No stream now: no connection, no place, or the stream ended. Asking at intervals goes on.
    #[error("no hints at the moment: {0}")]
    Ended(String),
}

/// A stream of hints that is open.
pub trait HintStream {
    /// Waits for the next hint. What came before it was asked for is kept.
    fn next(&mut self) -> impl Future<Output = Result<(), HintFault>> + Send;
}

/// Opens streams of hints.
pub trait HintTransport: super::Transport {
    /// A stream.
    type Stream: HintStream + Send;

    /// Opens the stream of the book that the token is of.
    fn listen(&self, token: &str) -> impl Future<Output = Result<Self::Stream, HintFault>> + Send;
}

/// Reads events out of pieces of any length.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    line: Vec<u8>,
    is_hint: bool,
    hints: usize,
}

impl EventReader {
    /// Takes in a piece.
    ///
    /// # Errors
    /// When a line is longer than any of a station: it is none.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), HintFault> {
        for byte in piece {
            match byte {
                b'\n' => self.end_line(),
                b'\r' => {}
                _ if self.line.len() >= LINE_BYTES_MAX => {
                    return Err(HintFault::Ended("what came is no stream of hints".into()));
                }
                _ => self.line.push(*byte),
            }
        }
        Ok(())
    }

    /// Takes one hint out, if any came.
    pub(super) fn hint(&mut self) -> bool {
        let came = self.hints > 0;
        self.hints = self.hints.saturating_sub(1);
        came
    }

    fn end_line(&mut self) {
        match self.line.as_slice() {
            b"event: hint" | b"event:hint" => self.is_hint = true,
            // An event ends at an empty line; comments and data say nothing that is needed.
            b"" => self.hints += usize::from(std::mem::take(&mut self.is_hint)),
            _ => {}
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_found_in_pieces_of_any_length_and_nothing_else_is_one() {
        let stream =
            b": listening\n\nevent: hint\ndata: 1\n\n:\n\nevent: other\ndata: 9\n\ndata: hint\n\nevent: hint\r\ndata: 2\r\n\r\n";
        for length in 1..stream.len() {
            let mut reader = EventReader::default();
            let mut hints = 0;
            for piece in stream.chunks(length) {
                reader.take(piece).unwrap();
                while reader.hint() {
                    hints += 1;
                }
            }
            assert_eq!(hints, 2, "in pieces of {length}");
        }
    }

    #[test]
    fn a_line_without_end_is_no_stream_of_hints() {
        let mut reader = EventReader::default();
        assert!(reader.take(&[b'x'; LINE_BYTES_MAX]).is_ok());
        assert!(reader.take(b"x").is_err());
    }
}
