//! CSV out: UTF-8 with a byte order mark, since office programs take it for something else without one, and no cell that such a program
//! would run: what begins like a formula gets an apostrophe before it (OWASP, CSV injection), in every export of the station.

use crate::error::StationError;

/// What a formula begins with in one program or another, the wide forms of an input method included.
const STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Whether an office program may take a cell for a formula; some overlook spaces before it.
fn begins_formula(cell: &str) -> bool {
    cell.trim_start_matches([' ', '\u{a0}']).starts_with(STARTS)
}

/// A cell as it may stand in a file that somebody opens in an office program.
fn plain(cell: &str) -> String {
    if begins_formula(cell) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// A cell as it was before it was made plain.
pub(super) fn bare(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if begins_formula(rest) => rest,
        Some(_) | None => cell,
    }
}

/// A table as the bytes of a file.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_csv<R: AsRef<[String]>>(head: &[&str], rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, StationError> {
    let failed = |fault: &dyn std::fmt::Display| StationError::Invalid(format!("the table cannot be written: {fault}"));
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(head).map_err(|fault| failed(&fault))?;
    for row in rows {
        let cells: Vec<String> = row.as_ref().iter().map(|cell| plain(cell)).collect();
        writer.write_record(&cells).map_err(|fault| failed(&fault))?;
    }
    writer.into_inner().map_err(|fault| failed(&fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheets::read_csv;

    #[test]
    fn no_cell_begins_like_a_formula() {
        let hostile = [
            "=HYPERLINK(\"http://x\")",
            "+1",
            "-2+3",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "＝1+1",
            "'=1",
            "李,\"x\"\ny",
            "  =cmd|' /C calc'!A0",
            "\u{a0}@SUM(A1)",
        ];
        let rows: Vec<Vec<String>> = hostile.iter().map(|cell| vec![(*cell).to_owned(), "1-2".into()]).collect();
        let bytes = write_csv(&["name", "code"], &rows).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.starts_with("\u{feff}name,code\r\n"));
        for line in text.lines().skip(1) {
            let cell = line.trim_start_matches('"').trim_start();
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '＝']), "{line}");
        }
        for text in ["", "1-2", "核对", "a=b", "fields: name", " 1"] {
            assert_eq!(plain(text), text);
        }
        // It comes back as it was, but for spaces around it.
        let read = read_csv(&bytes).unwrap();
        assert_eq!(read.rows[0].cells[0], hostile[0]);
        assert_eq!(read.rows[2].cells[0], "-2+3");
        assert_eq!(read.rows[8].cells[0], "李,\"x\"\ny");
    }
}
