//! A user who is in: his core while his lease lasts, and what is done after each contact with the station. Gives the core its key and keeps
//! the key no longer in any other form.

use std::sync::{Arc, Mutex, PoisonError};

use beatbook_protocol::wire::share_name;
use zeroize::Zeroizing;

use super::cabinet::{Cabinet, Entered, FACE, ONLINE, ONLINE_NEXT};
use super::card::{Card, CustodianKey, Place, Station};
use super::error::LockError;
use super::keys::WrappedKeys;
use super::lease::{Lease, LeaseState, Moment, TimeMarks};
use super::phone::LocalUser;
use super::vault::Gate;
use super::ward::Ward;
use super::wrap::FileKey;
use crate::core::{Core, Damaged, OpenOptions};
use crate::store::lock::{self, OwnShare, StationWord};
use crate::store::{StoreError, Tx, identity, parcels, sync_state};

/// A user who is in.
pub struct OpenUser {
    core: Core,
    recovered: Option<Damaged>,
    key: FileKey,
    cabinet: Arc<Cabinet>,
    /// What was last seen of time, so that no call needs the disk.
    time: Mutex<TimeMarks>,
    entered: Entered,
}

impl std::fmt::Debug for OpenUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenUser")
            .field("user", &self.cabinet.user)
            .finish_non_exhaustive()
    }
}

impl OpenUser {
    pub(super) fn open(cabinet: Arc<Cabinet>, entered: Entered, key: FileKey) -> Result<Self, LockError> {
        let options = OpenOptions {
            key: Some(*key),
            pages_max: None,
        };
        let opened = Core::open(&cabinet.database(), options, cabinet.platform.platform())?;
        let time = {
            let _hand = cabinet.hand();
            cabinet.ward()?.time
        };
        let open = Self {
            core: opened.core,
            recovered: opened.recovered,
            key,
            cabinet,
            time: Mutex::new(time),
            entered,
        };
        // Whatever a process left undone that died between an exchange and this. A full disk must not keep the officer out.
        if let Err(error) = open.contact() {
            tracing::warn!(%error, "what the station said last was not taken over yet");
        }
        Ok(open)
    }

    /// Who he is on this phone.
    #[must_use]
    pub fn user(&self) -> LocalUser {
        self.cabinet.local_user()
    }

    /// Set when his file was damaged and a new one was begun.
    #[must_use]
    pub const fn recovered(&self) -> Option<&Damaged> {
        self.recovered.as_ref()
    }

    /// His records, while his lease lasts. Ask for it at each call, so that a lease that runs out meanwhile locks.
    ///
    /// # Errors
    /// [`LockError::LeaseOver`]: only an exchange reopens them.
    pub fn core(&self) -> Result<&Core, LockError> {
        match self.lease().state {
            LeaseState::Over(why) => Err(LockError::LeaseOver(why)),
            LeaseState::Holds | LeaseState::EndsSoon => Ok(&self.core),
        }
    }

    /// His core for an enrolment or an exchange, whatever the lease: these reopen it. Show nothing of it.
    #[must_use]
    pub const fn core_for_contact(&self) -> &Core {
        &self.core
    }

    /// The keys of his books, for enrolment and exchange.
    #[must_use]
    pub fn keys(&self) -> WrappedKeys {
        self.cabinet.keys()
    }

    /// How his lease stands now.
    #[must_use]
    pub fn lease(&self) -> Lease {
        let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        time.observe(self.cabinet.now());
        time.lease()
    }

    /// Takes over what the last enrolment or exchange said: the lease, keys for emergency notes, the share. Call it after each of them.
    /// Without anything new it costs one look.
    ///
    /// # Errors
    /// Of the disk and the keystore; the next call goes on.
    pub fn contact(&self) -> Result<Lease, LockError> {
        let _hand = self.cabinet.hand();
        let mut ward = self.cabinet.ward()?;
        let said = self.core.read(Said::read)?;
        let mut is_news = false;
        if let Some(word) = said.word {
            let at = Moment {
                wall: word.wall.0,
                boot: word.boot,
                monotonic_ms: word.monotonic_ms,
            };
            is_news |= ward.time.contact(word.station_time, word.lease_ms, at, self.cabinet.now());
        }
        let card = self.cabinet.card()?;
        if said.station.is_some() && card.station != said.station {
            self.cabinet.put_card(&Card {
                station: said.station,
                ..card
            })?;
        }
        is_news |= self.settle_share(said.share, &mut ward)?;
        if is_news {
            self.cabinet.put_ward(&mut ward)?;
        }
        *self.time.lock().unwrap_or_else(PoisonError::into_inner) = ward.time;
        Ok(ward.time.lease())
    }

    /// Lets finger or face open this user's file from now on, until those that the phone knows change.
    ///
    /// # Errors
    /// When the phone has none.
    pub fn allow_biometric(&self) -> Result<(), LockError> {
        let _hand = self.cabinet.hand();
        self.cabinet.put_part(FACE, Gate::Biometric, None, &self.key)
    }

    /// Ends that.
    ///
    /// # Errors
    /// When the key may still be there.
    pub fn forbid_biometric(&self) -> Result<(), LockError> {
        let _hand = self.cabinet.hand();
        self.cabinet.drop_part(FACE)
    }

    /// Another label in the list of users.
    ///
    /// # Errors
    /// When it cannot be shown.
    pub fn set_label(&self, label: &str) -> Result<(), LockError> {
        // The PIN is not known here; an empty one is in every label, and a label must not be that either.
        let label = super::pin::check_label(label, "\0")?;
        let _hand = self.cabinet.hand();
        let card = self.cabinet.card()?;
        self.cabinet.put_card(&Card { label, ..card })
    }

