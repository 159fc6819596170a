//! What an app is told when a call fails: one variant for each thing that it can do about it. Knows the core's errors and no others.

use std::fmt;

use beatbook_client_core::CoreError;

/// A call that did not do what was asked. The name says what the app can do; texts for people are the app's own.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
pub enum BeatbookError {
    /// What was given cannot be taken as it is: show it again at this place and let the user decide.
    InvalidInput {
        /// The place in a record (`fields/outcome`), or the argument's name.
        field: String,
    },
    /// The file does not open with what was given: ask for its key.
    Locked,
    /// The phone has no book at the station: enrol.
    SignInAgain,
    /// A newer app wrote this: update.
    UpgradeRequired,
    /// It may go another time.
    TryLater {
        /// Not before so many milliseconds have passed.
        after_ms: u64,
    },
    /// The disk or the quota is full: have some space freed. What was saved before is safe.
    StorageFull,
    /// The file is damaged: open again. All its bytes are kept.
    StorageDamaged {
        /// Where they are: the file itself until it is opened anew, from then on the place that it was moved to.
        kept_at: String,
    },
    /// A fault of ours: send us this.
    Internal {
        /// What to send.
        report: String,
    },
}

impl fmt::Display for BeatbookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput { field } => write!(f, "{field} cannot be taken as it is; look at it again"),
            Self::Locked => f.write_str("the key does not open this file; give its own"),
            Self::SignInAgain => f.write_str("the phone has no book at the station; enrol it"),
            Self::UpgradeRequired => f.write_str("a newer version of the app wrote this; update the app"),
            Self::TryLater { after_ms } => write!(f, "try again in {after_ms} ms"),
            Self::StorageFull => f.write_str("storage is full; free some space, what was saved before is safe"),
            Self::StorageDamaged { kept_at } => write!(f, "the file is damaged and kept at {kept_at}; open again"),
            Self::Internal { report } => write!(f, "internal fault, please report: {report}"),
        }
    }
}

impl std::error::Error for BeatbookError {}

/// One of the two places where errors change their words; the other is the station's, on the wire.
impl From<CoreError> for BeatbookError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::InvalidInput { field, .. } => Self::InvalidInput { field },
            CoreError::Moved { .. } => Self::InvalidInput { field: "version".into() },
            // The worst first: warnings hinder nothing.
            CoreError::Hindered { findings } => {
                let worst = findings.into_iter().min_by_key(|finding| finding.severity);
                Self::at_first(worst.map(|finding| finding.path))
            }
            CoreError::Conflicted { paths } => Self::at_first(paths),
            CoreError::Forbidden { what, .. } | CoreError::Unknown { what } => Self::InvalidInput { field: what },
            CoreError::UnknownRecord(_) | CoreError::OpeningRefused(_) | CoreError::LeftScope(_) => {
                Self::InvalidInput { field: "record".into() }
            }
            CoreError::NotEnrolled | CoreError::Ended => Self::SignInAgain,
            CoreError::WrongKey => Self::Locked,
            CoreError::UpgradeRequired => Self::UpgradeRequired,
            CoreError::StorageFull => Self::StorageFull,
            CoreError::StorageDamaged { path, .. } => Self::StorageDamaged {
                kept_at: path.display().to_string(),
            },
            CoreError::Internal(report) => Self::Internal { report },
        }
    }
}

impl BeatbookError {
    fn at_first(places: impl IntoIterator<Item = String>) -> Self {
        let field = places.into_iter().next().unwrap_or_else(|| "record".into());
        Self::InvalidInput { field }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_the_core_comes_out_as_what_an_app_can_do() {
        let at = |field: &str| BeatbookError::InvalidInput { field: field.into() };
        let text = String::from;
        let (field, why) = (text("fields/outcome"), text("not a choice"));
        let paths = vec![text("fields/phone"), text("fields/name")];
        let (what, state) = (text("approve"), text("draft"));
        for (error, told) in [
            (CoreError::InvalidInput { field, why }, at("fields/outcome")),
            (CoreError::Conflicted { paths }, at("fields/phone")),
            (CoreError::Hindered { findings: vec![] }, at("record")),
            (CoreError::Forbidden { what, state }, at("approve")),
            (CoreError::Unknown { what: text("draft") }, at("draft")),
            (
                CoreError::Moved {
                    version: text("0f"),
                    paths: vec![],
                },
                at("version"),
            ),
            (CoreError::NotEnrolled, BeatbookError::SignInAgain),
            (CoreError::WrongKey, BeatbookError::Locked),
            (CoreError::UpgradeRequired, BeatbookError::UpgradeRequired),
            (CoreError::StorageFull, BeatbookError::StorageFull),
            (
                CoreError::StorageDamaged {
                    path: "/x/book.db".into(),
                    why: text("torn"),
                },
                BeatbookError::StorageDamaged {
                    kept_at: text("/x/book.db"),
                },
            ),
            (
                CoreError::Internal(text("odd")),
                BeatbookError::Internal { report: text("odd") },
            ),
        ] {
            assert_eq!(BeatbookError::from(error), told);
        }
    }
}
