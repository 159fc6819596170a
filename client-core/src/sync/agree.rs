//! Whether phone and station hold the same, and what to do where they do not. Runs within the transaction that applied the reply, after
//! its records were folded, so that what is compared is what will be there.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{ExchangeResponse, Verdict, verdict_of};

use super::SyncEvent;
use super::apply::Applied;
use super::ask::Said;
use crate::store::destroyed::{DESTROYED, PRIVATE_DESTROYED};
use crate::store::records::Records;
use crate::store::scope::{Left, placeless};
use crate::store::{StoreError, digests, give};

/// Records that left the scope.
pub(super) fn take_left(records: &mut Records<'_>, left: &[RecordId], applied: &mut Applied) -> Result<(), StoreError> {
    for record in left {
        let is_kept = match records.leave(*record)? {
            Left::Unknown => continue,
            Left::Dropped => false,
            Left::Kept => true,
        };
        applied.moved = true;
        applied.events.push(SyncEvent::LeftScope {
            record: *record,
            is_kept,
        });
    }
    Ok(())
}

/// The station says of an own entry that its record is destroyed: it goes here too, should this phone not have heard of it.
pub(super) fn take_refusal(records: &mut Records<'_>, record: Option<RecordId>, verdict: &Verdict) -> Result<(), StoreError> {
    match (record, verdict) {
        (Some(record), Verdict::Refused { code, .. }) if code == DESTROYED => records.destroy(record, false),
        (Some(record), Verdict::Refused { code, .. }) if code == PRIVATE_DESTROYED => records.destroy(record, true),
        _ => Ok(()),
    }
}

/// Carries out what is still to be destroyed, and tells of what was.
pub(super) fn take_destroyed(records: &mut Records<'_>, applied: &mut Applied) -> Result<(), StoreError> {
    records.destroy_due()?;
    for gone in records.take_destroyed() {
        applied.moved = true;
        applied.events.push(SyncEvent::Destroyed {
            record: gone.record,
            private_only: gone.private_only,
            stranded: gone.stranded,
        });
    }
    Ok(())
}

/// Drops what left some time ago, now that nothing of its officer's own hangs on it.
pub(super) fn drop_left(records: &mut Records<'_>, applied: &mut Applied) -> Result<(), StoreError> {
    for record in records.drop_left()? {
        applied.events.push(SyncEvent::LeftScope { record, is_kept: false });
    }
    Ok(())
}

/// Records of which this fill holds every entry, as far as that matters: those that were wanted, and those that had left.
#[derive(Debug, Default)]
pub(super) struct Whole(BTreeMap<RecordId, bool>);

impl Whole {
    /// Before the fill is taken in.
    pub(super) fn begin(records: &mut Records<'_>, reply: &ExchangeResponse, said: &Said) -> Result<Self, StoreError> {
        let wanted: BTreeSet<RecordId> = said.wanted.iter().copied().collect();
        let leaving: BTreeSet<RecordId> = crate::store::scope::leaving(records.tx())?.into_iter().collect();
        let mut whole = BTreeMap::new();
        if wanted.is_empty() && leaving.is_empty() {
            return Ok(Self(whole));
        }
        for entry in reply.fill.iter().flatten().flat_map(|leaf| &leaf.entries) {
            let Some(record) = record_of(&entry.entry) else { continue };
            if !whole.contains_key(&record) && (wanted.contains(&record) || leaving.contains(&record)) {
                whole.insert(record, records.begin_whole(record)?);
            }
        }
        Ok(Self(whole))
    }

    /// After it was taken in.
    pub(super) fn end(self, records: &mut Records<'_>, said: &Said) -> Result<(), StoreError> {
        for (record, had_left) in &self.0 {
            records.end_whole(*record, *had_left)?;
        }
        // None of them came: the station does not have them for this phone, and asking again would not help.
        let came: Vec<RecordId> = if said.wanted.iter().any(|record| self.0.contains_key(record)) {
            self.0.into_keys().collect()
        } else {
            said.wanted.clone()
        };
        digests::unwant(records.tx(), &came)
    }
}

/// The record of an entry, given back or not.
pub(super) fn record_of(bytes: &[u8]) -> Option<RecordId> {
    match Entry::parse(bytes).ok()? {
        Entry::Recovered(recovered) => recovered.inner().ok()?.record(),
        entry => entry.record(),
    }
}

/// The verdicts on what was given back.
pub(super) fn take_given(
    records: &mut Records<'_>,
    reply: &ExchangeResponse,
    said: &Said,
    now: UnixMillis,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let runs = reply.given.as_deref().unwrap_or_default();
    for (position, entry) in (0_u32..).zip(&said.given) {
        // Without a verdict it waits a while: what stands behind it is not to wait for that.
        let verdict = verdict_of(runs, position).unwrap_or(Verdict::Needs { changes: Vec::new() });
        applied.moved = true;
        let of = give::record_of(records.tx(), entry)?;
        take_refusal(records, of, &verdict)?;
        if let Some((record, code, text)) = records.settle_given(entry, &verdict, now)? {
            let entry = *entry;
            applied.events.push(SyncEvent::NotTakenBack {
                record,
                entry,
                code,
                text,
            });
        }
    }
    Ok(())
}

/// What is to be done about what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Differs {
    /// Whether the digests were seen to differ.
    pub(super) digests: bool,
    /// Whether records are still to be sent whole.
    pub(super) wants: bool,
    /// Whether entries are to be given back now.
    pub(super) gives: bool,
}

/// Compares the digests, when the reply says what the station has; and the records of the buckets, when it names them.
pub(super) fn compare(
    records: &mut Records<'_>,
    reply: &ExchangeResponse,
    said: &Said,
    now: UnixMillis,
    applied: &mut Applied,
) -> Result<Differs, StoreError> {
    let tx = records.tx();
    let (to_give, gives) = give::waiting(tx, now)?;
    let has_caught_up = said.wants_feed && reply.more != Some(true) && reply.cursor.fill.is_none();
    if !has_caught_up {
        return Ok(Differs::default());
    }
    if said.compares {
        let (wanted, extra) = digests::differing(tx, reply.buckets.as_deref().unwrap_or_default())?;
        digests::want(tx, &wanted)?;
        take_left(records, &extra, applied)?;
        records.fold_touched()?;
    }
    let wants = !digests::wanted(tx, 1)?.is_empty();
    // A station that says nothing has what the request said.
    let station: Option<SetDigest> = reply.digest.or(said.digest);
    let Some(station) = station else {
        return Ok(Differs {
            wants,
            gives: gives > 0,
            digests: false,
        });
    };
    let is_equal = station == digests::total(tx)?;
    digests::log_agreement(tx, now, is_equal)?;
    if is_equal && to_give == 0 && give::witness(tx)?.is_some() {
        // The restore is over. What others gave back as well, of records that are not in this officer's scope any more, will not come here.
        take_left(records, &placeless(tx)?, applied)?;
        records.fold_touched()?;
        give::end(tx)?;
    }
    if is_equal && (said.compares || !said.wanted.is_empty()) {
        digests::log_verified(tx, now)?;
    }
    Ok(Differs {
        digests: !is_equal,
        wants,
        gives: gives > 0,
    })
}
