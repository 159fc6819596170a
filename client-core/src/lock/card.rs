//! What must be known of a user while his file is locked: his label, and whom emergency notes are sealed to. Closed under the vault, so that
//! who finds the phone reads no names in it and puts no key of his own there. Knows no secrets.

use beatbook_protocol::id::{BookId, UnitId};
use serde::{Deserialize, Serialize};

use super::wrap::base64_text;

/// A user's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// How he is called in the list of users: as he chose, not his name unless he wants that.
    pub(crate) label: String,
    /// The station, once he is enrolled.
    pub(crate) station: Option<Station>,
    /// Where the station is; none before it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
}

/// What is known of the station, and of the user there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Station {
    /// Its name in checkpoints.
    pub(crate) origin: String,
    /// Key of receipts.
    #[serde(with = "base64_text")]
    pub(crate) receipt_key: Vec<u8>,
    /// Key that notes are sealed to; none while it was never told.
    #[serde(with = "base64_text")]
    pub(crate) sealing_key: Vec<u8>,
    /// Keys of the unit's custodians, and of those of the units above it.
    pub(crate) custodians: Vec<CustodianKey>,
    /// The user's book.
    pub(crate) book: BookId,
    /// Where the vault holds its key.
    pub(crate) key_handle: String,
    /// His unit.
    pub(crate) unit: UnitId,
}

/// Where the station is, as the app was told. The station is known by its keys; this only says where to look for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its address, `https://host[:port]`.
    pub address: String,
    /// Whom to believe to be it: its text for phones, or roots in PEM.
    pub trust: Option<String>,
}

/// A custodian's public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CustodianKey(#[serde(with = "base64_text")] pub(crate) Vec<u8>);
