//! Conflicts: what several people wrote at one place at the same time, and the choice between them.

use std::sync::Arc;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::values::{FieldValue, path};
use crate::views::Conflict;

/// The conflicts of an open book.
#[derive(Debug, uniffi::Object)]
pub struct Conflicts {
    desk: Arc<Desk>,
}

impl Conflicts {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl Conflicts {
    /// Every conflict on this phone, with all values and their authors.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn all(&self) -> Result<Vec<Conflict>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.conflicts()?.into_iter().map(Conflict::from).collect()))
            .await
    }

    /// Settles one: from now on this value stands, and the history says who chose it.
    ///
    /// # Errors
    /// `InvalidInput` at the place when this user may not, or the value does not fit; at `version` when the record has moved.
    pub async fn settle(&self, record: String, place: String, value: FieldValue, version: String) -> Result<(), BeatbookError> {
        let (record, place) = (crate::values::record(&record)?, path(&place)?);
        self.desk
            .capture(move |core| {
                core.settle(record, &place, &value.into(), Some(&version))?;
                Ok(())
            })
            .await
    }
}
