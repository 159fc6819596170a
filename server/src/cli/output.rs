//! What commands print: results on stdout, as lines or as JSON; complaints on stderr. The only module that prints.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CommandError;

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Lines for people, or JSON.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result: `name: value` lines, or one JSON object.
    pub(crate) fn report(&self, result: &impl Serialize) -> Result<(), CommandError> {
        let value = serde_json::to_value(result).map_err(|fault| CommandError::io("printing")(fault.into()))?;
        if self.json {
            return line(&value.to_string());
        }
        let mut lines = Vec::new();
        flatten("", &value, &mut lines);
        line(&lines.join("\n"))
    }

    /// Prints named texts.
    pub(crate) fn fields(&self, fields: &[(&str, String)]) -> Result<(), CommandError> {
        let fields = fields
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Value::from(text.as_str())));
        self.report(&fields.collect::<Map<String, Value>>())
    }

    /// Prints a sentence for people; JSON goes without.
    pub(crate) fn note(&self, text: &str) -> Result<(), CommandError> {
        if self.json { Ok(()) } else { line(text) }
    }
}

/// Prints a text as it is.
pub(crate) fn line(text: &str) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(CommandError::io("printing"))
}

/// Says on stderr why a command was not done.
pub(crate) fn complain(error: &CommandError) {
    // Nobody is left to be told when stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "beatbook-server: {error}");
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<String>) {
    let inner = |key: &str| {
        if name.is_empty() {
            key.to_owned()
        } else {
            format!("{name}.{key}")
        }
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&inner(key), value, lines)),
        Value::Array(items) if items.is_empty() => lines.push(format!("{name}: none")),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&inner(&at.to_string()), item, lines);
            }
        }
        Value::String(text) => lines.push(format!("{name}: {text}")),
        Value::Null | Value::Bool(_) | Value::Number(_) => lines.push(format!("{name}: {value}")),
    }
}
