//! How phones are let in: table `[enrolment]`. Knows no codes and no keys.

use serde::Deserialize;

use super::ConfigError;

/// Minutes that a code lives, unless said: long enough to walk to the colleague's desk.
const CODE_MINUTES: u32 = 15;
/// A code that lives longer than a day is written down somewhere.
const CODE_MINUTES_MAX: u32 = 24 * 60;

/// What is asked of attestations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttestationRule {
    /// Nothing: they are passed over.
    Off,
    /// One that holds is noted on the book; others are passed over.
    #[default]
    Noted,
    /// Without one that holds no book is enrolled.
    Required,
}

/// How phones are let in, as flags, environment and file say it.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentSettings {
    /// Minutes that an enrolment code lives [default: 15]
    #[arg(long, value_name = "N", env = "BEATBOOK_CODE_MINUTES")]
    pub code_minutes: Option<u32>,
    /// Whether a book's pages are taken in only once somebody compared the check digits of phone and station [default: false]
    #[arg(long, value_name = "BOOL", env = "BEATBOOK_CONFIRM_ENROLMENT")]
    pub confirm_enrolment: Option<bool>,
    /// What is asked of a phone's attestation [default: noted]
    #[arg(long, value_name = "RULE", env = "BEATBOOK_ATTESTATION")]
    pub attestation: Option<AttestationRule>,
    /// The station's address as phones call it, for invitations: `https://host[:port]`
    #[arg(long, value_name = "URL", env = "BEATBOOK_PUBLIC_ADDRESS")]
    pub public_address: Option<String>,
}

/// How phones are let in, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRules {
    /// Minutes that a code lives.
    pub code_minutes: u32,
    /// Whether somebody compares the check digits before a book's pages are taken in.
    pub confirm: bool,
    /// What is asked of attestations.
    pub attestation: AttestationRule,
    /// The station's address, for invitations.
    pub address: Option<String>,
}

impl Default for EnrolmentRules {
    fn default() -> Self {
        Self {
            code_minutes: CODE_MINUTES,
            confirm: false,
            attestation: AttestationRule::default(),
            address: None,
        }
    }
}

impl EnrolmentSettings {
    /// Puts the file's word under these settings and fills in the defaults.
    pub(super) fn over(self, file: Self) -> Result<EnrolmentRules, ConfigError> {
        let default = EnrolmentRules::default();
        let code_minutes = self.code_minutes.or(file.code_minutes).unwrap_or(default.code_minutes);
        if !(1..=CODE_MINUTES_MAX).contains(&code_minutes) {
            return Err(ConfigError::CodeMinutes(CODE_MINUTES_MAX));
        }
        Ok(EnrolmentRules {
            code_minutes,
            confirm: self.confirm_enrolment.or(file.confirm_enrolment).unwrap_or(default.confirm),
            attestation: self.attestation.or(file.attestation).unwrap_or(default.attestation),
            address: self.public_address.or(file.public_address),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_lives_minutes_and_no_longer_than_a_day() {
        let said = |code_minutes| EnrolmentSettings {
            code_minutes,
            ..EnrolmentSettings::default()
        };
        let none = EnrolmentSettings::default;
        assert_eq!(none().over(none()).unwrap(), EnrolmentRules::default());
        assert_eq!(said(Some(5)).over(said(Some(60))).unwrap().code_minutes, 5);
        assert_eq!(none().over(said(Some(60))).unwrap().code_minutes, 60);
        for wrong in [0, 1441] {
            assert!(said(Some(wrong)).over(none()).is_err());
        }
    }
}
