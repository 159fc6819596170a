//! The columns of the tables, by their English and Chinese heads. A column that is not known is refused, not passed over: whoever wrote it
//! meant something by it.

use std::collections::BTreeMap;

use crate::error::StationError;
use crate::sheets::{Row, Table};

/// A column: its heads, and whether it must be there.
#[derive(Debug)]
pub(super) struct Column {
    heads: &'static [&'static str],
    is_needed: bool,
}

/// Columns of units: `code`, `name`, `parent`, `level`.
pub(super) const UNITS: [Column; 4] = [
    Column {
        heads: &["code", "编码", "单位编码"],
        is_needed: true,
    },
    Column {
        heads: &["name", "名称", "单位名称"],
        is_needed: true,
    },
    Column {
        heads: &["parent", "上级编码", "上级单位编码"],
        is_needed: false,
    },
    Column {
        heads: &["level", "层级", "类型"],
        is_needed: false,
    },
];

/// Columns of people: `code`, `name`, `unit`, `roles`.
pub(super) const PEOPLE: [Column; 4] = [
    Column {
        heads: &["code", "编号", "人员编号"],
        is_needed: true,
    },
    Column {
        heads: &["name", "姓名"],
        is_needed: true,
    },
    Column {
        heads: &["unit", "单位编码", "单位"],
        is_needed: true,
    },
    Column {
        heads: &["roles", "角色"],
        is_needed: true,
    },
];

/// A line's cells in the order of the columns; what is not said is empty.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// The line's number.
    pub(super) line: u64,
    cells: [String; 4],
}

impl Cells {
    /// The cell of a column.
    pub(super) fn get(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    /// The same, when anything stands there.
    pub(super) fn said(&self, column: usize) -> Option<&str> {
        Some(self.get(column)).filter(|cell| !cell.is_empty())
    }
}

/// Reads the lines of a table by its head.
pub(super) fn read(sheet: &str, table: &Table, columns: &[Column; 4]) -> Result<Vec<Cells>, StationError> {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, head) in table.head.iter().enumerate().filter(|(_, head)| !head.is_empty()) {
        let plain = head.to_lowercase();
        let found = columns.iter().position(|column| column.heads.contains(&plain.as_str()));
        let Some(column) = found else {
            let known: Vec<String> = columns.iter().map(|column| column.heads.join("/")).collect();
            return Err(StationError::Invalid(format!(
                "{sheet}: the column {head:?} is not known: they are {}",
                known.join(", ")
            )));
        };
        if places.insert(column, place).is_some() {
            return Err(StationError::Invalid(format!("{sheet}: the column {head:?} is there twice")));
        }
    }
    for (number, column) in columns.iter().enumerate() {
        if column.is_needed && !places.contains_key(&number) {
            return Err(StationError::Invalid(format!(
                "{sheet}: the column {} is missing",
                column.heads.join("/")
            )));
        }
    }
    let beyond = |row: &Row| row.cells.iter().skip(table.head.len()).any(|cell| !cell.is_empty());
    if let Some(row) = table.rows.iter().find(|row| beyond(row)) {
        return Err(StationError::Invalid(format!(
            "{sheet}: line {} has more cells than the head",
            row.line
        )));
    }
    let cell = |row: &Row, column: usize| {
        places
            .get(&column)
            .and_then(|place| row.cells.get(*place))
            .cloned()
            .unwrap_or_default()
    };
    let cells = |row: &Row| Cells {
        line: row.line,
        cells: std::array::from_fn(|column| cell(row, column)),
    };
    Ok(table.rows.iter().map(cells).collect())
}

/// In which lines each code stands.
pub(super) struct Codes<'c>(BTreeMap<&'c str, Vec<u64>>);

impl<'c> Codes<'c> {
    /// The codes of these lines.
    pub(super) fn of(lines: &'c [Cells]) -> Self {
        let mut codes: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for line in lines {
            codes.entry(line.get(0)).or_default().push(line.line);
        }
        Self(codes)
    }

    /// Why a line's code cannot stand: it is none, or stands in another line too.
    pub(super) fn fault(&self, line: &Cells) -> Option<String> {
        if let Err(fault) = crate::registry::names::check_code(line.get(0)) {
            return Some(fault.to_string());
        }
        let other = self.0.get(line.get(0))?.iter().find(|other| **other != line.line)?;
        Some(format!("line {other} has the same code"))
    }
}
