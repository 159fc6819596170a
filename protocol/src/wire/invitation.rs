//! The invitation: what a QR code on the chief's screen tells a phone that is to be enrolled, as one line of text. It comes from a camera,
//! so nothing in it is believed before it was read whole.

use super::{code_letters, station_fingerprint};
use crate::id::Hash;

/// What the line begins with.
const BEGINS: &str = "beatbook:enrol?";
/// Characters of a line: a QR code of version 20 holds them, and phones of any age read that.
const CHARS_MAX: usize = 600;
/// Characters of an address.
const ADDRESS_CHARS_MAX: usize = 255;
/// Characters of a station's name in checkpoints.
const ORIGIN_CHARS_MAX: usize = 100;
/// Letters of a code.
const CODE_LETTERS: std::ops::RangeInclusive<usize> = 8..=32;
/// Bytes of the station's fingerprint that the line carries: nobody finds another station's keys under 128 given bits.
const FINGERPRINT_BYTES: usize = 16;

/// An invitation to enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Where the station is, `https://host[:port]`; none when the phone knows, or asks its user.
    pub address: Option<String>,
    /// The one-time code.
    pub code: String,
    /// The station's name in checkpoints.
    pub origin: String,
    /// The first half of [`station_fingerprint`]: by it the phone knows its station's keys before it believes an answer.
    pub fingerprint: [u8; FINGERPRINT_BYTES],
}

/// A line that is no invitation. The texts say what to do.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum InvitationFault {
    /// Another sort of line.
    #[error("this is no invitation of Beatbook: scan the code that the station shows when it issues one")]
    Other,
    /// Longer than any invitation.
    #[error("this is longer than an invitation may be: scan the code that the station shows")]
    TooLong,
    /// Something in it is missing, doubled, or not of its form.
    #[error("the invitation is damaged at {0}: have the station show it again")]
    Damaged(&'static str),
}

impl Invitation {
    /// An invitation to the station of these keys.
    #[must_use]
    pub fn new(address: Option<String>, code: &str, origin: &str, (checkpoint_key, receipt_key): (&[u8], &[u8])) -> Self {
        let whole = station_fingerprint(origin, checkpoint_key, receipt_key);
        Self {
            address,
            code: code.to_owned(),
            origin: origin.to_owned(),
            fingerprint: half(&whole),
        }
    }

    /// Whether it is to the station of this name and these keys.
    #[must_use]
    pub fn is_to(&self, origin: &str, checkpoint_key: &[u8], receipt_key: &[u8]) -> bool {
        self.origin == origin && self.fingerprint == half(&station_fingerprint(origin, checkpoint_key, receipt_key))
    }

    /// The line: `beatbook:enrol?u=ADDRESS&c=CODE&o=ORIGIN&k=FINGERPRINT`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let address = self.address.as_ref().map(|address| format!("u={}&", escaped(address)));
        let fingerprint: String = self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{BEGINS}{}c={}&o={}&k={fingerprint}",
            address.unwrap_or_default(),
            escaped(&self.code),
            escaped(&self.origin)
        )
    }

    /// Reads a line. Names that a later version adds are passed over.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn parse(text: &str) -> Result<Self, InvitationFault> {
        let text = text.trim();
        if text.len() > CHARS_MAX {
            return Err(InvitationFault::TooLong);
        }
        let rest = text.strip_prefix(BEGINS).ok_or(InvitationFault::Other)?;
        let (mut address, mut code, mut origin, mut fingerprint) = (None, None, None, None);
        for pair in rest.split('&') {
            let (name, value) = pair.split_once('=').ok_or(InvitationFault::Damaged("its end"))?;
            let (place, what) = match name {
                "u" => (&mut address, "the address (u)"),
                "c" => (&mut code, "the code (c)"),
                "o" => (&mut origin, "the station's name (o)"),
                "k" => (&mut fingerprint, "the station's fingerprint (k)"),
                _ => continue,
            };
            let value = unescaped(value).ok_or(InvitationFault::Damaged(what))?;
            if place.replace(value).is_some() {
                return Err(InvitationFault::Damaged(what));
            }
        }
        Ok(Self {
            address: address.map(check_address).transpose()?,
            code: check_code(code.unwrap_or_default())?,
            origin: check_origin(origin.unwrap_or_default())?,
            fingerprint: check_fingerprint(&fingerprint.unwrap_or_default())?,
        })
    }
}

fn half(whole: &Hash) -> [u8; FINGERPRINT_BYTES] {
    whole.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// An address that leads to a host and nowhere within it: no user, no path, no query, nothing that reads otherwise than it is.
fn check_address(address: String) -> Result<String, InvitationFault> {
    let wrong = InvitationFault::Damaged("the address (u)");
    let Some(host) = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")) else {
        return Err(wrong);
    };
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'-' | b':' | b'[' | b']');
    let is_host = !host.is_empty() && host.bytes().all(is_plain) && !host.starts_with([':', '.', '-']);
    if is_host && address.len() <= ADDRESS_CHARS_MAX {
        Ok(address)
    } else {
        Err(wrong)
    }
}

fn check_code(code: String) -> Result<String, InvitationFault> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if CODE_LETTERS.contains(&code_letters(&code).len()) && code.len() <= 2 * CODE_LETTERS.end() && code.chars().all(is_plain) {
        Ok(code)
    } else {
        Err(InvitationFault::Damaged("the code (c)"))
    }
}

