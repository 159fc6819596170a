//! Blotting out of a text what looks like a secret, a person's number or a place. Knows patterns alone: what it does not know it
//! does not find.

use std::ops::Range;

/// What stands in the place of it.
const BLOT: &str = "▮▮▮";
/// Digits in a row from which on a number may be somebody's (a telephone, an identity card).
const DIGITS_MAX: usize = 7;
/// Characters in a row, of those that keys and tokens are written in, from which on it may be one.
const TOKEN_CHARS_MAX: usize = 24;
/// Digits of a PIN at least; fewer are a count.
const PIN_DIGITS_MIN: usize = 4;
/// Decimals of a degree from which on a pair of numbers is a place, to some ten metres. Times and ratios have fewer.
const PLACE_DECIMALS_MIN: usize = 4;
/// How telephone numbers are grouped.
const TELEPHONE_GROUPS: [usize; 3] = [3, 4, 4];

/// The text, with all of it blotted out.
pub(crate) fn blotted(text: &str) -> String {
    let words = without_words(text);
    let mut out = String::with_capacity(words.len());
    let (mut rest, mut before) = (words.as_str(), None);
    while let Some(c) = rest.chars().next() {
        if let Some(found) = telling(rest, before) {
            let (kept, after) = (rest.get(..found.start), rest.get(found.end..));
            out.push_str(kept.unwrap_or_default());
            out.push_str(BLOT);
            (rest, before) = (after.unwrap_or_default(), Some('▮'));
        } else {
            out.push(c);
            (rest, before) = (rest.get(c.len_utf8()..).unwrap_or_default(), Some(c));
        }
    }
    out
}

