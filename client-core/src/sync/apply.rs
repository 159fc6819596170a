//! Applying a believed reply in one transaction: answers, what left, feed, fill, kinds, cursor, checkpoint, token, receipt. Applied twice, it changes
//! nothing the second time. Also sealing, since what waits must be dated before the phone learns what others did.

use std::collections::BTreeSet;

use beatbook_protocol::codec;
use beatbook_protocol::id::IncarnationId;
use beatbook_protocol::kind::file_digest;
use beatbook_protocol::ledger::{Checkpoint, Position, merkle};
use beatbook_protocol::parcel::{AnswerContent, SealingPublicKey};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{Cursor, ExchangeResponse, FeedLeaf, PageAnswer, Receipt};

use super::agree::{self, Whole};
pub(super) use super::applied::Applied;
use super::ask::Said;
use super::{SyncError, SyncEvent};
use crate::core::Core;
use crate::error::CoreError;
use crate::store::intake::FeedItem;
use crate::store::pages::{self, Sealing};
use crate::store::records::Records;
use crate::store::sync_state::{self, OwnBook};
use crate::store::{StoreError, Tx, blobs, digests, give, lock, outbox, parcels, pins, registry};

/// Drafts pages of all that waits, under what the phone knows now.
pub(super) fn draft_all(core: &Core, tx: &Tx<'_>, book: &OwnBook, now: UnixMillis) -> Result<(), StoreError> {
    let checkpoint = sync_state::exchanged(tx)?.cursor.map(|cursor| cursor.position);
    let platform = core.platform();
    loop {
        let stamp = Stamp {
            wall: platform.clock.wall(),
            boot: platform.clock.boot(),
            monotonic: platform.clock.monotonic_ms(),
            checkpoint,
        };
        let sealing = Sealing {
            suite: book.suite,
            stamp,
            seed: platform.bytes(),
        };
        if !pages::draft(tx, sealing, now)? {
            return Ok(());
        }
    }
}

/// Whether the answers fit the pages they name: ours, and a verdict on each entry.
pub(super) fn check_answers(core: &Core, answers: &[PageAnswer]) -> Result<(), SyncError> {
    for answer in answers {
        let entries = core
            .read(|tx| pages::entries_in(tx, &answer.page))?
            .ok_or_else(|| SyncError::Reply(format!("it answers page {}, which is not this phone's", answer.page)))?;
        let verdicts: u64 = answer.verdicts.iter().map(|run| u64::from(run.count)).sum();
        let whole = match (&answer.leaf, &answer.fault) {
            (Some(_), None) => verdicts == entries,
            (None, Some(_)) => answer.verdicts.is_empty(),
            (Some(_), Some(_)) | (None, None) => false,
        };
        if !whole {
            return Err(SyncError::Reply(format!(
                "its answer to page {} is no answer: {entries} entries, {verdicts} verdicts",
                answer.page
            )));
        }
    }
    Ok(())
}

/// Applies a reply that goes on from what the phone has seen.
pub(super) fn apply(
    core: &Core,
    book: &OwnBook,
    reply: &ExchangeResponse,
    said: &Said,
    now: UnixMillis,
) -> Result<Applied, SyncError> {
    let kinds = core.office().kinds.digest();
    let mut applied = core.write(|records| apply_in(core, records, book, (reply, said), now))?;
    let conflicts = core.read(|tx| new_conflicts(tx, &applied))?;
    applied.events.extend(conflicts);
    if core.office().kinds.digest() != kinds {
        applied.events.push(SyncEvent::KindsChanged);
    }
    applied.tell_changed();
    core.scrub();
    Ok(applied)
}

/// Records in conflict that were not before.
fn new_conflicts(tx: &Tx<'_>, applied: &Applied) -> Result<Vec<SyncEvent>, StoreError> {
    let mut found = Vec::new();
    for record in applied.changed.difference(&applied.conflicted_before) {
        if sync_state::is_conflicted(tx, *record)? {
            found.push(SyncEvent::Conflict { record: *record });
        }
    }
    Ok(found)
}

/// The answer to a parcel, believed.
#[derive(Debug)]
pub(super) struct ParcelAnswer<'a> {
    /// What the station said. Its checkpoint is kept unless it is empty.
    pub(super) content: &'a AnswerContent,
    /// The answers to pages that are still here.
    pub(super) ours: &'a [PageAnswer],
    /// Ledger size up to which own pages may go.
    pub(super) backed_up: Option<u64>,
}

