//! Enrolment: a one-time code becomes this file's book. The key and the request are kept before anything is sent, so that a lost
//! answer is asked for again with the same key. Does no IO but the store's.

use beatbook_protocol::id::{BookId, Hash, IncarnationId, UnitId, UserId};
use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::parcel::SealingPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    self, Attestation, EnrolRequest, EnrolResponse, Invitation, Refusal, RefusalCode, WIRE_VERSION, attestation_challenge,
    enrol_message,
};

use super::{KeyVault, SyncError};
use crate::core::Core;
use crate::ended::{has_ended_it, may_enrol};
use crate::error::CoreError;
use crate::store::enrolments::{self, EnrolmentRow};
use crate::store::identity::Identity;
use crate::store::records::Records;
use crate::store::sync_state::{self, BegunBook};
use crate::store::{StoreError, ended, lock, pages, parcels, pins};
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
    /// Another station answered than the invitation is to: somebody may stand between. Nothing was taken over.
    #[error("the station that answered is not the one of the invitation: do not go on over this network, and tell the chief")]
    OtherStation,
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
    /// Twelve digits to compare with those on the chief's screen; none from a station that has none.
    pub check_digits: Option<String>,
    /// Whether the station takes pages in only once somebody has compared them.
    pub awaits: bool,
}

/// Makes the statement that a key lives in this phone's hardware, where the platform can.
pub trait KeyAttestor {
    /// A statement over the challenge about the key under a handle of the keystore; none where there is none.
    fn attest(&self, key_handle: &str, challenge: &Hash) -> Option<Attestation>;
}

/// What the phone shows of its enrolment until it is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentShown {
    /// Twelve digits to compare with those on the chief's screen.
    pub check_digits: Option<String>,
    /// Whether the station waited for that at the last contact.
    pub awaits: bool,
}

/// What the phone shows of its enrolment; none before it has a book.
///
/// # Errors
/// Those of the store.
pub fn enrolment(core: &Core) -> Result<Option<EnrolmentShown>, CoreError> {
    core.read(|tx| {
        let Some(book) = sync_state::own_book(tx)? else {
            return Ok(None);
        };
        let row = enrolments::enrolment(tx, book.book)?;
        Ok(Some(EnrolmentShown {
            check_digits: row.digits,
            awaits: row.awaits,
        }))
    })
}

/// An enrolment that has begun: its request is kept until an answer was taken in.
#[derive(Debug, Clone)]
pub struct Enrolment {
    begun: BegunBook,
}

impl Enrolment {
    /// Begins with a one-time code, or goes on with what was begun: the key stays the same until an enrolment has come about, or the station
    /// has refused the code. Also for a book that has ended, once the station has said that it does not know it.
    ///
    /// # Errors
    /// When the key or the request cannot be kept; for a book whose end the station stands by.
    pub fn begin(core: &Core, vault: &dyn KeyVault, code: &str, device: &str) -> Result<Self, SyncError> {
        Self::begin_with(core, vault, (code, device), None, None)
    }

    /// Likewise, by an invitation: only the station that it is to is believed. `attestor` speaks for the keystore.
    ///
    /// # Errors
    /// Those of [`Enrolment::begin`].
    pub fn begin_by(
        core: &Core,
        vault: &dyn KeyVault,
        invitation: &Invitation,
        device: &str,
        attestor: Option<&dyn KeyAttestor>,
    ) -> Result<Self, SyncError> {
        let expected = (invitation.origin.clone(), invitation.fingerprint);
        Self::begin_with(core, vault, (&invitation.code, device), Some(expected), attestor)
    }