/// What is seen in one word: long numbers, keys and tokens, places as URIs.
fn without_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('\n')) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=' | '.' | ':' | '@' | ',' | ';') {
            word.push(c);
            continue;
        }
        out.push_str(if is_telling(&word) { BLOT } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// Whether a word may be a secret, a number of a person, or a place.
fn is_telling(word: &str) -> bool {
    let digits = word.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let run = word.split(['.', ':', '@', ',', ';']).map(str::len).max().unwrap_or(0);
    let is_mixed = word.contains(|c: char| c.is_ascii_digit()) && word.contains(|c: char| c.is_ascii_alphabetic());
    word.starts_with("geo:") || digits >= DIGITS_MAX || (run >= TOKEN_CHARS_MAX && is_mixed) || run >= 2 * TOKEN_CHARS_MAX
}

/// The part of a text to blot out, when its beginning is the beginning of something telling: that needs to be seen across words.
fn telling(text: &str, before: Option<char>) -> Option<Range<usize>> {
    // Within a number or a name nothing begins.
    let is_inside = |c: char| c.is_ascii_digit() || c == '.';
    let of_number = || {
        if before.is_some_and(is_inside) {
            None
        } else {
            telephone(text).or_else(|| degrees(text))
        }
    };
    of_number().map(|end| 0..end).or_else(|| pin(text, before))
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The end of a mobile number in groups with one dash or space between them, as people write it.
fn telephone(text: &str) -> Option<usize> {
    let mut second = text.chars().skip(1);
    if !text.starts_with('1') || !matches!(second.next(), Some('3'..='9')) {
        return None;
    }
    let mut end = 0;
    for (number, group) in TELEPHONE_GROUPS.into_iter().enumerate() {
        if number > 0 {
            end += usize::from(text.get(end..)?.starts_with(['-', ' ']));
        }
        if digits(text.get(end..)?) != group {
            return None;
        }
        end += group;
    }
    Some(end)
}

/// The end of two numbers that may be degrees of latitude and longitude, in either order, with a comma, a semicolon or spaces
/// between them.
fn degrees(text: &str) -> Option<usize> {
    let first = degree(text)?;
    let rest = text.get(first..)?;
    let between = rest.trim_start_matches([',', ';', ' ']);
    let gap = rest.len() - between.len();
    if gap == 0 || gap > 3 {
        return None;
    }
    Some(first + gap + degree(between)?)
}

/// The end of a number that may be a degree.
fn degree(text: &str) -> Option<usize> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let whole = digits(text.get(sign..)?);
    let point = sign + whole;
    let decimals = digits(text.get(point..)?.strip_prefix('.')?);
    let end = point + 1 + decimals;
    let mut after = text.get(end..)?.chars();
    let is_part_of_more = match after.next() {
        Some('.') => after.next().is_some_and(|c| c.is_ascii_digit()),
        next => next.is_some_and(|c| c.is_ascii_alphabetic()),
    };
    let value: f64 = text.get(..end)?.parse().ok()?;
    let is_degree = (1..=3).contains(&whole) && decimals >= PLACE_DECIMALS_MIN && value.abs() <= 180.0 && !is_part_of_more;
    is_degree.then_some(end)
}

/// The digits of a PIN that is named as one (`pin=…`, `"new_pin": "…"`, `pin: Some("…")`).
fn pin(text: &str, before: Option<char>) -> Option<Range<usize>> {
    // `newPin` is one, `spin` is none.
    let is_name = text.get(..3)?.eq_ignore_ascii_case("pin");
    let begins = text.starts_with('P') || before.is_none_or(|c| !c.is_alphanumeric());
    if !is_name || !begins {
        return None;
    }
    let named = text.get(3..)?.trim_start_matches(['"', '\'', '\\']).trim_start();
    let value = named.strip_prefix(['=', ':'])?.trim_start();
    let value = value
        .strip_prefix("Some(")
        .unwrap_or(value)
        .trim_start_matches(['"', '\'', '\\']);
    let (begin, length) = (text.len() - value.len(), digits(value));
    (length >= PIN_DIGITS_MIN).then_some(begin..begin + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_or_a_number_is_blotted_out_and_the_rest_stays() {
        for (text, shown) in [
            ("call 13812345678 now", "call ▮▮▮ now"),
            ("身份证 110101199003074258。", "身份证 ▮▮▮。"),
            ("token=bb_3f9a8c77e1d24b5591aa03c4d1e0f7aa!", "▮▮▮!"),
            ("at geo:39.97,116.44;u=12 now", "at ▮▮▮ now"),
            ("synced 12 entries in 3 requests", "synced 12 entries in 3 requests"),
            ("the station asks for another version", "the station asks for another version"),
        ] {
            assert_eq!(blotted(text), shown, "{text}");
        }
    }

    #[test]
    fn a_telephone_number_in_groups_is_blotted_out() {
        for (text, shown) in [
            ("call 138-1234-5678 now", "call ▮▮▮ now"),
            ("call 138 1234 5678", "call ▮▮▮"),
            ("138 1234-5678,159-8765-4321", "▮▮▮,▮▮▮"),
            ("电话+86 138 1234 5678。", "电话+86 ▮▮▮。"),
            ("tel:+86-138-1234-5678", "tel:+86-▮▮▮"),
        ] {
            assert_eq!(blotted(text), shown, "{text}");
        }
    }

    #[test]
    fn a_pair_of_degrees_is_blotted_out() {
        for (text, shown) in [
            ("at 39.971743,116.441827 now", "at ▮▮▮ now"),
            ("(39.9717, 116.4418)", "(▮▮▮)"),
            ("place=-33.86882,151.20930", "place=▮▮▮"),
            ("geo 116.441827 39.971743.", "geo ▮▮▮."),
        ] {
            assert!(!blotted(text).contains("39.97") && !blotted(text).contains("33.86"), "{text}");
            assert_eq!(blotted(text), shown, "{text}");
        }
    }

    #[test]
    fn a_pin_that_is_named_is_blotted_out() {
        for (text, shown) in [
            ("pin=518264", "pin=▮▮▮"),
            (r#"{"pin": "518264", "user": 3}"#, r#"{"pin": "▮▮▮", "user": 3}"#),
            (r#"{"new_pin":"518264"}"#, r#"{"new_pin":"▮▮▮"}"#),
            ("PIN: 518264 is wrong", "PIN: ▮▮▮ is wrong"),
            ("newPin = '518264'", "newPin = '▮▮▮'"),
            (r#"Order { pin: Some("518264") }"#, r#"Order { pin: Some("▮▮▮") }"#),
        ] {
            assert_eq!(blotted(text), shown, "{text}");
        }
    }

    #[test]
    fn ordinary_lines_stay_as_they_are() {
        for text in [
            "synced 138 entries in 1234 requests, 5678 bytes up",
            "2026-11-27 17:42:53.123 version 0.1.0 of 12.34.5678",
            "2026-11-27T17:42:53Z took 12.345 ms, 130.25 ms at most",
            "waited 1.234, 5.678 and 0.5 s",
            "p50 12.345678ms, p99 113.456789ms",
            "the pin is wrong; pin: try again, pins=12, spin=123456",
            "139-123-4567 of 1381-234-5678",
            "epoch 3 at position 4096, 17 of 120 pages",
            "10.0.0.2:8443 answered 200 in 35 ms",
            "",
            "走访 12 户，用时 35 分钟",
        ] {
            assert_eq!(blotted(text), text);
        }
    }
}
