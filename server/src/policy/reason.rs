//! Why somebody reads what is masked: his own words, which stand in the audit log beside what he read.

use crate::error::StationError;

/// Least and greatest length of a reason in characters: a word that says something, a sentence that says all.
pub const REASON_CHARS: (usize, usize) = (4, 200);

/// A reason as it is kept: trimmed, one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Checks what somebody said.
    ///
    /// # Errors
    /// When it is too short or too long, or holds a line break or another control character, with which a line of the log could be forged.
    pub fn parse(text: &str) -> Result<Self, StationError> {
        let text = text.trim();
        let (least, most) = REASON_CHARS;
        if !(least..=most).contains(&text.chars().count()) {
            return Err(StationError::Invalid(format!("a reason has {least} to {most} characters")));
        }
        if !is_one_line(text) {
            return Err(StationError::Invalid("a reason is one line of plain text".into()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A reason, ground or decision as it is kept beside what was done for it: trimmed, 1 to `most` characters, one line that shows itself as it
/// is; none when it is not that.
pub(crate) fn plain_line(text: &str, most: usize) -> Option<&str> {
    let text = text.trim();
    ((1..=most).contains(&text.chars().count()) && is_one_line(text)).then_some(text)
}

/// Whether a text that somebody else will be shown is one line that shows itself as it is: no line of a log, a list or a table can be forged
/// with it.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_unseen(c))
}

/// Line and paragraph separators, and the marks that turn the direction of what follows: text after them is shown where it does not stand.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        assert_eq!(Reason::parse("  复核投诉 ").unwrap().as_str(), "复核投诉");
        Reason::parse(&"核".repeat(200)).unwrap();
        let long = "核".repeat(201);
        for wrong in ["", "   ", "abc", &long, "one\ntwo two", "esc\u{1b}[31m red", "a\u{202e}bcdef"] {
            assert!(Reason::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_ground_is_one_line_that_shows_itself_as_it_is() {
        assert_eq!(plain_line("  (2026)京01民初77号 ", 20), Some("(2026)京01民初77号"));
        assert_eq!(plain_line(&"长".repeat(20), 20).map(str::len), Some(60));
        let long = "长".repeat(21);
        for wrong in [
            "",
            " \n ",
            &long,
            "one\ntwo",
            "esc\u{1b}[31m",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{2066}b",
        ] {
            assert_eq!(plain_line(wrong, 20), None, "{wrong:?}");
        }
    }
}
