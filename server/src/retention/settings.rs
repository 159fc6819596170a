//! What a station sets about retention: longer periods on a ground of law, and whether what is due goes by itself. Shorter ones it cannot set.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::StationError;
use crate::kinds::Kinds;

/// Table `[retention]` of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Whether the server destroys once a day what is due; else the operator does, by `retention --apply`.
    pub apply_daily: bool,
    /// Kinds that this station must keep longer than their rule says.
    pub longer: BTreeMap<String, Longer>,
}

/// A longer period.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Longer {
    /// Days after the last news.
    pub days: u32,
    /// The law or the decision that asks for it.
    pub ground: String,
}

impl RetentionSettings {
    /// Whether they can be in force.
    ///
    /// # Errors
    /// When a kind is unknown, a period is shorter than the kind's own, or no ground is given.
    pub(crate) fn check(&self, kinds: &Kinds) -> Result<(), StationError> {
        for (code, longer) in &self.longer {
            let least = kinds.days_of(code).max();
            let Some(least) = least else {
                return Err(StationError::Invalid(format!(
                    "[retention.longer.{code}]: there is no kind {code}"
                )));
            };
            if longer.days < least {
                return Err(StationError::Invalid(format!(
                    "[retention.longer.{code}]: {} days are fewer than the {least} of the kind; a shorter period is a new version of the kind",
                    longer.days
                )));
            }
            super::check_ground(&longer.ground).map_err(|fault| {
                StationError::Invalid(format!(
                    "[retention.longer.{code}]: `ground` names the law or decision that asks for it: {fault}"
                ))
            })?;
        }
        Ok(())
    }
}
