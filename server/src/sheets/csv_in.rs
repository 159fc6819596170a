//! CSV in: UTF-8, with or without a byte order mark (RFC 4180). What is written in another encoding is told apart from what is broken.

use super::{Row, Table, check_length, csv_out, wrong};
use crate::error::StationError;

/// Reads a table out of the bytes of a file.
///
/// # Errors
/// When it is not UTF-8, too long, or no CSV; the text says what to do.
pub(crate) fn read_csv(bytes: &[u8]) -> Result<Table, StationError> {
    check_length(bytes)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(wrong("it is UTF-16: save it as \"CSV UTF-8\" or as XLSX"));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(wrong(
            "it is no CSV but an XLSX or another packed file: name it as what it is",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| {
        wrong(
            "it is not UTF-8; Chinese office programs save plain CSV as GB18030 (GBK): save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔) or as XLSX",
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut lines = Lines { text, at: 0, line: 1 };
    let rows = reader.records().map(|record| {
        let record = record.map_err(|fault| wrong(&fault.to_string()))?;
        let line = record.position().map_or(0, |position| lines.reach(position.byte()));
        let cells = record.iter().map(|cell| csv_out::bare(cell.trim()).to_owned()).collect();
        Ok(Row { line, cells })
    });
    Table::of(rows)
}

/// Which line of a text a place in it is in. Asked for rising places only; the reader's own count is behind where lines end in CR LF.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn reach(&mut self, byte: u64) -> u64 {
        let bytes = self.text.as_bytes();
        let begin = usize::try_from(byte).unwrap_or(usize::MAX).min(bytes.len());
        // The place may be at the line break before the record.
        let breaks = bytes
            .iter()
            .skip(begin)
            .take_while(|byte| matches!(**byte, b'\r' | b'\n'))
            .count();
        let passed = bytes.get(self.at..begin + breaks).unwrap_or_default();
        self.line += passed.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.at = self.at.max(begin + breaks);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_is_read_with_and_without_its_mark() {
        let plain = read_csv("编码,名称\r\n1,\"东街, 一号\"\n\n2, 西街 \n".as_bytes()).unwrap();
        let marked = read_csv("\u{feff}编码,名称\n1,\"东街, 一号\"\n\n2,西街\n".as_bytes()).unwrap();
        assert_eq!(plain, marked);
        assert_eq!(plain.head, ["编码", "名称"]);
        assert_eq!((plain.rows[0].line, plain.rows[0].cells[1].as_str()), (2, "东街, 一号"));
        assert_eq!((plain.rows[1].line, plain.rows[1].cells[1].as_str()), (4, "西街"));
    }

    #[test]
    fn what_is_no_utf_8_says_what_to_do() {
        // "编码" in GB18030.
        let fault = read_csv(&[0xb1, 0xe0, 0xc2, 0xeb, b'\n']).unwrap_err().to_string();
        assert!(fault.contains("GB18030") && fault.contains("CSV UTF-8"), "{fault}");
        assert!(read_csv(&[0xff, 0xfe, 1, 0]).unwrap_err().to_string().contains("UTF-16"));
        assert!(read_csv(b"PK\x03\x04").unwrap_err().to_string().contains("XLSX"));
        assert!(read_csv(b"").is_err());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let rows = |count: usize| format!("code\n{}", "1\n".repeat(count));
        assert_eq!(read_csv(rows(10_000).as_bytes()).unwrap().rows.len(), 10_000);
        assert!(read_csv(rows(10_001).as_bytes()).is_err());
        assert!(read_csv(format!("code\n{}", "a".repeat(1_001)).as_bytes()).is_err());
        assert!(read_csv(",".repeat(64).as_bytes()).is_err() && read_csv(",".repeat(63).as_bytes()).is_ok());
        assert!(read_csv(&vec![b'a'; 4 * 1024 * 1024 + 1]).is_err());
    }
}
