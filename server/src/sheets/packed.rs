//! What a packed office file would come to, looked at before anything unpacks it: how much, and how many strings it says that it has. A
//! few kilobytes may say gigabytes, and a program that believes them ends. Knows the packing (APPNOTE 6.3.10) and nothing of tables.

use std::io::Read;

use flate2::read::DeflateDecoder;

use super::wrong;
use crate::error::StationError;

/// Files within a file at most: a workbook has a dozen.
const FILES_MAX: usize = 256;
/// Bytes that they come to at most.
const UNPACKED_MAX: u64 = 64 * 1024 * 1024;
/// Strings that a workbook says that it has, at most: every cell of the longest table.
const STRINGS_MAX: u64 = 640_000;
/// The word before that number.
const COUNT: &[u8] = b"uniqueCount";

/// Refuses a file that would come to too much.
///
/// # Errors
/// When it would, or is no packed file of the plain sort.
pub(super) fn check(bytes: &[u8]) -> Result<(), StationError> {
    let files = files(bytes).ok_or_else(|| wrong("it is no XLSX file"))?;
    let unpacked = files.iter().map(|file| file.unpacked).fold(0, u64::saturating_add);
    if files.len() > FILES_MAX || unpacked > UNPACKED_MAX {
        return Err(wrong(
            "it unpacks to more than any list of people and units: bring it in as CSV",
        ));
    }
    for file in files
        .iter()
        .filter(|file| file.name.to_ascii_lowercase().ends_with("sharedstrings.xml"))
    {
        let content = content(bytes, file).ok_or_else(|| wrong("it is no XLSX file, or a damaged one"))?;
        if counts(&content).any(|count| count > STRINGS_MAX) {
            return Err(wrong("it says that it has more strings than it can have"));
        }
    }
    Ok(())
}

/// A file within the file.
struct Inner {
    name: String,
    /// 0 stored, 8 deflated.
    method: u16,
    packed: u64,
    unpacked: u64,
    /// Where its own head is.
    head: usize,
}

/// The list of files at its end.
fn files(bytes: &[u8]) -> Option<Vec<Inner>> {
    let places = |mark: &'static [u8]| {
        bytes
            .windows(4)
            .enumerate()
            .filter(move |(_, window)| *window == mark)
            .map(|(at, _)| at)
    };
    // Two ends, or the end of the long form beside the short one, are read one way by one program and another way by the next.
    let mut ends = places(b"PK\x05\x06");
    let (end, None) = (ends.next()?, ends.next()) else {
        return None;
    };
    if places(b"PK\x06\x06").next().is_some() || places(b"PK\x06\x07").next().is_some() {
        return None;
    }
    let count = usize::from(u16_at(bytes, end + 10)?);
    let mut at = usize::try_from(u32_at(bytes, end + 16)?).ok()?;
    let mut files = Vec::new();
    for _ in 0..count.min(FILES_MAX + 1) {
        if bytes.get(at..at + 4)? != b"PK\x01\x02" {
            return None;
        }
        let name_len = usize::from(u16_at(bytes, at + 28)?);
        let rest = usize::from(u16_at(bytes, at + 30)?) + usize::from(u16_at(bytes, at + 32)?);
        files.push(Inner {
            method: u16_at(bytes, at + 10)?,
            packed: u64::from(u32_at(bytes, at + 20)?),
            unpacked: u64::from(u32_at(bytes, at + 24)?),
            head: usize::try_from(u32_at(bytes, at + 42)?).ok()?,
            name: String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name_len)?).into_owned(),
        });
        at += 46 + name_len + rest;
    }
    Some(files)
}

/// The content of a file within, as far as its entry in the list says that it goes.
fn content(bytes: &[u8], file: &Inner) -> Option<Vec<u8>> {
    if bytes.get(file.head..file.head + 4)? != b"PK\x03\x04" {
        return None;
    }
    let names = usize::from(u16_at(bytes, file.head + 26)?) + usize::from(u16_at(bytes, file.head + 28)?);
    let begin = file.head + 30 + names;
    let packed = bytes.get(begin..begin.checked_add(usize::try_from(file.packed).ok()?)?)?;
    match file.method {
        0 => Some(packed.to_vec()),
        8 => {
            let mut content = Vec::new();
            DeflateDecoder::new(packed)
                .take(file.unpacked)
                .read_to_end(&mut content)
                .ok()?;
            Some(content)
        }
        _ => None,
    }
}

/// The numbers behind that word, wherever it stands.
fn counts(content: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let places = content
        .windows(COUNT.len())
        .enumerate()
        .filter(|(_, window)| *window == COUNT);
    places.map(|(at, _)| {
        let rest = content.get(at + COUNT.len()..).unwrap_or_default();
        let digits = rest.iter().skip_while(|byte| b" \t\r\n=\"'".contains(byte));
        digits.take_while(|byte| byte.is_ascii_digit()).fold(0_u64, |number, digit| {
            number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        })
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_found_however_it_is_spaced() {
        let found: Vec<u64> =
            counts(b"<sst count=\"9\" uniqueCount = '123'><si/> uniqueCount=\"99999999999999999999999\"").collect();
        assert_eq!(found, [123, u64::MAX]);
        assert_eq!(counts(b"uniqueCount").collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_is_no_packed_file_is_none() {
        for bytes in [
            &b""[..],
            b"PK\x05\x06",
            b"PK\x03\x04PK\x05\x06aaaaaaaaaaaaaaaaaaaaaaaa",
            b"name,code",
        ] {
            assert!(check(bytes).is_err());
        }
    }
}