/// Applies the answer to a parcel: what a reply's answers do, and no more. Says whether it is the first time.
pub(super) fn apply_parcel(core: &Core, parcel: &ParcelAnswer<'_>, now: UnixMillis) -> Result<(Applied, bool), CoreError> {
    let (mut applied, new) = core.write(|records| {
        let tx = records.tx();
        let ParcelAnswer {
            content,
            ours,
            backed_up,
        } = parcel;
        let mut applied = Applied::default();
        take_answers(core, records, ours, now, &mut applied)?;
        keep_receipt(tx, &content.receipt, &content.answers, &[], now)?;
        if !content.checkpoint.is_empty() {
            sync_state::set_checkpoint(tx, &content.checkpoint)?;
        }
        if let Some(size) = backed_up {
            pages::retire(tx, *size)?;
        }
        for stands in content.blobs.iter().flatten() {
            if stands.arrived {
                blobs::set_arrived(tx, &stands.blob, now)?;
            } else {
                blobs::set_begun(tx, &stands.blob)?;
                blobs::set_sent(tx, &stands.blob, stands.bytes)?;
            }
        }
        agree::take_destroyed(records, &mut applied)?;
        Ok::<_, StoreError>((applied, parcels::note_answered(tx, &content.parcel, now)?))
    })?;
    applied.tell_changed();
    Ok((applied, new))
}

/// Begins the exchange again with a station that was restored: own pages that it lost are sent again as they were, what others wrote is
/// given back, and the cursor goes back to what both ledgers have in common. A fill that was going on begins anew.
pub(super) fn begin_again(
    core: &Core,
    book: &OwnBook,
    reply: &ExchangeResponse,
    common: Option<Position>,
    now: UnixMillis,
) -> Result<(), CoreError> {
    core.write(|records| {
        let tx = records.tx();
        draft_all(core, tx, book, now)?;
        let before = sync_state::exchanged(tx)?;
        keep_witness(tx, book, before.checkpoint.as_deref())?;
        let fresh = IncarnationId::from_parts(now, core.platform().bytes());
        records.send_again_from(common.map_or(0, |common| common.size), fresh)?;
        let was_filling = before.cursor.is_some_and(|cursor| cursor.fill.is_some());
        let cursor = common
            .filter(|_| !was_filling)
            .map(|position| Cursor { position, fill: None });
        sync_state::set_cursor(tx, cursor.as_ref())?;
        digests::ask_verify(tx)?;
        // The backup may have another share of the file's key than the one that this phone's wrap is made with, or none.
        lock::drop_share(tx)?;
        keep_words(core, tx, book, reply, now)
    })
}

/// Keeps the longest ledger of a life that was lost, as the station had signed it: by it the station believes what is given back.
fn keep_witness(tx: &Tx<'_>, book: &OwnBook, note: Option<&str>) -> Result<(), StoreError> {
    let size = |note: &str| {
        let checkpoint = Checkpoint::verify(note, &book.origin, &book.checkpoint_key);
        checkpoint.map_or(0, |checkpoint| checkpoint.position.size)
    };
    let kept = give::witness(tx)?;
    let longest = note.into_iter().chain(kept.as_deref()).max_by_key(|note| size(note));
    give::set_witness(tx, longest)
}

fn apply_in(
    core: &Core,
    records: &mut Records<'_>,
    book: &OwnBook,
    (reply, said): (&ExchangeResponse, &Said),
    now: UnixMillis,
) -> Result<Applied, StoreError> {
    let tx = records.tx();
    let before = sync_state::exchanged(tx)?.cursor;
    let size = before.as_ref().map(|before| before.position.size);
    let moves = size.is_none_or(|size| reply.cursor.position.size > size);
    // A fill stays on one position, or goes along with the feed; an older reply than the last moves nothing.
    let fills = moves || size == Some(reply.cursor.position.size);
    let mut applied = Applied {
        moved: fills && before.as_ref() != Some(&reply.cursor),
        ..Applied::default()
    };
    let has_news = (moves && !reply.feed.is_empty()) || (fills && reply.fill.is_some());
    if has_news {
        outbox::release(tx)?;
    }
    if has_news || has_leaf(&reply.answers) {
        give::release(tx)?;
    }
    take_answers(core, records, &reply.answers, now, &mut applied)?;
    draft_all(core, tx, book, now)?;
    if fills {
        agree::take_left(records, reply.left.as_deref().unwrap_or_default(), &mut applied)?;
    }
    if moves {
        take_feed(records, &reply.feed, &mut applied)?;
    }
    if fills {
        let whole = Whole::begin(records, reply, said)?;
        take_feed(records, reply.fill.as_deref().unwrap_or_default(), &mut applied)?;
        whole.end(records, said)?;
        applied.moved |= reply.fill.is_some();
        sync_state::set_cursor(tx, Some(&reply.cursor))?;
    }
    take_kinds(core, records, reply)?;
    sync_state::set_app_min(tx, reply.app_min.as_deref())?;
    agree::take_given(records, reply, said, now, &mut applied)?;
    keep_words(core, tx, book, reply, now)?;
    if let Some(size) = reply.backed_up_to {
        // No backup holds more than the ledger that was shown to this phone.
        pages::retire(tx, size.min(reply.cursor.position.size))?;
    }
    records.fold_touched()?;
    agree::drop_left(records, &mut applied)?;
    agree::take_destroyed(records, &mut applied)?;
    applied.differs = agree::compare(records, reply, said, now, &mut applied)?;
    let waiting = outbox::waiting(tx)?;
    applied.to_send = waiting.pages > 0 || waiting.queued > waiting.held;
    let is_filled = reply.cursor.fill.is_none() && reply.more != Some(true);
    applied.complete = waiting.pages == 0 && waiting.queued == 0 && is_filled;
    sync_state::log_contact(tx, now, applied.complete)?;
    Ok(applied)
}

