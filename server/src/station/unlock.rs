//! The station's door, continued: letting officers into their phones again, custodians' keys, emergency notes, the lease.

use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::wire::Refusal;

use super::{KeyPair, NotePage, Session, Station, UnitKeyView, UnlockCode};
use crate::error::StationError;
use crate::unlock;

impl Station {
    /// A phone asks for the share of its key: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the phone is to be told.
    pub fn unlock(&self, packed: &[u8]) -> Result<Vec<u8>, Refusal> {
        unlock::release(self, packed)
    }

    /// Emergency notes of a phone: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the phone is to be told; nothing of the request was stored.
    pub fn take_notes(&self, packed: &[u8], token: Option<&str>) -> Result<Vec<u8>, Refusal> {
        unlock::notes::take(self, packed, token)
    }

    /// The emergency notes of the chief's units, the newest first; with `before`, those that came earlier than a page.
    ///
    /// # Errors
    /// When the person is no chief, or those of the store: without its line on the log nothing is read.
    pub fn notes(&self, session: &Session, before: Option<u64>) -> Result<NotePage, StationError> {
        unlock::notes::read_notes(self, session, before)
    }

    /// A one-time code that lets a person into his phone again.
    ///
    /// # Errors
    /// When there is no such person in `by`'s units, or `by` may not.
    pub fn unlock_code(&self, by: Option<&Session>, user: UserId) -> Result<UnlockCode, StationError> {
        unlock::issue(self, by, user)
    }

    /// A new pair of keys for a custodian of a unit; the operator's to order.
    ///
    /// # Errors
    /// When the unit is unknown, or the name is none.
    pub fn add_unit_key(&self, unit: UnitId, custodian: &str) -> Result<KeyPair, StationError> {
        unlock::add_key(self, unit, custodian)
    }

    /// Ends a custodian's key.
    ///
    /// # Errors
    /// When there is no such key in use.
    pub fn end_unit_key(&self, unit: UnitId, key: &str) -> Result<(), StationError> {
        unlock::end_key(self, unit, key)
    }

    /// All custodians' keys.
    ///
    /// # Errors
    /// Those of the store.
    pub fn unit_keys(&self) -> Result<Vec<UnitKeyView>, StationError> {
        unlock::keys(self)
    }

    /// Phones may work this long without seeing the station.
    #[must_use]
    pub fn leasing(self, lease_ms: u64) -> Self {
        Self { lease_ms, ..self }
    }
}
