//! Whether a reply is to be believed. Pure: what the phone knows and what came, to what may be applied. Stores nothing.

use beatbook_protocol::id::Hash;
use beatbook_protocol::ledger::merkle::consistency_holds;
use beatbook_protocol::ledger::{Checkpoint, CheckpointError, Position};
use beatbook_protocol::wire::{self, Cursor, ExchangeResponse, Refusal, WIRE_VERSION};

use super::SyncError;
use crate::store::sync_state::OwnBook;

/// What the phone holds against a reply.
#[derive(Debug, Clone)]
pub(super) struct Known<'a> {
    /// The book, with the station's keys.
    pub(super) book: &'a OwnBook,
    /// The cursor that the reply goes on from.
    pub(super) cursor: Option<&'a Cursor>,
    /// The newest checkpoint verified, as it came.
    pub(super) checkpoint: Option<&'a str>,
}

/// What a believed reply says about the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It goes on from what the phone has seen: all of the reply may be applied.
    GoesOn,
    /// The station was restored. The reply is passed over but for the checkpoint, and the exchange begins again from `common`.
    Restored {
        /// The new life of the ledger.
        epoch: u64,
        /// What both ledgers have in common; none when that cannot be shown, and all is exchanged again.
        common: Option<Position>,
    },
}

/// Judges a reply as a whole.
pub(super) fn check(reply: &ExchangeResponse, known: &Known<'_>) -> Result<Standing, SyncError> {
    if reply.version != WIRE_VERSION {
        return Err(unbelievable(format!("it is of version {}", reply.version)));
    }
    let held = known.checkpoint.map(|note| verified(note, known)).transpose()?;
    let new = reply.checkpoint.as_deref().map(|note| verified(note, known)).transpose()?;
    check_receipt(reply, known)?;
    if let Some(offer) = &reply.sealing
        && offer.verify(&known.book.origin, &known.book.receipt_key).is_none()
    {
        return Err(unbelievable("its sealing key is not signed by the station".to_owned()));
    }
    if let Some(offer) = &reply.pins
        && !offer.verifies(&known.book.origin, &known.book.receipt_key)
    {
        return Err(unbelievable(
            "its certificate's keys are not signed by the station".to_owned(),
        ));
    }
    let position = known.cursor.map(|cursor| cursor.position);
    let size = new
        .as_ref()
        .or(held.as_ref())
        .map_or(0, |checkpoint| checkpoint.position.size);
    if reply.fill.iter().flatten().any(|leaf| leaf.leaf >= size) {
        return Err(unbelievable(
            "it fills in what is not on the ledger of its checkpoint".to_owned(),
        ));
    }
    match (new, held) {
        (None, _) => check_unmoved(reply, position),
        (Some(new), Some(held)) if new == held => check_cursor(reply, position, new.position),
        (Some(new), held) => {
            let at = held.as_ref().map(|held| held.position).or(position);
            if let Some(at) = at.filter(|at| at.epoch != new.position.epoch) {
                return restored(reply, position.unwrap_or(at), &new);
            }
            check_growth(reply, position, held.map(|held| held.position), new.position)?;
            check_cursor(reply, position, new.position)
        }
    }
}

fn verified(note: &str, known: &Known<'_>) -> Result<Checkpoint, SyncError> {
    Checkpoint::verify(note, &known.book.origin, &known.book.checkpoint_key).map_err(|fault| match fault {
        CheckpointError::Malformed(_) | CheckpointError::OtherOrigin { .. } | CheckpointError::Unsigned(_) => {
            unbelievable(fault.to_string())
        }
    })
}

/// Whatever a reply wants stored is under the station's receipt.
fn check_receipt(reply: &ExchangeResponse, known: &Known<'_>) -> Result<(), SyncError> {
    let holds = match &reply.receipt {
        Some(receipt) => receipt.holds(
            &reply.answers,
            &reply.feed,
            reply.fill.as_deref().unwrap_or_default(),
            &known.book.receipt_key,
        ),
        None => reply.answers.is_empty() && reply.feed.is_empty() && reply.fill.is_none(),
    };
    if holds {
        Ok(())
    } else {
        Err(unbelievable("its receipt is not the station's word on it".to_owned()))
    }
}

