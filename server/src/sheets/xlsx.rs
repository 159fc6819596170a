//! XLSX in: the cells of each sheet as text, by the row in which they stand. Formulas count as what they came to; dates are no cells of
//! ours and come as their text.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};

use super::{COLUMNS_MAX, ROWS_MAX, Row, Table, check_length, csv_out, packed, wrong};
use crate::error::StationError;

/// Sheets of a workbook at most.
const SHEETS_MAX: usize = 16;

/// Reads the sheets of a workbook, by name; empty ones are left out.
///
/// # Errors
/// When it is none, or would come to too much; the text says what to do.
pub(crate) fn read_xlsx(bytes: &[u8]) -> Result<Vec<(String, Table)>, StationError> {
    check_length(bytes)?;
    packed::check(bytes)?;
    let broken = |fault: &dyn std::fmt::Display| wrong(&format!("{fault}: save it anew as XLSX or as \"CSV UTF-8\""));
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|fault| broken(&fault))?;
    let names = book.sheet_names();
    if names.len() > SHEETS_MAX {
        return Err(wrong(&format!("it has more than {SHEETS_MAX} sheets")));
    }
    let mut tables = Vec::new();
    for name in names {
        let mut cells = book.worksheet_cells_reader(&name).map_err(|fault| broken(&fault))?;
        let mut rows: BTreeMap<u32, BTreeMap<u32, String>> = BTreeMap::new();
        while let Some(cell) = cells.next_cell().map_err(|fault| broken(&fault))? {
            let (row, column) = cell.get_position();
            let text = text(&Data::from(cell.get_value().clone()));
            if text.is_empty() {
                continue;
            }
            if usize::try_from(column).unwrap_or(usize::MAX) >= COLUMNS_MAX {
                return Err(wrong(&format!(
                    "line {} of {name} has more than {COLUMNS_MAX} columns",
                    row + 1
                )));
            }
            rows.entry(row).or_default().insert(column, text);
            if rows.len() > ROWS_MAX + 1 {
                return Err(wrong(&format!("{name} has more than {ROWS_MAX} rows: bring it in in parts")));
            }
        }
        if rows.is_empty() {
            continue;
        }
        tables.push((name, Table::of(rows.into_iter().map(|row| Ok(laid_out(row))))?));
    }
    Ok(tables)
}

fn laid_out((row, cells): (u32, BTreeMap<u32, String>)) -> Row {
    let last = cells.keys().next_back().copied().unwrap_or(0);
    let mut cells = cells;
    Row {
        line: u64::from(row) + 1,
        cells: (0..=last).map(|column| cells.remove(&column).unwrap_or_default()).collect(),
    }
}

fn text(cell: &Data) -> String {
    match cell {
        // A code that is all digits is a number there.
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Data::Empty => String::new(),
        other => csv_out::bare(other.to_string().trim()).to_owned(),
    }
}
