//! The carrier's side: parcels of others, kept encrypted with everything else in the file, bounded in number and size. It sees whose station
//! they are for and how long they are, nothing more.

use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::PARCELS_CARRIED_MAX;
use beatbook_protocol::parcel::{Parcel, ParcelFault, parcel_hash};
use beatbook_protocol::time::UnixMillis;

use super::ParcelError;
use crate::core::Core;
use crate::error::CoreError;
use crate::store::parcels::{self, Carried, CarriedRow};
use crate::store::sync_state;
use crate::sync::SyncError;

/// A parcel that was taken along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedIn {
    /// Its name.
    pub parcel: Hash,
    /// Whether it was here already.
    pub already: bool,
}

/// How a parcel that is carried stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarriedState {
    /// It goes to the station with the next sync; what the station said of it last, if anything.
    Waiting {
        /// For people.
        note: Option<String>,
    },
    /// The station has it, and its answer is here for the author.
    Answered {
        /// When the answer came.
        at: UnixMillis,
        /// When it was handed out.
        handed_at: Option<UnixMillis>,
    },
    /// The station would not have it: its author should know.
    Refused {
        /// Code.
        code: String,
        /// For people.
        text: String,
    },
}

/// A parcel that is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedView {
    /// Its name.
    pub parcel: Hash,
    /// When it was taken along.
    pub taken_at: UnixMillis,
    /// How it stands.
    pub state: CarriedState,
}

/// Takes the parcel of another phone along. The same again changes nothing; one that was refused is tried again.
///
/// # Errors
/// When it is no parcel, is for another station, or the phone carries too many.
pub fn carry_in(core: &Core, file: &[u8]) -> Result<CarriedIn, ParcelError> {
    let origin = core.read(sync_state::own_book)?.ok_or(SyncError::NotEnrolled)?.origin;
    let opened = Parcel::parse(file)?;
    if opened.origin != origin {
        return Err(ParcelFault::OtherStation(opened.origin).into());
    }
    let parcel = parcel_hash(file);
    let now = core.platform().clock.wall();
    let taken = core.write(|records| {
        let tx = records.tx();
        if !parcels::make_room(tx, &parcel, PARCELS_CARRIED_MAX)? {
            return Ok(None);
        }
        parcels::carry(tx, &parcel, file, now).map(Some)
    })?;
    match taken {
        Some(new) => Ok(CarriedIn { parcel, already: !new }),
        None => Err(ParcelError::TooMany(PARCELS_CARRIED_MAX)),
    }
}

/// What this phone carries for others, in the order of taking.
///
/// # Errors
/// Those of the store.
pub fn carried(core: &Core) -> Result<Vec<CarriedView>, CoreError> {
    Ok(core.read(parcels::carried)?.into_iter().map(view).collect())
}

/// The file of the station's answer, for the phone that made the parcel.
///
/// # Errors
/// When there is no such parcel, or no answer to it yet, or the station refused it.
pub fn carry_out(core: &Core, parcel: Hash) -> Result<Vec<u8>, ParcelError> {
    let rows = core.read(parcels::carried)?;
    let row = rows.into_iter().find(|row| row.parcel == parcel);
    match row.map(|row| row.state) {
        None => Err(ParcelError::Unknown(parcel)),
        Some(Carried::Waiting) => Err(ParcelError::NotAnswered(parcel)),
        Some(Carried::Refused { code, text }) => Err(ParcelError::Refused { parcel, code, text }),
        Some(Carried::Answered) => {
            let now = core.platform().clock.wall();
            let file = core.write(|records| {
                parcels::note_handed(records.tx(), &parcel, now)?;
                parcels::file(records.tx(), &parcel)
            })?;
            file.ok_or(ParcelError::Unknown(parcel))
        }
    }
}

/// Puts a parcel of another down, with its answer. Its author's pages wait on his own phone all the same.
///
/// # Errors
/// When there is no such parcel.
pub fn put_down(core: &Core, parcel: Hash) -> Result<(), ParcelError> {
    let was_there = core.write(|records| parcels::put_down(records.tx(), &parcel))?;
    was_there.then_some(()).ok_or(ParcelError::Unknown(parcel))
}

fn view(row: CarriedRow) -> CarriedView {
    CarriedView {
        parcel: row.parcel,
        taken_at: row.taken_at,
        state: match row.state {
            Carried::Waiting => CarriedState::Waiting { note: row.note },
            Carried::Answered => CarriedState::Answered {
                at: row.answered_at.unwrap_or(row.taken_at),
                handed_at: row.handed_at,
            },
            Carried::Refused { code, text } => CarriedState::Refused { code, text },
        },
    }
}
