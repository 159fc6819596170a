//! The author's side again: the station's answer comes home in a file. Its verdicts go the way that a reply's verdicts go; the cursor stays
//! where it is, since nothing of the feed came along.

use beatbook_protocol::ledger::Checkpoint;
use beatbook_protocol::parcel::{Answer, ParcelFault};

use super::ParcelError;
use crate::core::Core;
use crate::store::{pages, parcels, sync_state};
use crate::sync::{SyncError, SyncEvent, apply};

/// What an answer said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerTaken {
    /// Own pages that it settled; those that were answered before, by this or another way, are not counted.
    pub pages: u64,
    /// Own entries in them.
    pub entries: u64,
    /// Of those: taken in, now or before.
    pub accepted: u64,
    /// Of those: refused.
    pub refused: u64,
    /// What to show, in order.
    pub events: Vec<SyncEvent>,
    /// Whether this answer was taken in before.
    pub already: bool,
}

/// Takes in the station's answer to a parcel of this phone. The same again changes nothing.
///
/// # Errors
/// When it is no answer, not to a parcel of this phone, not signed by its station, or from a time that the station has lost since.
pub fn take_answer(core: &Core, file: &[u8]) -> Result<AnswerTaken, ParcelError> {
    let book = core.read(sync_state::own_book)?.ok_or(SyncError::NotEnrolled)?;
    let answer = Answer::parse(file)?;
    if answer.origin != book.origin {
        return Err(ParcelFault::OtherStation(answer.origin).into());
    }
    let key = core
        .read(|tx| parcels::answer_key(tx, &answer.parcel))?
        .ok_or(ParcelError::NotOurs)?;
    let mut content = answer.open(&key, &book.receipt_key)?;
    let verified = |note: &str| Checkpoint::verify(note, &book.origin, &book.checkpoint_key);
    let checkpoint = verified(&content.checkpoint).map_err(|_| ParcelFault::Signature)?;
    let exchanged = core.read(sync_state::exchanged)?;
    let seen = exchanged.cursor.as_ref().map(|cursor| cursor.position);
    let held = exchanged.checkpoint.as_deref().and_then(|note| verified(note).ok());
    // A page answered on a ledger that was lost since is not on the ledger: it must be sent again, whatever this answer says.
    let epoch = seen.map(|seen| seen.epoch).max(held.as_ref().map(|held| held.position.epoch));
    if epoch.is_some_and(|epoch| checkpoint.position.epoch < epoch) {
        return Err(ParcelError::Stale);
    }
    // Whoever has seen nothing of the ledger yet notices by this that it was set back.
    if seen.is_some() || held.is_some() {
        content.checkpoint.clear();
    }
    // Pages that are not here any more were answered another way, and are in a backup.
    let mut ours = Vec::with_capacity(content.answers.len());
    for page in &content.answers {
        if core.read(|tx| pages::entries_in(tx, &page.page))?.is_some() {
            ours.push(page.clone());
        }
    }
    apply::check_answers(core, &ours)?;
    let backed_up = seen.filter(|seen| seen.epoch == checkpoint.position.epoch);
    let backed_up = backed_up.zip(content.backed_up_to).map(|(seen, size)| size.min(seen.size));
    let parcel = apply::ParcelAnswer {
        content: &content,
        ours: &ours,
        backed_up,
    };
    let (applied, new) = apply::apply_parcel(core, &parcel, core.platform().clock.wall())?;
    Ok(AnswerTaken {
        pages: applied.pages,
        entries: applied.entries,
        accepted: applied.accepted,
        refused: applied.refused,
        events: applied.events,
        already: !new,
    })
}