fn check_origin(origin: String) -> Result<String, InvitationFault> {
    let is_plain = |letter: u8| letter.is_ascii_graphic();
    if !origin.is_empty() && origin.len() <= ORIGIN_CHARS_MAX && origin.bytes().all(is_plain) {
        Ok(origin)
    } else {
        Err(InvitationFault::Damaged("the station's name (o)"))
    }
}

fn check_fingerprint(text: &str) -> Result<[u8; FINGERPRINT_BYTES], InvitationFault> {
    let wrong = InvitationFault::Damaged("the station's fingerprint (k)");
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes: Vec<u8> = digits
        .filter(|digits| digits.len() == 2 * FINGERPRINT_BYTES)
        .ok_or(wrong.clone())?
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    bytes.try_into().map_err(|_| wrong)
}

/// What of RFC 3986 needs no escape.
const fn is_unreserved(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.' | b'_' | b'~' | b'/' | b':')
}

fn escaped(text: &str) -> String {
    let mut line = String::new();
    for letter in text.bytes() {
        if is_unreserved(letter) {
            line.push(char::from(letter));
        } else {
            line.push_str(&format!("%{letter:02X}"));
        }
    }
    line
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(letter) = rest.next() {
        if letter != b'%' {
            bytes.push(letter);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        Invitation::new(
            Some("https://station.example:7450".into()),
            "ABCDE-FGHJK",
            "beatbook/station-0a1b2c3d",
            (&[1; 32], &[2; 32]),
        )
    }

    #[test]
    fn an_invitation_reads_back_to_what_it_says_and_fits_its_station_alone() {
        let sent = invitation();
        let text = sent.to_text();
        assert!(text.starts_with("beatbook:enrol?u=https://station.example:7450&c=ABCDE-FGHJK&o=beatbook/station-0a1b2c3d&k="));
        assert_eq!(Invitation::parse(&format!(" {text}\n")).unwrap(), sent);
        assert!(sent.is_to("beatbook/station-0a1b2c3d", &[1; 32], &[2; 32]));
        for (origin, checkpoint, receipt) in [
            ("beatbook/station-0a1b2c3e", [1; 32], [2; 32]),
            ("beatbook/station-0a1b2c3d", [3; 32], [2; 32]),
            ("beatbook/station-0a1b2c3d", [1; 32], [3; 32]),
        ] {
            assert!(!sent.is_to(origin, &checkpoint, &receipt));
        }
        let without = Invitation { address: None, ..sent };
        assert_eq!(Invitation::parse(&without.to_text()).unwrap(), without);
        let later = format!("{}&z=1", without.to_text());
        assert_eq!(Invitation::parse(&later).unwrap(), without, "a later version adds names");
    }

    #[test]
    fn hostile_lines_are_refused_with_what_is_wrong() {
        let text = invitation().to_text();
        for (line, fault) in [
            (String::new(), InvitationFault::Other),
            ("https://evil.example/?c=ABCDEFGHJK".into(), InvitationFault::Other),
            (text.replace("beatbook:", "BEATBOOK:"), InvitationFault::Other),
            (format!("{text}{}", "x".repeat(600)), InvitationFault::TooLong),
            (format!("{text}&"), InvitationFault::Damaged("its end")),
            (format!("{text}&c=ABCDEFGHJK"), InvitationFault::Damaged("the code (c)")),
            (text.replace("ABCDE-FGHJK", "AB"), InvitationFault::Damaged("the code (c)")),
            (
                text.replace("ABCDE-FGHJK", "ABCDE%0AFGHJK"),
                InvitationFault::Damaged("the code (c)"),
            ),
            (
                text.replace("ABCDE-FGHJK", "%FF%FE"),
                InvitationFault::Damaged("the code (c)"),
            ),
            (
                text.replace("ABCDE-FGHJK", "ABCDEFGHJK%4"),
                InvitationFault::Damaged("the code (c)"),
            ),
            (
                text.replace("station.example", "good.example%40evil.example"),
                InvitationFault::Damaged("the address (u)"),
            ),
            (
                text.replace("station.example:7450", "evil.example/path"),
                InvitationFault::Damaged("the address (u)"),
            ),
            (
                text.replace("station.example", "%E2%80%AEelpmaxe.noitats"),
                InvitationFault::Damaged("the address (u)"),
            ),
            (
                text.replace("https://", "javascript:"),
                InvitationFault::Damaged("the address (u)"),
            ),
            (
                text.replace("https://", "file:///"),
                InvitationFault::Damaged("the address (u)"),
            ),
            (
                text.replace("station-0a1b2c3d", "%00"),
                InvitationFault::Damaged("the station's name (o)"),
            ),
            (
                text.replace("&k=", "&k=00"),
                InvitationFault::Damaged("the station's fingerprint (k)"),
            ),
            (
                text.replace("&k=", "&k=\u{ff10}&l="),
                InvitationFault::Damaged("the station's fingerprint (k)"),
            ),
        ] {
            assert_eq!(Invitation::parse(&line), Err(fault), "{line}");
        }
        let whole: Vec<char> = text.chars().collect();
        for end in 0..whole.len() {
            let cut: String = whole[..end].iter().collect();
            assert!(Invitation::parse(&cut).is_err(), "{cut}");
        }
    }
}
