//! Enrolment: a one-time code becomes this file's book. The key and the request are kept before anything is sent, so that a lost
//! answer is asked for again with the same key. Does no IO but the store's.

use beatbook_protocol::id::{BookId, IncarnationId, UnitId, UserId};
use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::parcel::SealingPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, EnrolRequest, EnrolResponse, Refusal, RefusalCode, WIRE_VERSION, enrol_message};

use super::{KeyVault, SyncError};
use crate::core::Core;
use crate::error::CoreError;
use crate::store::identity::Identity;
use crate::store::records::Records;
use crate::store::sync_state::{self, BegunBook};
use crate::store::{StoreError, lock, pages, parcels, pins};
use crate::transport::{Mistrust, Outcome, OutgoingRequest, TransportFault};

/// Where enrolments go.
const PATH: &str = "/sync/v1/enrol";

/// An enrolment that did not come about. It may be tried again with the same code unless the code itself was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The code is wrong, used, or run out: ask for a new one.
    #[error("the code was not accepted: {0}; ask for a new one")]
    Code(String),
    /// Whoever answered is not believed to be the station; the code was not sent, and is good still.
    #[error("{0}")]
    Untrusted(Mistrust),
    /// No answer: try again with the same code.
    #[error("{0}; try again with the same code")]
    Network(TransportFault),
    /// The station speaks another version: update the app.
    #[error("the station asks for another version of the app: update it")]
    UpgradeRequired,
    /// The station refused or is busy.
    #[error("the station refused the enrolment ({code}): {text}; try again later")]
    Refused {
        /// Code of the refusal, or the HTTP status.
        code: String,
        /// For people.
        text: String,
    },
    /// Keys, store, or an answer that cannot be read.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl From<CoreError> for EnrolError {
    fn from(error: CoreError) -> Self {
        Self::Sync(SyncError::Core(error))
    }
}

/// Who was enrolled where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The station's name for people.
    pub station: String,
    /// The user.
    pub user: UserId,
    /// His name.
    pub user_name: String,
    /// His roles by code.
    pub roles: Vec<String>,
    /// His unit.
    pub unit: UnitId,
    /// The book that he writes in from now on.
    pub book: BookId,
}

/// An enrolment that has begun: its request is kept until an answer was taken in.
#[derive(Debug, Clone)]
pub struct Enrolment {
    begun: BegunBook,
}

impl Enrolment {
    /// Begins with a one-time code, or goes on with what was begun: the key stays the same until an enrolment has come about.
    ///
    /// # Errors
    /// When the key or the request cannot be kept.
    pub fn begin(core: &Core, vault: &dyn KeyVault, code: &str, device: &str) -> Result<Self, SyncError> {
        let before = core.read(sync_state::begun_book)?;
        if let Some(begun) = before.clone().filter(|begun| begun.code == code) {
            return Ok(Self { begun });
        }
        let now = core.platform().clock.wall();
        let (book, key_handle, signer) = match before {
            Some(before) => {
                let signer = vault.load(&before.key_handle)?;
                (before.book, before.key_handle, signer)
            }
            None => {
                let book = BookId::from_parts(now, core.platform().bytes());
                let signer = vault.store(&book.to_string(), &core.platform().bytes())?;
                (book, book.to_string(), signer)
            }
        };
        let key = signer.public_key();
        let request = EnrolRequest {
            version: WIRE_VERSION,
            code: code.to_owned(),
            book,
            suite: key.suite(),
            key: key.to_bytes(),
            proof: signer.sign(&enrol_message(code, book, &key.to_bytes()))?,
            device: device.to_owned(),
            app: super::APP.to_owned(),
        };
        let begun = BegunBook {
            book,
            suite: key.suite(),
            key_handle,
            public_key: key.to_bytes(),
            code: code.to_owned(),
            request: wire::pack(&request).map_err(|fault| CoreError::Internal(fault.to_string()))?,
        };
        core.write(|records| sync_state::begin_book(records.tx(), &begun, now))?;
        Ok(Self { begun })
    }

    /// The request, the same each time.
    #[must_use]
    pub fn request(&self) -> OutgoingRequest {
        OutgoingRequest {
            path: PATH,
            token: None,
            signature: None,
            body: self.begun.request.clone(),
        }
    }

