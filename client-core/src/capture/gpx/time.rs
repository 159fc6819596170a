//! Times as GPX writes them (xsd:dateTime, of which RFC 3339 is the usual part), read by hand: a calendar crate is not worth its size on a
//! phone for one format.

use beatbook_protocol::time::UnixMillis;

/// Reads `2026-11-23T08:15:00Z`, with a fraction or an offset if there is one. Without a zone it is UTC, as GPX 1.1 demands. A leap second
/// counts as the second after it; beyond milliseconds a fraction is cut.
pub(super) fn parse(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, offset_minutes) = split_zone(time)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (days_before(year, month, day) * 24 + hour) * 3600 + (minute - offset_minutes) * 60 + second;
    Some(UnixMillis(seconds * 1000 + millis(fraction)?))
}

/// The time of day and the zone's minutes east of UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(place) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(place);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some((time, sign * (hours * 60 + minutes)))
}

/// As many numbers as there are widths, each of exactly that many digits.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts
            .next()
            .filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn millis(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<3}").get(..3)?.parse().ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant, `days_from_civil`): years begin in March, so that the leap day is
/// their last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_zones_and_fractions() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2010-06-17T09:41:04Z", 1_276_767_664_000),
            ("2010-06-17T17:41:04+08:00", 1_276_767_664_000),
            ("2010-06-17T04:11:04-05:30", 1_276_767_664_000),
            ("2010-06-17t09:41:04.5z", 1_276_767_664_500),
            ("2010-06-17T09:41:04.123456789Z", 1_276_767_664_123),
            ("2010-06-17T09:41:04", 1_276_767_664_000),
            ("2000-02-29T23:59:59Z", 951_868_799_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(parse(text), Some(UnixMillis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2010-06-17",
            "2010-06-17T09:41Z",
            "2010-06-17T09:41:04.Z",
            "2010-06-17T24:00:00Z",
            "2010-06-17T09:60:00Z",
            "2010-13-17T09:41:04Z",
            "2010-02-29T09:41:04Z",
            "2010-00-10T09:41:04Z",
            "2010-06-00T09:41:04Z",
            "10-06-17T09:41:04Z",
            "2010-6-17T09:41:04Z",
            "2010-06-17T09:41:04+8",
            "2010-06-17T09:41:04+24:00",
            "2010-06-17T09:41:04ZZ",
            "+010-06-17T09:41:04Z",
            "２010-06-17T09:41:04Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
