//! What the station asks of its phones, as somebody wrote it.

use beatbook_protocol::wire::{AppVersion, LEASE_MS};

use super::ConfigError;

pub(super) fn app_min(said: Option<String>) -> Result<Option<AppVersion>, ConfigError> {
    said.map(|text| AppVersion::parse(&text).ok_or(ConfigError::Version(text)))
        .transpose()
}

/// Seven days unless said: a week of leave, or of a village without a network, and not longer than a lost phone should be trusted.
pub(super) fn lease_ms(said: Option<u64>) -> Result<u64, ConfigError> {
    match said {
        None => Ok(LEASE_MS),
        Some(days @ 1..=90) => Ok(days * 24 * 60 * 60 * 1000),
        Some(days) => Err(ConfigError::Lease(days)),
    }
}

pub(super) fn ask_again_ms(said: Option<u64>) -> Result<Option<u64>, ConfigError> {
    match said {
        None => Ok(None),
        Some(seconds @ 10..=3600) => Ok(Some(seconds * 1000)),
        Some(seconds) => Err(ConfigError::AskAgain(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_asked_to_come_again_neither_all_the_time_nor_never() {
        assert_eq!(ask_again_ms(None).unwrap(), None);
        assert_eq!(ask_again_ms(Some(10)).unwrap(), Some(10_000));
        assert_eq!(ask_again_ms(Some(3600)).unwrap(), Some(3_600_000));
        for seconds in [0, 9, 3601] {
            assert!(
                ask_again_ms(Some(seconds))
                    .unwrap_err()
                    .to_string()
                    .contains("ask_again_seconds")
            );
        }
    }
}