/// Whether something has come into the ledger.
fn has_leaf(answers: &[PageAnswer]) -> bool {
    answers.iter().any(|answer| answer.leaf.is_some())
}

/// Settles what the answers say. What was held for want of something is let go when something came into the ledger.
fn take_answers(
    core: &Core,
    records: &mut Records<'_>,
    answers: &[PageAnswer],
    now: UnixMillis,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let tx = records.tx();
    if has_leaf(answers) {
        outbox::release(tx)?;
    }
    for answer in answers {
        if let Some(fault) = &answer.fault {
            let next = IncarnationId::from_parts(now, core.platform().bytes());
            if pages::quarantine(tx, &answer.page, fault, next)? {
                applied.resealed += 1;
                applied.events.push(SyncEvent::PageResealed { fault: fault.clone() });
            }
            continue;
        }
        let settled = pages::answer(tx, answer, now)?;
        applied.moved |= !settled.is_empty();
        applied.pages += u64::from(!settled.is_empty());
        for settled in settled {
            records.settle_own(&settled.entry, settled.leaf, settled.position, &settled.verdict)?;
            agree::take_refusal(records, settled.record, &settled.verdict)?;
            applied.count(settled);
        }
    }
    if applied.accepted > 0 {
        // What lacks something by these answers may lack what was accepted beside it.
        outbox::release(tx)?;
    }
    Ok(())
}

fn take_feed(records: &mut Records<'_>, leaves: &[FeedLeaf], applied: &mut Applied) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for leaf in leaves {
        for entry in &leaf.entries {
            seen.extend(agree::record_of(&entry.entry));
            records.take_in(&FeedItem {
                leaf: leaf.leaf,
                position: entry.position,
                book: leaf.book,
                received: leaf.received,
                bytes: &entry.entry,
                offered: entry.offered == Some(true),
            })?;
            applied.feed_entries += 1;
        }
    }
    // Their rows change when the transaction is finished: what they say here is from before.
    for record in &seen {
        if sync_state::is_conflicted(records.tx(), *record)? {
            applied.conflicted_before.insert(*record);
        }
    }
    applied.changed.append(&mut seen);
    Ok(())
}

/// Takes over the set of kinds that the station has in force. A station that sends none to a phone that never got one has the set that the
/// phone named: its app's, which is kept so that it stays known when the app is another one.
fn take_kinds(core: &Core, records: &mut Records<'_>, reply: &ExchangeResponse) -> Result<(), StoreError> {
    let tx = records.tx();
    if let Some(files) = &reply.kinds {
        for file in files {
            records.put_kind(&file.kind, file.version, &file.source)?;
        }
        let set = files
            .iter()
            .map(|file| (file.kind.as_str(), file.version, file_digest(&file.source)));
        return registry::put_in_force(tx, set);
    }
    let office = core.office();
    if !office.knows_kinds() {
        for kind in office.kinds.iter() {
            records.put_kind(&kind.code, kind.version, kind.source())?;
        }
        let set = office
            .kinds
            .iter()
            .map(|kind| (kind.code.as_str(), kind.version, kind.digest()));
        registry::put_in_force(tx, set)?;
    }
    Ok(())
}

/// Keeps what the station signed, the token, and what the lock beside the file needs.
fn keep_words(core: &Core, tx: &Tx<'_>, book: &OwnBook, reply: &ExchangeResponse, now: UnixMillis) -> Result<(), StoreError> {
    lock::put_word(tx, core.platform(), reply.server_time, reply.lease_ms)?;
    if let Some(share) = &reply.share {
        lock::share_is_kept(tx, share)?;
    }
    if let Some(note) = &reply.checkpoint {
        sync_state::set_checkpoint(tx, note)?;
    }
    if let Some(token) = &reply.token {
        sync_state::set_token(tx, token)?;
    }
    if let Some(offer) = &reply.sealing {
        parcels::set_sealing_key(tx, &book.origin, &SealingPublicKey::from_bytes(offer.key), now)?;
    }
    if let Some(offer) = &reply.pins {
        pins::set_pins(tx, &book.origin, offer, now)?;
    }
    match reply.receipt.as_ref().filter(|_| !reply.answers.is_empty()) {
        Some(receipt) => {
            let leaves = reply.feed.iter().chain(reply.fill.iter().flatten());
            keep_receipt(tx, receipt, &reply.answers, leaves, now)
        }
        None => Ok(()),
    }
}

fn keep_receipt<'l>(
    tx: &Tx<'_>,
    receipt: &Receipt,
    answers: &[PageAnswer],
    leaves: impl IntoIterator<Item = &'l FeedLeaf>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let answers = answers.iter().map(codec::to_bytes);
    let items = answers.chain(leaves.into_iter().map(codec::to_bytes));
    let items: Vec<u8> = items.flat_map(|item| *merkle::leaf_hash(&item).as_bytes()).collect();
    sync_state::put_receipt(tx, &receipt.root, &receipt.signature, &items, now)
}
