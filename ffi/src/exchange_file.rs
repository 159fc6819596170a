//! Exchange by file, where no network is: own work sealed to the station, carried by another phone or a USB stick, and the answer back.

use std::sync::Arc;

use beatbook_client_core::protocol::id::Hash;
use beatbook_client_core::sync::parcel::{self, CarriedState};

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::values::parsed;

/// The parcels of an open book.
#[derive(Debug, uniffi::Object)]
pub struct ExchangeFile {
    desk: Arc<Desk>,
}

/// A parcel that was made here.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ParcelFile {
    /// Its file, sealed to the station: write it where you like, under any name.
    pub file: Vec<u8>,
    /// Its name, by which its answer is known.
    pub parcel: String,
    /// Own entries in it.
    pub entries: u64,
    /// Bytes of photos and recordings in it.
    pub photo_bytes: u64,
}

/// A parcel that this phone carries for another.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Carried {
    /// Its name.
    pub parcel: String,
    /// `waiting`, `answered` or `refused`.
    pub state: String,
}

/// What an answer said.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AnswerTaken {
    /// Own entries that the station has now.
    pub accepted: u64,
    /// Own entries that it refused.
    pub refused: u64,
}

impl ExchangeFile {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl ExchangeFile {
    /// Seals all that waits into parcels, mostly one, with at most so many bytes of photos. What waits goes on waiting.
    ///
    /// # Errors
    /// `InvalidInput` at `outbox` when nothing waits, `TryLater` when the station's sealing key is not known yet: sync once.
    pub async fn make(&self, photo_bytes_max: u64) -> Result<Vec<ParcelFile>, BeatbookError> {
        self.desk
            .work_as_user(move |user| {
                let made = parcel::make(user.core()?, &user.keys(), photo_bytes_max)?;
                let files = made.into_iter().map(|made| ParcelFile {
                    file: made.file,
                    parcel: made.parcel.to_string(),
                    entries: made.entries,
                    photo_bytes: made.blob_bytes,
                });
                Ok(files.collect())
            })
            .await
    }

    /// Takes the parcel of another phone along. The next sync delivers it. Gives its name.
    ///
    /// # Errors
    /// `InvalidInput` at `file` when it is no parcel, or for another station.
    pub async fn carry_in(&self, file: Vec<u8>) -> Result<String, BeatbookError> {
        self.desk
            .work(move |core| Ok(parcel::carry_in(core, &file)?.parcel.to_string()))
            .await
    }

    /// What this phone carries for others.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn carried(&self) -> Result<Vec<Carried>, BeatbookError> {
        self.desk
            .work(|core| {
                let all = parcel::carried(core)?.into_iter().map(|view| Carried {
                    parcel: view.parcel.to_string(),
                    state: match view.state {
                        CarriedState::Waiting { .. } => "waiting",
                        CarriedState::Answered { .. } => "answered",
                        CarriedState::Refused { .. } => "refused",
                    }
                    .to_owned(),
                });
                Ok(all.collect())
            })
            .await
    }

    /// The file of the station's answer, for the phone that made the parcel.
    ///
    /// # Errors
    /// `InvalidInput` at `parcel` when there is none, or no answer yet.
    pub async fn carry_out(&self, parcel: String) -> Result<Vec<u8>, BeatbookError> {
        let name: Hash = parsed("parcel", &parcel)?;
        self.desk.work(move |core| Ok(parcel::carry_out(core, name)?)).await
    }

    /// Takes in the station's answer to a parcel of this phone.
    ///
    /// # Errors
    /// `InvalidInput` at `file` when it is not that.
    pub async fn take_answer(&self, file: Vec<u8>) -> Result<AnswerTaken, BeatbookError> {
        self.desk
            .work(move |core| {
                let taken = parcel::take_answer(core, &file)?;
                Ok(AnswerTaken {
                    accepted: taken.accepted,
                    refused: taken.refused,
                })
            })
            .await
    }
}
