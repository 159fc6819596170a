//! Retention: when the time of a record is over, which the rule of its kind says, and what keeps it all the same. Knows not how things are
//! destroyed.
//!
//! Time is counted from the last news of a thing: of the record, of those that were merged with it, and of those about it. A kind's period is
//! what was found necessary, and no station shortens it by a setting; on a ground of law one may lengthen it. Emergency notes are no
//! records, and have a time of their own.

mod answer;
mod due;
mod hold;
pub(crate) mod notes;
mod settings;

pub use answer::{Extract, ExtractFile, ExtractLine};
pub use due::{DueView, RetentionReport, Stands};
pub use hold::HoldView;
pub use settings::{Longer, RetentionSettings};

use crate::error::StationError;
use crate::policy;

/// A day.
const DAY_MS: i64 = 86_400_000;
/// Characters of a ground or a decision.
const GROUND_CHARS_MAX: usize = 500;

/// A ground that is one.
fn check_ground(text: &str) -> Result<String, StationError> {
    policy::plain_line(text, GROUND_CHARS_MAX).map(str::to_owned).ok_or_else(|| {
        StationError::Invalid(format!(
            "say on which ground, in 1 to {GROUND_CHARS_MAX} characters of one line, without names of residents"
        ))
    })
}
