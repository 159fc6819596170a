//! An online unlock: the station gives back the share of the file's key that it keeps, to the book's own signature and a one-time code. Steps
//! without IO, like an enrolment. Ends with a new PIN.

use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::parcel::SealingKey;
use beatbook_protocol::wire::{self, Refusal, RefusalCode, UnlockRequest, UnlockResponse, WIRE_VERSION, unlock_message};
use zeroize::Zeroizing;

use super::cabinet::{Cabinet, ONLINE, ONLINE_NEXT};
use super::card::Station;
use super::error::LockError;
use super::lease::TimeMarks;
use super::open::OpenUser;
use super::phone::{LocalUser, Phone};
use super::pin;
use super::ward::Ward;
use super::wrap::FileKey;
use crate::sync::{KeyVault, SyncError, read_refusal};
use crate::transport::{Outcome, OutgoingRequest};

/// Where online unlocks go.
const PATH: &str = "/sync/v1/unlock";
/// The refusal of a code that is wrong, used, or run out.
const CODE: &str = "unlock_code";

/// An online unlock that has begun.
pub struct OnlineUnlock {
    user: LocalUser,
    station: Station,
    reply_key: SealingKey,
    request: Vec<u8>,
}

impl std::fmt::Debug for OnlineUnlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnlineUnlock")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl OnlineUnlock {
    /// The request, the same each time.
    #[must_use]
    pub fn request(&self) -> OutgoingRequest {
        OutgoingRequest {
            path: PATH,
            token: None,
            signature: None,
            body: self.request.clone(),
        }
    }
}

impl Phone {
    /// Begins an online unlock with the code that the chief or an administrator issued. `keys` hold the book's key, and sign while the file is
    /// locked; without any, those under this phone's vault are taken.
    ///
    /// # Errors
    /// When the user was never enrolled, or the keystore does not sign.
    pub fn begin_online_unlock(
        &self,
        user: &LocalUser,
        code: &str,
        keys: Option<&dyn KeyVault>,
    ) -> Result<OnlineUnlock, LockError> {
        let cabinet = self.cabinet(user)?;
        let station = cabinet.station()?;
        let own = cabinet.keys();
        let signer = keys.unwrap_or(&own).load(&station.key_handle)?;
        let reply_key = SealingKey::from_bytes(&Zeroizing::new(cabinet.platform().bytes()));
        let public = *reply_key.public_key().as_bytes();
        let message = unlock_message(&station.origin, station.book, code, &public);
        let request = UnlockRequest {
            version: WIRE_VERSION,
            book: station.book,
            code: code.to_owned(),
            reply_key: public,
            signature: signer.sign(&message).map_err(SyncError::Key)?,
        };
        Ok(OnlineUnlock {
            user: user.clone(),
            request: wire::pack(&request).map_err(|fault| LockError::Reply(fault.to_string()))?,
            station,
            reply_key,
        })
    }

    /// Takes in what came of the request, and lets the user in under a new PIN, all tries before him. Called again with another PIN, or
    /// with what came of the same request sent again, it goes on.
    ///
    /// # Errors
    /// Why he stays out.
    pub fn finish_online_unlock(&self, unlock: &OnlineUnlock, outcome: Outcome, new_pin: &str) -> Result<OpenUser, LockError> {
        pin::check(new_pin)?;
        let packed = match outcome {
            Outcome::Reply(packed) => packed,
            Outcome::Refused { status, bytes } => return Err(refused(status, &bytes)),
            Outcome::Failed(fault) => return Err(LockError::Network(fault)),
        };
        let cabinet = self.cabinet(&unlock.user)?;
        let entered = cabinet.enter()?;
        let mut knows_lease = false;
        let key = {
            let _hand = cabinet.hand();
            let (response, share) = unlock.open(&packed)?;
            let key = disclose(&cabinet, &share)?;
            let now = cabinet.now();
            let mut time = TimeMarks::begin(now);
            if let Some(before) = Ward::read(&cabinet.shelf, cabinet.vault.as_ref(), &cabinet.user)? {
                time = before.time;
                knows_lease = true;
            }
            let lease_ms = time.lease_ms();
            time.contact(response.server_time, lease_ms, now, now);
            time.pin_at_ms = time.elapsed_ms;
            // The PIN first: a phone that dies between the two still knows that the tries are used, and asks the station again.
            cabinet.put_pin(new_pin, self.cost(), &key)?;
            let mut ward = Ward::begin(time);
            ward.has_share = true;
            cabinet.put_ward(&mut ward)?;
            key
        };
        let open = OpenUser::open(cabinet, entered, key)?;
        // Of a book that has ended nothing is renewed: he comes in to part.
        if open.core_for_contact().refuse_over().is_err() {
            return Ok(open);
        }
        if !knows_lease {
            open.take_lease_over()?;
        }
        // The share was out of the station's hands: the next exchange brings it another, and this one opens nothing any more then.
        open.renew_share()?;
        open.contact()?;
        Ok(open)
    }
}

impl OnlineUnlock {
    fn open(&self, packed: &[u8]) -> Result<(UnlockResponse, Zeroizing<Vec<u8>>), LockError> {
        let unbelievable = |why: String| LockError::Reply(why);
        let bytes = wire::unpack(packed).map_err(|fault| unbelievable(fault.to_string()))?;
        let response: UnlockResponse = wire::read("unlock", &bytes).map_err(|fault| unbelievable(fault.to_string()))?;
        let key: &[u8; 32] = self
            .station
            .receipt_key
            .as_slice()
            .try_into()
            .map_err(|_| LockError::Damaged("card".to_owned()))?;
        let key = StationPublicKey::from_bytes(key).map_err(|_| LockError::Damaged("card".to_owned()))?;
        let share = response.open(&self.station.origin, self.station.book, &self.reply_key, &key);
        let share = share.ok_or_else(|| unbelievable("it is not this station's word on this request".to_owned()))?;
        Ok((response, Zeroizing::new(share)))
    }
}

/// Opens the key of the file by a share: the one that the station keeps, or the next, whose reply was lost.
fn disclose(cabinet: &Cabinet, share: &[u8]) -> Result<FileKey, LockError> {
    for name in [ONLINE, ONLINE_NEXT] {
        if let Ok(Some(key)) = cabinet.disclose_part(name, share) {
            return Ok(key);
        }
    }
    Err(LockError::Reply("the station's share does not open this phone".to_owned()))
}

fn refused(status: u16, bytes: &[u8]) -> LockError {
    let Some(refusal) = read_refusal(bytes) else {
        return LockError::Refused {
            code: status.to_string(),
            text: "no answer of a station".to_owned(),
        };
    };
    let Refusal { code, text, .. } = refusal.clone();
    match refusal.code() {
        RefusalCode::Other(code) if code == CODE => LockError::Code(text),
        _ => LockError::Refused { code, text },
    }
}
