//! Days as kinds write them, `2026-11-23`, in a unit's offset from UTC. Knows no time zone rules: China has had one offset since 1991,
//! and a unit elsewhere names its own.

const DAY_MS: i64 = 86_400_000;

/// A day of the proleptic Gregorian calendar, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(i64);

impl Day {
    /// The day on which a time falls, some minutes east of UTC.
    pub(super) fn of(millis: i64, utc_offset_minutes: i32) -> Self {
        Self(
            millis
                .saturating_add(i64::from(utc_offset_minutes) * 60_000)
                .div_euclid(DAY_MS),
        )
    }

    /// Reads `YYYY-MM-DD`; nothing else is a day.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
        if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
            return None;
        }
        let year: i64 = digits(0..4)?.parse().ok()?;
        let month: i64 = digits(5..7)?.parse().ok()?;
        let day: i64 = digits(8..10)?.parse().ok()?;
        let date = Self::from_civil(year, month, day);
        // A day that does not exist (2026-02-30) comes back as another one.
        (date.civil() == (year, month, day)).then_some(date)
    }

    /// Days from this one to another; negative when that is earlier.
    pub(super) const fn days_to(self, other: Self) -> i64 {
        other.0.saturating_sub(self.0)
    }

    /// The year.
    pub(super) fn year(self) -> i64 {
        self.civil().0
    }

    /// Howard Hinnant's `days_from_civil`.
    const fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    /// Howard Hinnant's `civil_from_days`: year, month, day.
    const fn civil(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, of_year - (153 * shifted + 2) / 5 + 1)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_survives_its_text() {
        for days in -100_000..50_000 {
            let day = Day(days);
            assert_eq!(Day::parse(&day.to_string()), Some(day));
        }
        assert_eq!(Day(0).to_string(), "1970-01-01");
        assert_eq!(Day::parse("2026-11-23"), Some(Day(20_780)));
    }

    #[test]
    fn days_that_do_not_exist_are_no_days() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "2026-11-31",
            "20261123",
            "+026-11-23",
            "二〇二六-11",
            "",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert!(Day::parse("2028-02-29").is_some());
    }

    #[test]
    fn a_day_in_shanghai_begins_eight_hours_before_utc() {
        let evening = 1_700_000_000_000; // 2023-11-14T22:13:20Z
        assert_eq!(Day::of(evening, 0).to_string(), "2023-11-14");
        assert_eq!(Day::of(evening, 480).to_string(), "2023-11-15");
        assert_eq!(Day::of(i64::MAX, 480).year(), Day::of(i64::MAX - 1, 480).year());
    }
}
