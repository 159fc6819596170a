//! The phones of a person: which books he has, since when, and when each was last heard of. What they still owe is `phones`' matter.

use beatbook_protocol::id::{BookId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::people;
use crate::error::StationError;
use crate::policy::Permission;
use crate::station::{Session, Station};

/// A phone of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeviceView {
    /// Its book.
    #[schema(value_type = String)]
    pub book: BookId,
    /// What it calls itself.
    pub device: String,
    /// When it was enrolled.
    #[schema(value_type = Option<i64>)]
    pub enrolled_at: Option<UnixMillis>,
    /// When it was last heard of; none while it never called.
    #[schema(value_type = Option<i64>)]
    pub last_contact: Option<UnixMillis>,
    /// Its app at the last contact.
    pub app: Option<String>,
    /// The form of the attestation that was verified when it was enrolled; none without one.
    pub attested: Option<String>,
}

impl Station {
    /// The phones of a person, the one enrolled last first: for the person, and for who sees what phones of the unit owe.
    ///
    /// # Errors
    /// When there is no such person, or `by` may not see them.
    pub fn devices(&self, by: Option<&Session>, user: UserId) -> Result<Vec<DeviceView>, StationError> {
        self.store.read(|tx| {
            if by.is_some_and(|by| by.user == user) {
                people::find(tx, user)?;
            } else {
                people::his(tx, by, user, Permission::SeePhones)?;
            }
            let mut devices = Vec::new();
            for (row, enrolled_at, attested) in tx.books_of(user)? {
                let said = tx.owed(row.book)?;
                devices.push(DeviceView {
                    book: row.book,
                    device: row.device,
                    enrolled_at,
                    last_contact: tx.contact(row.book)?.map(|contact| contact.at),
                    app: said.map(|said| said.app).filter(|app| !app.is_empty()),
                    attested,
                });
            }
            Ok(devices)
        })
    }
}
