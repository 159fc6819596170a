//! Where in a kind file something stands, so that a fault found in the checked model can be named by its line. Judges nothing.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step from the top of a file to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A key of a table.
    Key(&'a str),
    /// An element of an array.
    At(usize),
}

/// The lines of a file's values.
pub(super) struct Lines<'t> {
    text: &'t str,
    root: Option<Spanned<DeTable<'t>>>,
}

impl<'t> Lines<'t> {
    /// Reads a file for its lines. A text that is no TOML has only its first line.
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            text,
            root: DeTable::parse(text).ok(),
        }
    }

    /// The line (from 1) of the deepest value on this way that is there.
    pub(super) fn line(&self, way: &[Step<'_>]) -> usize {
        self.line_of_byte(self.start(way))
    }

    /// The line on which a text value's content begins: after `"""` and a line break that is the next one.
    pub(super) fn text_line(&self, way: &[Step<'_>]) -> usize {
        let start = self.start(way);
        let opens_below = self.text.get(start..).is_some_and(|rest| {
            ["\"\"\"", "'''"]
                .iter()
                .any(|quotes| rest.strip_prefix(quotes).is_some_and(|inner| inner.starts_with(['\n', '\r'])))
        });
        self.line_of_byte(start) + usize::from(opens_below)
    }

    /// The line of a byte of the text.
    pub(super) fn line_of_byte(&self, byte: usize) -> usize {
        self.text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
    }

    fn start(&self, way: &[Step<'_>]) -> usize {
        let Some(root) = &self.root else { return 0 };
        let Some((Step::Key(first), rest)) = way.split_first() else {
            return 0;
        };
        let Some(mut value) = child(root.get_ref(), first) else {
            return 0;
        };
        let mut start = value.span().start;
        for step in rest {
            let next = match (step, value.get_ref()) {
                (Step::Key(key), DeValue::Table(table)) => child(table, key),
                (Step::At(index), DeValue::Array(array)) => array.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            value = next;
            start = value.span().start;
        }
        start
    }
}

fn child<'a, 't>(table: &'a DeTable<'t>, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
    table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{At, Key};

    #[test]
    fn values_are_found_by_their_line() {
        let text = "code = \"a\"\n\n[[field]]\ncode = \"x\"\n[[field.field]]\ncode = \"y\"\n[[field]]\ncode = \"z\"\nrelevant = \"\"\"\ntrue\"\"\"\n";
        let lines = Lines::of(text);
        assert_eq!(lines.line(&[Key("code")]), 1);
        assert_eq!(lines.line(&[Key("field"), At(0)]), 3);
        assert_eq!(lines.line(&[Key("field"), At(0), Key("field"), At(0), Key("code")]), 6);
        assert_eq!(lines.line(&[Key("field"), At(1), Key("missing")]), 7);
        assert_eq!(lines.line(&[Key("field"), At(1), Key("relevant")]), 9);
        assert_eq!(lines.text_line(&[Key("field"), At(1), Key("relevant")]), 10);
        assert_eq!(Lines::of("= =").line(&[Key("code")]), 1);
    }
}