    /// Takes in what came of the request; after that this file has its book, and writing and syncing may begin.
    ///
    /// # Errors
    /// When the station refused, or no believable answer came; the request is still kept then.
    pub fn finish(self, core: &Core, outcome: Outcome) -> Result<Enrolled, EnrolError> {
        let packed = match outcome {
            Outcome::Reply(packed) => packed,
            Outcome::Refused { status, bytes } => return Err(refused(status, &bytes)),
            Outcome::Failed(TransportFault::Untrusted(why)) => return Err(EnrolError::Untrusted(why)),
            Outcome::Failed(fault) => return Err(EnrolError::Network(fault)),
        };
        let response = read(&packed)?;
        let me = Identity {
            user: response.user,
            unit: response.unit,
            book: self.begun.book,
        };
        let now = core.platform().clock.wall();
        let life = IncarnationId::from_parts(now, core.platform().bytes());
        core.write(|records| {
            take_in(records, &me, &response, life, now)?;
            // What a station keeps is kept for a book: this one has nothing there yet.
            lock::drop_share(records.tx())?;
            lock::put_word(records.tx(), core.platform(), response.server_time, None)
        })?;
        Ok(Enrolled {
            station: response.station,
            user: response.user,
            user_name: response.user_name,
            roles: response.roles,
            unit: response.unit,
            book: self.begun.book,
        })
    }
}

fn read(packed: &[u8]) -> Result<EnrolResponse, SyncError> {
    let unbelievable = |why: String| SyncError::Reply(why);
    let bytes = wire::unpack(packed).map_err(|fault| unbelievable(fault.to_string()))?;
    let response: EnrolResponse = wire::read("enrolment", &bytes).map_err(|fault| unbelievable(fault.to_string()))?;
    let key = |bytes: &[u8]| {
        let bytes: &[u8; 32] = bytes
            .try_into()
            .map_err(|_| unbelievable("a station's key has 32 bytes".to_owned()))?;
        StationPublicKey::from_bytes(bytes).map_err(|fault| unbelievable(fault.to_string()))
    };
    key(&response.checkpoint_key)?;
    let receipt_key = key(&response.receipt_key)?;
    if let Some(offer) = &response.sealing
        && offer.verify(&response.origin, &receipt_key).is_none()
    {
        return Err(unbelievable("its sealing key is not signed by the station".to_owned()));
    }
    if response
        .pins
        .as_ref()
        .is_some_and(|offer| !offer.verifies(&response.origin, &receipt_key))
    {
        return Err(unbelievable(
            "its certificate's keys are not signed by the station".to_owned(),
        ));
    }
    Ok(response)
}

fn take_in(
    records: &mut Records<'_>,
    me: &Identity,
    response: &EnrolResponse,
    life: IncarnationId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let tx = records.tx();
    if sync_state::enrol_book(tx, me.book, response, now)? {
        records.unplace_all()?;
    }
    if let Some(offer) = &response.sealing {
        parcels::set_sealing_key(tx, &response.origin, &SealingPublicKey::from_bytes(offer.key), now)?;
    }
    if let Some(offer) = &response.pins {
        pins::set_pins(tx, &response.origin, offer, now)?;
    }
    records.enrol(me, &response.user_name, &response.roles)?;
    pages::change_book(tx, me.book, life)
}

fn refused(status: u16, bytes: &[u8]) -> EnrolError {
    let Some(refusal) = super::verify::read_refusal(bytes) else {
        return EnrolError::Refused {
            code: status.to_string(),
            text: "no answer of a station".to_owned(),
        };
    };
    let Refusal { code, text, .. } = refusal.clone();
    match refusal.code() {
        RefusalCode::EnrolmentCode => EnrolError::Code(text),
        RefusalCode::Version => EnrolError::UpgradeRequired,
        RefusalCode::Malformed
        | RefusalCode::TooLarge
        | RefusalCode::SignIn
        | RefusalCode::UnknownBook
        | RefusalCode::TryLater
        | RefusalCode::Internal
        | RefusalCode::Other(_) => EnrolError::Refused { code, text },
    }
}
