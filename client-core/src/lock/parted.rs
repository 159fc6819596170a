//! The wipe of a user whose book has ended: his ways in and his book's key go with his file, and what is left is a note, and emergency notes
//! that the station has not, which nobody reads on this phone. Nobody else on the phone is touched. Knows not why a book ends.

use std::sync::Arc;

use super::cabinet::Cabinet;
use super::error::LockError;
use super::open::OpenUser;
use super::phone::{LocalUser, Phone};
use crate::core::Core;
use crate::emergency::are_left;
use crate::ended::{Farewell, FarewellFault, LastWord, Shredder, shred};

/// What is left of a user whose book has ended: he is in no list of users any more.
#[derive(Debug, Clone)]
pub struct PartedUser {
    /// Who he was on this phone.
    pub user: LocalUser,
    /// What happened; its last word is for the station.
    pub farewell: Farewell,
}

impl Shredder for Cabinet {
    fn destroy_book_key(&self, handle: &str) -> Result<(), String> {
        let _hand = self.hand();
        self.shred_book_key(handle).map_err(|fault| fault.to_string())
    }

    fn destroy_database_key(&self) -> Result<(), String> {
        let _hand = self.hand();
        self.shred_keys()
            .and_then(|()| self.remove_wraps())
            .map_err(|fault| fault.to_string())
    }
}

impl Phone {
    /// Destroys the keys and the file of a user whose book has ended and whose work was handed in. From the moment that his note is on the
    /// disk he is no user any more; killed at any step, [`Phone::open`] goes on.
    ///
    /// # Errors
    /// When something cannot be destroyed now. Without a note nothing was destroyed, and he comes in again to part once more.
    pub fn shred_ended(&self, open: OpenUser, word: LastWord) -> Result<Farewell, FarewellFault> {
        self.shred_ended_by(open, |core, cabinet| shred(core, word, cabinet))
    }

    pub(super) fn shred_ended_by(
        &self,
        open: OpenUser,
        destroy: impl FnOnce(Core, &Cabinet) -> Result<Farewell, FarewellFault>,
    ) -> Result<Farewell, FarewellFault> {
        let (core, cabinet, _entered) = open.into_parts();
        let farewell = destroy(core, &cabinet);
        if cabinet.has_parted() {
            self.set_apart(&cabinet);
        }
        farewell
    }

    /// What is left of users whose books have ended: show it, and bring their last words to the station.
    ///
    /// # Errors
    /// When a note cannot be read.
    pub fn parted_users(&self) -> Result<Vec<PartedUser>, FarewellFault> {
        let parted = self.parted();
        let found = parted.iter().map(|(user, cabinet)| {
            let farewell = Farewell::find(&cabinet.database())?;
            Ok(farewell.map(|farewell| PartedUser {
                user: user.clone(),
                farewell,
            }))
        });
        found.filter_map(Result::transpose).collect()
    }

    /// Takes away what is left of a user, once the station has the last word, whoever holds the phone has read what happened, and the custodians
    /// have the emergency notes that the station has not ([`Phone::notes_waiting`], [`Phone::note_taken`]). Before that it stays; tells
    /// whether it went.
    ///
    /// # Errors
    /// When there is no such user, or it cannot be removed; called again, or at the next start, it goes on.
    pub fn dismiss(&self, user: &LocalUser) -> Result<bool, LockError> {
        let cabinet = self.parted().get(user).cloned().ok_or(LockError::NoSuchUser)?;
        let is_told = match Farewell::find(&cabinet.database()) {
            Ok(Some(farewell)) => farewell.is_settled(),
            // A removal that failed half way.
            Ok(None) => true,
            Err(fault) => return Err(LockError::Files(std::io::Error::other(fault))),
        };
        let goes = is_told && !are_left(&cabinet.notes())?;
        if goes {
            self.remove(&cabinet)?;
            self.parted().remove(user);
        }
        Ok(goes)
    }
}

impl Cabinet {
    /// Whether his note is there: then nobody comes in any more, whatever files are there too. One that cannot be read leaves the list of
    /// users as it is, and opens nothing either.
    pub(super) fn has_parted(&self) -> bool {
        matches!(Farewell::find(&self.database()), Ok(Some(_)))
    }

    /// Goes on where a wipe was cut short. What cannot be destroyed now waits for the next start, and keeps nobody else out.
    pub(super) fn go_on_parting(self: &Arc<Self>) {
        let gone_on =
            Farewell::find(&self.database()).and_then(|found| found.map(|farewell| farewell.go_on(self.as_ref())).transpose());
        if let Err(error) = gone_on {
            tracing::warn!(%error, user = self.user, "what a wipe left is not destroyed yet");
        }
    }
}