    fn begin_with(
        core: &Core,
        vault: &dyn KeyVault,
        (code, device): (&str, &str),
        expected: Option<(String, [u8; 16])>,
        attestor: Option<&dyn KeyAttestor>,
    ) -> Result<Self, SyncError> {
        may_enrol(core)?;
        let before = core.read_past_end(sync_state::begun_book)?;
        if let Some(begun) = before.clone().filter(|begun| begun.code == code) {
            expect(core, begun.book, expected)?;
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
        let challenge = attestation_challenge(code, book);
        let request = EnrolRequest {
            version: WIRE_VERSION,
            code: code.to_owned(),
            book,
            suite: key.suite(),
            key: key.to_bytes(),
            proof: signer.sign(&enrol_message(code, book, &key.to_bytes()))?,
            device: device.to_owned(),
            app: super::APP.to_owned(),
            attestation: attestor.and_then(|attestor| attestor.attest(&key_handle, &challenge)),
        };
        let begun = BegunBook {
            book,
            suite: key.suite(),
            key_handle,
            public_key: key.to_bytes(),
            code: code.to_owned(),
            request: wire::pack(&request).map_err(|fault| CoreError::Internal(fault.to_string()))?,
        };
        let row = EnrolmentRow {
            expected,
            ..EnrolmentRow::default()
        };
        core.write_past_end(|records| {
            sync_state::begin_book(records.tx(), &begun, now)?;
            enrolments::put_enrolment(records.tx(), book, &row)
        })?;
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
    /// When the station refused, or no believable answer came; the request is still kept then, unless its code was refused.
    pub fn finish(self, core: &Core, outcome: Outcome) -> Result<Enrolled, EnrolError> {
        let packed = match outcome {
            Outcome::Reply(packed) => packed,
            Outcome::Refused { status, bytes } => {
                let fault = refused(status, &bytes);
                if matches!(fault, EnrolError::Code(_)) {
                    // An answer may have been lost, and this book ended since: under its name the station would take no code at all.
                    core.write_past_end(|records| sync_state::leave_begun(records.tx(), self.begun.book))?;
                }
                return Err(fault);
            }
            Outcome::Failed(TransportFault::Untrusted(why)) => return Err(EnrolError::Untrusted(why)),
            Outcome::Failed(fault) => return Err(EnrolError::Network(fault)),
        };
        let response = read(&packed)?;
        let book = self.begun.book;
        let known = core.read_past_end(|tx| enrolments::enrolment(tx, book))?;
        let row = self.judge(&response, known)?;
        let me = Identity {
            user: response.user,
            unit: response.unit,
            book: self.begun.book,
        };
        let now = core.platform().clock.wall();
        let life = IncarnationId::from_parts(now, core.platform().bytes());
        let is_over = may_enrol(core)?;
        if is_over && !has_ended_it(core, &response)? {
            return Err(EnrolError::OtherStation);
        }
        core.write_past_end(|records| {
            enrolments::put_enrolment(records.tx(), book, &row)?;
            ended::take_back(records.tx())?;
            take_in(records, &me, &response, life, now)?;
            // What a station keeps is kept for a book: this one has nothing there yet.
            lock::drop_share(records.tx())?;
            lock::put_word(records.tx(), core.platform(), response.server_time, None)
        })?;
        if is_over {
            core.reopen()?;
        }
        Ok(Enrolled {
            station: response.station,
            user: response.user,
            user_name: response.user_name,
            roles: response.roles,
            unit: response.unit,
            book,
            check_digits: row.digits,
            awaits: row.awaits,
        })
    }

    /// Whether it is the station that was expected, and its word on this book's key.
    fn judge(&self, response: &EnrolResponse, known: EnrolmentRow) -> Result<EnrolmentRow, EnrolError> {
        if let Some((origin, fingerprint)) = &known.expected {
            let invitation = Invitation {
                address: None,
                code: self.begun.code.clone(),
                origin: origin.clone(),
                fingerprint: *fingerprint,
            };
            if !invitation.is_to(&response.origin, &response.checkpoint_key, &response.receipt_key) {
                return Err(EnrolError::OtherStation);
            }
        }
        let digits = response.check_digits(&self.begun.code, self.begun.book, &self.begun.public_key);
        if digits.is_none() && (response.nonce.is_some() || known.expected.is_some()) {
            let why = "its word on this phone's key is not signed by the station".to_owned();
            return Err(SyncError::Reply(why).into());
        }
        Ok(EnrolmentRow {
            digits,
            awaits: response.awaits == Some(true),
            ..known
        })
    }
}

/// What an invitation says of the station counts from when it is scanned, also for an enrolment that was begun before. A code without one takes
/// nothing back that was expected.
fn expect(core: &Core, book: BookId, expected: Option<(String, [u8; 16])>) -> Result<(), CoreError> {
    if expected.is_none() {
        return Ok(());
    }
    core.write_past_end(|records| {
        let known = enrolments::enrolment(records.tx(), book)?;
        enrolments::put_enrolment(records.tx(), book, &EnrolmentRow { expected, ..known })
    })
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
        | RefusalCode::Blocked
        | RefusalCode::Attestation
        | RefusalCode::AwaitingConfirmation
        | RefusalCode::TryLater
        | RefusalCode::Internal
        | RefusalCode::Other(_) => EnrolError::Refused { code, text },
    }
}

#[cfg(test)]
mod tests;
