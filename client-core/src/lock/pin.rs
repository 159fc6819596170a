//! Which PINs and passphrases are taken. No rules of composition (NIST SP 800-63B-4, 3.1.1): long enough, and not one that a finder tries first.
//! Knows no files; keeps nothing.

/// Digits that a PIN has at least.
const DIGITS_MIN: usize = 6;
/// Characters that a passphrase has at least.
const PHRASE_MIN: usize = 8;
/// Characters of either at most.
const CHARS_MAX: usize = 128;
/// PINs that are patterns on the keypad or sound like words, beyond what the rules find.
const KNOWN: [&str; 12] = [
    "147258", "258369", "159357", "147852", "123789", "520131", "5201314", "131452", "159753", "789456", "142536", "110120",
];

/// A PIN that is not taken: show the message, ask for another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinFault {
    /// Too short.
    #[error("a PIN has at least {DIGITS_MIN} digits, a passphrase at least {PHRASE_MIN} characters")]
    Short,
    /// Too long.
    #[error("a PIN or passphrase has at most {CHARS_MAX} characters")]
    Long,
    /// One of the first that a finder would try.
    #[error("this PIN is easily guessed ({0}): take another")]
    Obvious(&'static str),
    /// The label cannot be shown.
    #[error("a label has 1 to 40 characters, without control characters, and does not hold the PIN")]
    Label,
}

/// Whether a PIN or passphrase may be taken.
pub(super) fn check(pin: &str) -> Result<(), PinFault> {
    let chars: Vec<char> = pin.chars().collect();
    if chars.len() > CHARS_MAX {
        return Err(PinFault::Long);
    }
    let is_pin = chars.iter().all(char::is_ascii_digit);
    if chars.len() < if is_pin { DIGITS_MIN } else { PHRASE_MIN } {
        return Err(PinFault::Short);
    }
    match obvious(pin, &chars).or_else(|| if is_pin { like_a_date(pin) } else { None }) {
        Some(why) => Err(PinFault::Obvious(why)),
        None => Ok(()),
    }
}

/// A label for the list of users, as the user wants it to be seen by whoever holds the phone.
pub(super) fn check_label(label: &str, pin: &str) -> Result<String, PinFault> {
    let label = label.trim();
    let is_shown = |c: char| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let fits = (1..=40).contains(&label.chars().count()) && label.chars().all(is_shown);
    if fits && !label.contains(pin) {
        Ok(label.to_owned())
    } else {
        Err(PinFault::Label)
    }
}

fn obvious(pin: &str, chars: &[char]) -> Option<&'static str> {
    let repeats = |period: usize| {
        chars.len().is_multiple_of(period)
            && chars.len() > period
            && chars.chunks(period).all(|part| Some(part) == chars.chunks(period).next())
    };
    if repeats(1) {
        return Some("one character, repeated");
    }
    let steps: Vec<i64> = chars
        .windows(2)
        .map(|pair| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])))
        .collect();
    let runs = |by: i64| steps.iter().all(|step| *step == by || *step == by * -9);
    if runs(1) || runs(-1) {
        return Some("digits or letters in a row");
    }
    if (2..=4).any(repeats) {
        return Some("a pattern, repeated");
    }
    if chars.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]) && chars.len() == 6 {
        return Some("pairs");
    }
    if KNOWN.contains(&pin) || pin.eq_ignore_ascii_case("password") || pin.eq_ignore_ascii_case("beatbook") {
        return Some("one of the most common");
    }
    None
}

/// Birthdays are what people take, and what is in their wallet: year, month and day in any usual order.
fn like_a_date(pin: &str) -> Option<&'static str> {
    let at = |from: usize, to: usize| pin.get(from..to).and_then(|part| part.parse::<u32>().ok());
    let day = |month: Option<u32>, day: Option<u32>| {
        month.is_some_and(|month| (1..=12).contains(&month)) && day.is_some_and(|day| (1..=31).contains(&day))
    };
    let year = |year: Option<u32>| year.is_some_and(|year| (1930..=2035).contains(&year));
    let is_date = match pin.len() {
        6 => {
            (year(at(0, 4)) && at(4, 6).is_some_and(|month| (1..=12).contains(&month)))
                || (year(at(2, 6)) && at(0, 2).is_some_and(|month| (1..=12).contains(&month)))
                || day(at(2, 4), at(4, 6))
        }
        8 => {
            (year(at(0, 4)) && day(at(4, 6), at(6, 8)))
                || (year(at(4, 8)) && (day(at(0, 2), at(2, 4)) || day(at(2, 4), at(0, 2))))
        }
        _ => false,
    };
    is_date.then_some("a date")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_that_a_finder_tries_first_are_refused_and_others_taken() {
        for pin in [
            "111111", "123456", "654321", "890123", "987654", "121212", "123123", "12341234", "112233", "147258", "19881203",
            "198812", "881203", "20010131", "03121988", "aaaaaaaa", "abcdefgh", "Password", "BEATBOOK", "abababab",
        ] {
            assert!(matches!(check(pin), Err(PinFault::Obvious(_))), "{pin}");
        }
        for pin in ["12345", "a1b2c3", "", "短语"] {
            assert_eq!(check(pin), Err(PinFault::Short), "{pin}");
        }
        assert_eq!(check(&"x1".repeat(65)), Err(PinFault::Long));
        for pin in ["739164", "58294173", "correct horse", "三号楼的猫叫小花", "4081977352"] {
            assert_eq!(check(pin), Ok(()), "{pin}");
        }
    }

    #[test]
    fn a_label_is_what_can_be_shown_and_never_the_pin() {
        assert_eq!(check_label(" 巡逻 ", "739164"), Ok("巡逻".to_owned()));
        for label in ["", "a\nb", "my 739164", "x\u{202e}y", &"长".repeat(41)] {
            assert_eq!(check_label(label, "739164"), Err(PinFault::Label), "{label:?}");
        }
    }
}
