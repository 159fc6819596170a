//! What a phone is given to know its station by: the deployment's root certificates and the keys that the station shows, in one line of text
//! that fits a QR code. Knows no TLS: it carries bytes that others made and others read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::Hash;
use crate::limits::{PINS_MAX, ROOT_BYTES_MAX, ROOTS_MAX};

/// What every such text begins with, so that a phone knows a QR code for what it is.
const SCHEME: &str = "beatbook-trust:1";

/// Text that is not what a phone knows its station by.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum TrustTextError {
    /// It begins otherwise.
    #[error("this is no text of a station's certificate: it would begin with {SCHEME}")]
    OtherText,
    /// A part cannot be read.
    #[error("part {0} of this text was damaged: scan or copy it again")]
    Damaged(usize),
    /// There is no root in it, or more of something than there may be.
    #[error("this text names no root certificate, or more than a station has")]
    Number,
}

/// What a phone knows its station by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustText {
    /// Root certificates (DER), at least one.
    pub roots: Vec<Vec<u8>>,
    /// SHA-256 of the SubjectPublicKeyInfo of the keys that the station shows, the present one first; none leaves it to the roots.
    pub pins: Vec<Hash>,
}

impl TrustText {
    /// Reads the text; space around it and line ends within it are passed over.
    ///
    /// # Errors
    /// When it is not such a text, or not whole.
    pub fn parse(text: &str) -> Result<Self, TrustTextError> {
        let text: String = text.split_whitespace().collect();
        let mut parts = text.split('.');
        if parts.next() != Some(SCHEME) {
            return Err(TrustTextError::OtherText);
        }
        let mut trust = Self::default();
        for (number, part) in (1..).zip(parts) {
            let damaged = TrustTextError::Damaged(number);
            let (sort, value) = part.split_at_checked(1).ok_or(damaged)?;
            let bytes = URL_SAFE_NO_PAD.decode(value).map_err(|_| damaged)?;
            match sort {
                "p" => trust.pins.push(Hash::from_bytes(bytes.try_into().map_err(|_| damaged)?)),
                "r" if !bytes.is_empty() && bytes.len() <= ROOT_BYTES_MAX => trust.roots.push(bytes),
                "r" => return Err(damaged),
                // Later versions may say more; what this one does not know does not make it trust more.
                _ => {}
            }
        }
        if trust.roots.is_empty() || trust.roots.len() > ROOTS_MAX || trust.pins.len() > PINS_MAX {
            return Err(TrustTextError::Number);
        }
        Ok(trust)
    }
}

impl std::fmt::Display for TrustText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SCHEME)?;
        for pin in &self.pins {
            write!(f, ".p{}", URL_SAFE_NO_PAD.encode(pin.as_bytes()))?;
        }
        for root in &self.roots {
            write!(f, ".r{}", URL_SAFE_NO_PAD.encode(root))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(roots: usize, root_bytes: usize, pins: usize) -> TrustText {
        TrustText {
            roots: vec![vec![0x30; root_bytes]; roots],
            pins: vec![Hash::from_bytes([9; 32]); pins],
        }
    }

    #[test]
    fn what_a_station_is_known_by_reads_back_from_its_text_even_when_it_was_broken_into_lines() {
        let trust = of(2, 400, 2);
        let text = trust.to_string();
        assert_eq!(TrustText::parse(&text), Ok(trust.clone()));
        let (head, tail) = text.split_at(70);
        assert_eq!(TrustText::parse(&format!("  {head}\r\n{tail}\n")), Ok(trust));
    }

    #[test]
    fn text_that_is_something_else_or_not_whole_says_so() {
        let text = of(1, 40, 1).to_string();
        for (text, fault) in [
            ("", TrustTextError::OtherText),
            ("https://station.example", TrustTextError::OtherText),
            ("beatbook-trust:2.rMDA", TrustTextError::OtherText),
            ("beatbook-trust:1", TrustTextError::Number),
            ("beatbook-trust:1.", TrustTextError::Damaged(1)),
            ("beatbook-trust:1.rMDA.pMDA", TrustTextError::Damaged(2)),
            ("beatbook-trust:1.r", TrustTextError::Damaged(1)),
            ("beatbook-trust:1.r%%%%", TrustTextError::Damaged(1)),
            ("beatbook-trust:1.户", TrustTextError::Damaged(1)),
            (&text[..61], TrustTextError::Number),
        ] {
            assert_eq!(TrustText::parse(text), Err(fault), "{text}");
        }
        assert!(
            TrustText::parse("beatbook-trust:1.rMDA.xMDA").is_ok(),
            "what later versions add"
        );
    }

    #[test]
    fn roots_and_pins_are_as_many_and_as_long_as_they_may_be() {
        let passes = |trust: TrustText| TrustText::parse(&trust.to_string()).is_ok();
        assert!(passes(of(ROOTS_MAX, ROOT_BYTES_MAX, PINS_MAX)));
        assert!(!passes(of(ROOTS_MAX + 1, 40, 0)));
        assert!(!passes(of(1, ROOT_BYTES_MAX + 1, 0)));
        assert!(!passes(of(1, 40, PINS_MAX + 1)));
    }
}