/// Without a checkpoint there is nothing new on the ledger, and the cursor stays where it is: at the checkpoint that the phone holds,
/// or at the beginning of a ledger that is empty.
fn check_unmoved(reply: &ExchangeResponse, position: Option<Position>) -> Result<Standing, SyncError> {
    let unmoved = match position {
        Some(position) => reply.cursor.position == position,
        None => reply.cursor.position.size == 0 && reply.cursor.position.root == Hash::of(&[]),
    };
    if unmoved && reply.feed.is_empty() {
        Ok(Standing::GoesOn)
    } else {
        Err(unbelievable("it moves the cursor without a checkpoint".to_owned()))
    }
}

/// The ledger under the new checkpoint begins with what the phone has seen, and is no shorter than one it was shown before.
fn check_growth(
    reply: &ExchangeResponse,
    position: Option<Position>,
    held: Option<Position>,
    new: Position,
) -> Result<(), SyncError> {
    if let Some(held) = held.filter(|held| held.size > new.size || (held.size == new.size && held.root != new.root)) {
        return Err(SyncError::StationChanged(format!(
            "it had {} leaves under {}, and now shows {} under {}",
            held.size, held.root, new.size, new.root
        )));
    }
    match position {
        Some(position) if !leads(reply.consistency.as_deref(), position, new) => Err(SyncError::StationChanged(format!(
            "its {} leaves do not begin with the {} that this phone has seen",
            new.size, position.size
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The cursor moves forward only, on the ledger of the checkpoint; the feed is what lies between, in order.
fn check_cursor(reply: &ExchangeResponse, position: Option<Position>, checkpoint: Position) -> Result<Standing, SyncError> {
    let cursor = reply.cursor.position;
    let on_ledger = cursor.epoch == checkpoint.epoch && leads(reply.cursor_consistency.as_deref(), cursor, checkpoint);
    let from = position.map_or(0, |position| position.size);
    if !on_ledger && position != Some(cursor) {
        return Err(unbelievable("its cursor is not on the ledger of its checkpoint".to_owned()));
    }
    let ascending = reply.feed.is_sorted_by(|a, b| a.leaf < b.leaf);
    if !ascending || reply.feed.iter().any(|leaf| leaf.leaf >= cursor.size) {
        return Err(unbelievable("its feed is not what lies before its cursor".to_owned()));
    }
    // A reply that came twice: its leaves are taken in already, and only a new one may move the cursor.
    if cursor.size > from && reply.feed.iter().any(|leaf| leaf.leaf < from) {
        return Err(unbelievable("its feed begins before the phone's cursor".to_owned()));
    }
    Ok(Standing::GoesOn)
}

/// A new life of the ledger is the station's own word, which nobody else can sign; it must say what it follows.
fn restored(reply: &ExchangeResponse, position: Position, new: &Checkpoint) -> Result<Standing, SyncError> {
    let Some(follows) = new.follows.filter(|_| new.position.epoch > position.epoch) else {
        return Err(SyncError::StationChanged(format!(
            "it is in epoch {}, this phone has seen epoch {}, and it does not say what it follows",
            new.position.epoch, position.epoch
        )));
    };
    let epoch = new.position.epoch;
    let proof = reply.consistency.as_deref();
    // What it follows is of the history that this phone has seen only if it is of the same life: after two restores the ledger may hold leaves
    // of a life between, where this phone has seen others.
    let seen = Some(follows).filter(|follows| follows.epoch == position.epoch);
    let common = [Some(position), seen]
        .into_iter()
        .flatten()
        .find(|common| common.size <= new.position.size && leads(proof, *common, new.position))
        .map(|common| Position { epoch, ..common });
    Ok(Standing::Restored { epoch, common })
}

fn leads(proof: Option<&[Hash]>, old: Position, new: Position) -> bool {
    consistency_holds(old.size, old.root, new.size, new.root, proof.unwrap_or_default())
}

fn unbelievable(why: String) -> SyncError {
    SyncError::Reply(why)
}

/// The station's refusal, if the bytes are one.
pub(crate) fn read_refusal(bytes: &[u8]) -> Option<Refusal> {
    let bytes = wire::unpack(bytes).ok()?;
    wire::read("refusal", &bytes).ok()
}
