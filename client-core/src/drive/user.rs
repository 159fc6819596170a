//! The loop around a user who is in under the lock: his sync, his way in by the station, and his end. Knows nothing of messages or keys.

use super::{HandedIn, hand_over, sync_with, tell};
use crate::core::Core;
use crate::emergency::{NoteDelivery, NoteError, NotesReport};
use crate::ended::{Farewell, FarewellFault, Parting, ended};
use crate::lock::{LocalUser, LockError, OpenUser, Phone, check_pin};
use crate::sync::{Budget, SyncError, SyncFault, SyncReport, WaitReason};
use crate::transport::Transport;

/// One sync of a user who is in, whatever his lease: afterwards the lock has taken over what the station said, and emergency notes are on
/// their way. Until the first such sync after an enrolment the station could not let him in again without his PIN: make it at once.
/// When the report's fault is [`SyncFault::Ended`], go on with [`part_user`].
///
/// # Errors
/// Those of [`sync_with`], of the lock and of the notes' files. A network that fails, or a station that refuses, is in the reports.
pub async fn sync_user(
    user: &OpenUser,
    transport: &impl Transport,
    budget: Budget,
) -> Result<(SyncReport, NotesReport), UserSyncError> {
    if let Some(end) = ended(user.core_for_contact()).map_err(LockError::Core)? {
        let report = SyncReport {
            fault: Some(SyncFault::Ended { why: end.why }),
            ..SyncReport::default()
        };
        return Ok((report, NotesReport::default()));
    }
    // What an enrolment left to do: the first exchange takes the share of the file's key along.
    user.contact()?;
    let report = sync_with(user.core_for_contact(), &user.keys(), transport, budget).await?;
    if matches!(report.fault, Some(SyncFault::Ended { .. })) {
        return Ok((report, NotesReport::default()));
    }
    user.contact()?;
    if report.fault.is_some() {
        return Ok((report, NotesReport::default()));
    }
    let mut delivery = NoteDelivery::open(user)?;
    carry(&mut delivery, transport).await?;
    Ok((report, delivery.report()))
}

async fn carry(delivery: &mut NoteDelivery<'_>, transport: &impl Transport) -> Result<(), NoteError> {
    while let Some(request) = delivery.next_request()? {
        let outcome = transport.send(request).await;
        delivery.receive(outcome)?;
    }
    Ok(())
}

/// Lets a user in by the station's share and a one-time code, under a new PIN.
///
/// # Errors
/// Why he stays out.
pub async fn unlock_online(
    phone: &Phone,
    user: &LocalUser,
    transport: &impl Transport,
    code: &str,
    new_pin: &str,
) -> Result<OpenUser, LockError> {
    // Before the code is spent.
    check_pin(new_pin)?;
    let unlock = phone.begin_online_unlock(user, code, None)?;
    let outcome = transport.send(unlock.request()).await;
    phone.finish_online_unlock(&unlock, outcome, new_pin)
}

/// A sync of a user that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum UserSyncError {
    /// The exchange.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Emergency notes.
    #[error(transparent)]
    Notes(#[from] NoteError),
    /// Keys or records that could not be destroyed.
    #[error(transparent)]
    Farewell(#[from] FarewellFault),
}

/// What became of a user's parting.
#[derive(Debug)]
pub enum UserParted {
    /// His book is written in: there is nothing to part with.
    Not(Box<OpenUser>),
    /// The station could not be asked now: what waits is kept. Call again while he is in, or when he comes in again.
    Later(Box<OpenUser>, WaitReason),
    /// His keys and records are gone, he is no user of this phone any more, and this is left.
    Gone(Farewell),
}

/// Parts with a user whose book has ended: hands in what waits, emergency notes first, destroys every key of his and his records, and tells
/// the station. Nobody else on the phone is touched.
///
/// # Errors
/// When the station's word cannot be believed, or something cannot be destroyed now; it goes on when he comes in again, or, once his note is
/// on the disk, at the next [`Phone::open`].
pub async fn part_user(phone: &Phone, open: OpenUser, transport: &impl Transport) -> Result<UserParted, UserSyncError> {
    let word = match hand_in_user(&open, transport).await? {
        HandedIn::Not => return Ok(UserParted::Not(Box::new(open))),
        HandedIn::Later(why) => return Ok(UserParted::Later(Box::new(open), why)),
        HandedIn::All(word) => word,
    };
    let mut farewell = phone.shred_ended(open, *word)?;
    tell(&mut farewell, transport).await?;
    Ok(UserParted::Gone(farewell))
}

async fn hand_in_user(open: &OpenUser, transport: &impl Transport) -> Result<HandedIn, UserSyncError> {
    let core: &Core = open.core_for_contact();
    if ended(core).map_err(LockError::Core)?.is_none() {
        return Ok(HandedIn::Not);
    }
    let mut delivery = NoteDelivery::open_past_end(open)?;
    carry(&mut delivery, transport).await?;
    let left = delivery.left()?;
    let fault = delivery.report().fault;
    let Some(parting) = Parting::open(core, &open.keys())? else {
        return Ok(HandedIn::Not);
    };
    // As with pages: what could not be asked for is waited for, as long as this phone waits.
    let waits = fault.filter(|_| !parting.has_waited_enough(core.platform().clock.wall()));
    let handed_in = hand_over(core, parting.with_notes_left(left as u64), transport).await?;
    Ok(match (handed_in, waits) {
        (HandedIn::All(_), Some(why)) => HandedIn::Later(WaitReason::Station(format!("emergency notes wait: {why}"))),
        (handed_in, _) => handed_in,
    })
}