    /// Where his station is; none before it was said.
    ///
    /// # Errors
    /// When his card cannot be read.
    pub fn place(&self) -> Result<Option<Place>, LockError> {
        Ok(self.cabinet.card()?.place)
    }

    /// Says where his station is. It is known by its keys all the same.
    ///
    /// # Errors
    /// Of the disk and the keystore; then what was said before holds.
    pub fn set_place(&self, place: Place) -> Result<(), LockError> {
        let _hand = self.cabinet.hand();
        let card = self.cabinet.card()?;
        self.cabinet.put_card(&Card {
            place: Some(place),
            ..card
        })
    }

    /// Writes down what was seen of time.
    pub(super) fn note_time(&self) -> Result<(), LockError> {
        let _hand = self.cabinet.hand();
        let mut ward = self.cabinet.ward()?;
        self.cabinet.put_ward(&mut ward)
    }

    /// Out of his file for good: what is left of him is his core, his folder, and that nobody comes in meanwhile.
    pub(super) fn into_parts(self) -> (Core, Arc<Cabinet>, Entered) {
        (self.core, self.cabinet, self.entered)
    }

    /// The key of the file, to look for it where it must not be.
    #[cfg(test)]
    pub(super) fn key_for_tests(&self) -> &[u8; 32] {
        &self.key
    }

    pub(crate) fn cabinet(&self) -> &Arc<Cabinet> {
        &self.cabinet
    }

    /// A share was shown outside the station: another takes its place there at the next exchange. Until then the one before opens.
    pub(super) fn renew_share(&self) -> Result<(), LockError> {
        let share = Zeroizing::new(self.cabinet.platform.bytes::<32>());
        let name = share_name(share.as_slice());
        self.core.write(|records| lock::put_share(records.tx(), &share, &name))?;
        self.put_share_wrap(ONLINE_NEXT, &share)
    }

    /// The lease lasts as long as the station said last, where the ward no longer knew.
    pub(super) fn take_lease_over(&self) -> Result<(), LockError> {
        let Some(word) = self.core.read(lock::word)? else {
            return Ok(());
        };
        let _hand = self.cabinet.hand();
        let mut ward = self.cabinet.ward()?;
        ward.time.last_for(word.lease_ms);
        self.cabinet.put_ward(&mut ward)?;
        *self.time.lock().unwrap_or_else(PoisonError::into_inner) = ward.time;
        Ok(())
    }

    /// Sees to the wrap by the station's share: made with the share, and good from when the station has said that it keeps it. A share
    /// leaves this phone as soon as that is so.
    fn settle_share(&self, own: Option<OwnShare>, ward: &mut Ward) -> Result<bool, LockError> {
        let named = own.as_ref().map(|own| own.name.as_bytes().to_vec());
        let is_wrapped = |name| named.is_some() && self.cabinet.share_of(name).ok().flatten() == named;
        // There is none: at first, after an enrolment, and when the station was restored. Or it is kept, and its wrap was lost.
        let is_gone = own.as_ref().is_none_or(|own| own.share.is_none() && !is_wrapped(ONLINE));
        if is_gone {
            // The ward first: from here on wrong PINs destroy nothing.
            if std::mem::take(&mut ward.has_share) {
                self.cabinet.put_ward(ward)?;
            }
            self.renew_share()?;
            return Ok(false);
        }
        let Some(OwnShare {
            share: Some(share),
            is_kept,
            ..
        }) = &own
        else {
            return Ok(false);
        };
        if !is_kept {
            if !is_wrapped(ONLINE_NEXT) {
                self.put_share_wrap(ONLINE_NEXT, share)?;
            }
            return Ok(false);
        }
        if !is_wrapped(ONLINE) {
            // Under a new key of the vault, so that no copy of the wrap before opens by a share that was shown outside the station. While the old
            // key is gone and the wrap not there, the other one opens.
            if !is_wrapped(ONLINE_NEXT) {
                self.put_share_wrap(ONLINE_NEXT, share)?;
            }
            self.cabinet.forget_part_key(ONLINE)?;
            self.put_share_wrap(ONLINE, share)?;
        }
        if !ward.has_share {
            ward.has_share = true;
            self.cabinet.put_ward(ward)?;
        }
        self.cabinet.drop_part(ONLINE_NEXT)?;
        self.core.write(|records| lock::forget_share(records.tx()))?;
        Ok(true)
    }

    fn put_share_wrap(&self, name: &'static str, share: &[u8; 32]) -> Result<(), LockError> {
        let known_as = share_name(share);
        self.cabinet
            .put_part(name, Gate::Open, Some((share, known_as.as_bytes())), &self.key)
    }
}

/// What the file says about the station, and about the share.
struct Said {
    word: Option<StationWord>,
    station: Option<Station>,
    share: Option<OwnShare>,
}

impl Said {
    fn read(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let station = match (sync_state::own_book(tx)?, identity::identity(tx)?) {
            (Some(book), Some(me)) => {
                let sealing = parcels::sealing_key(tx, &book.origin)?;
                Some(Station {
                    receipt_key: book.receipt_key.to_bytes().to_vec(),
                    sealing_key: sealing.map_or_else(Vec::new, |(key, _)| key.as_bytes().to_vec()),
                    custodians: lock::custodian_keys(tx, me.unit)?
                        .into_iter()
                        .map(|key| CustodianKey(key.to_vec()))
                        .collect(),
                    book: book.book,
                    key_handle: book.key_handle,
                    origin: book.origin,
                    unit: me.unit,
                })
            }
            _ => None,
        };
        Ok(Self {
            word: lock::word(tx)?,
            station,
            share: lock::share(tx)?,
        })
    }
}
