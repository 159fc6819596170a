//! Tables in and out: CSV and XLSX as people's office programs write them, CSV as such programs may safely open it. Knows rows of cells
//! and their limits, and nothing of what they mean.

mod csv_in;
mod csv_out;
mod packed;
mod xlsx;

pub(crate) use csv_in::read_csv;
pub(crate) use csv_out::write_csv;
pub(crate) use xlsx::read_xlsx;

use crate::error::StationError;

/// Bytes of a file at most: ten thousand rows take a tenth of it.
pub(crate) const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows below the head at most.
pub(crate) const ROWS_MAX: usize = 10_000;
/// Columns at most.
const COLUMNS_MAX: usize = 64;
/// Characters of one cell at most.
const CELL_CHARS_MAX: usize = 1_000;

/// A table as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// The first line.
    pub(crate) head: Vec<String>,
    /// The others, but for empty ones.
    pub(crate) rows: Vec<Row>,
}

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its number in the file, from 1, as office programs show it.
    pub(crate) line: u64,
    /// Its cells, without spaces around them.
    pub(crate) cells: Vec<String>,
}

impl Table {
    /// A table of lines, each within the limits.
    fn of(lines: impl IntoIterator<Item = Result<Row, StationError>>) -> Result<Self, StationError> {
        let mut lines = lines.into_iter();
        let head = lines.next().ok_or_else(|| wrong("the file is empty"))??;
        check_cells(&head)?;
        let mut rows = Vec::new();
        for row in lines {
            let row = row?;
            check_cells(&row)?;
            if row.cells.iter().all(String::is_empty) {
                continue;
            }
            if rows.len() == ROWS_MAX {
                return Err(wrong(&format!("it has more than {ROWS_MAX} rows: bring it in in parts")));
            }
            rows.push(row);
        }
        Ok(Self { head: head.cells, rows })
    }
}

fn check_cells(row: &Row) -> Result<(), StationError> {
    if row.cells.len() > COLUMNS_MAX {
        return Err(wrong(&format!("line {} has more than {COLUMNS_MAX} columns", row.line)));
    }
    if row.cells.iter().any(|cell| cell.chars().count() > CELL_CHARS_MAX) {
        return Err(wrong(&format!(
            "line {} has a cell of more than {CELL_CHARS_MAX} characters",
            row.line
        )));
    }
    Ok(())
}

fn check_length(bytes: &[u8]) -> Result<(), StationError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(wrong(&format!(
            "it is longer than {FILE_BYTES_MAX} bytes: bring it in in parts"
        )));
    }
    Ok(())
}

fn wrong(what: &str) -> StationError {
    StationError::Invalid(format!("the table cannot be read: {what}"))
}
