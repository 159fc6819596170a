//! What phones give back to a station that was restored from an older backup: entries of others that it had taken in and lost. They rest on
//! the giver's word, so each stands in a page of the station's own book, under the name of the book that it is said to come from, until
//! that book's own page returns.
//!
//! Taken only in a life of the ledger that follows another, and only from who shows a checkpoint of the lost part, signed by this station.
//! Judged by the guard and by the giver's scope; the author's rights at the time cannot be known any more, except for acts, which are
//! judged by the state they meet as always.

mod desk;

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::id::{ActorId, BookId, RecordId, UserId};
use beatbook_protocol::ledger::Checkpoint;
use beatbook_protocol::limits::{PAGE_BYTES_SEAL, PAGE_ENTRIES_MAX};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{GivenEntry, Verdict};

use crate::error::StationError;
use crate::intake::{OwnEntry, refuse_ended, seal_own};
use crate::ledger;
use crate::rebuild::refresh;
use crate::scope::Scope;
use crate::station::Station;
use crate::store::{ReadTx, WriteTx};
use desk::{Desk, refused};

/// How often what is given is judged outside the lock before it is judged under it.
const PLANS_MAX: usize = 4;

/// Whose book gives back, and who he is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Giver {
    /// The book.
    pub(crate) book: BookId,
    /// Its user.
    pub(crate) user: UserId,
}

/// Takes back what a phone gives; one verdict for each entry. Verdicts of an earlier try stand where they took the entry in.
pub(crate) fn take_back(
    station: &Station,
    giver: Giver,
    given: &[GivenEntry],
    witness: Option<&str>,
    before: Option<Vec<Verdict>>,
    now: UnixMillis,
) -> Result<Vec<Verdict>, StationError> {
    let mut verdicts = before.unwrap_or_else(|| vec![refused("internal", "it was not judged".into()); given.len()]);
    let is_open = |verdict: &Verdict| !matches!(verdict, Verdict::Accepted | Verdict::Duplicate | Verdict::Offered);
    let open: Vec<usize> = (0..given.len()).filter(|at| verdicts.get(*at).is_some_and(is_open)).collect();
    if open.is_empty() {
        return Ok(verdicts);
    }
    if !station.store.read(|tx| is_witnessed(station, tx, witness))? {
        let text = "only a checkpoint of what was lost, signed by this station, lets others' entries be given back";
        return Ok(vec![refused("unwitnessed", text.into()); given.len()]);
    }
    let given: Vec<&GivenEntry> = open.iter().filter_map(|at| given.get(*at)).collect();
    let judged = append(station, giver, &given, now)?;
    for (at, verdict) in open.into_iter().zip(judged) {
        if let Some(place) = verdicts.get_mut(at) {
            *place = verdict;
        }
    }
    Ok(verdicts)
}

/// Whether a note shows that its bearer has seen what a restore lost.
fn is_witnessed(station: &Station, tx: &ReadTx<'_>, witness: Option<&str>) -> Result<bool, StationError> {
    let key = station.keys.checkpoint.verifying_key();
    let Some(seen) = witness.and_then(|note| Checkpoint::verify(note, &station.origin, &key).ok()) else {
        return Ok(false);
    };
    let shared = tx.shared_with(seen.position.epoch)?;
    Ok(shared.is_some_and(|shared| seen.position.size > shared))
}

fn append(station: &Station, giver: Giver, given: &[&GivenEntry], now: UnixMillis) -> Result<Vec<Verdict>, StationError> {
    let plan = |tx: &ReadTx<'_>| {
        let scope = Scope::now(tx, giver.user)?;
        Desk {
            tx,
            kinds: &station.kinds,
            station: station.book,
            giver,
            scope: &scope,
            now,
            met: BTreeMap::new(),
            bound: BTreeMap::new(),
            beyond: BTreeMap::new(),
            merges: BTreeMap::new(),
        }
        .judge(given)
    };
    for _ in 0..PLANS_MAX {
        let planned = station.store.read(plan)?;
        if planned.entries.is_empty() || station.store.write(|tx| planned.append(station, tx, giver.book))? {
            return planned.done(station, giver);
        }
    }
    let planned = station.store.write(|tx| {
        let planned = plan(tx)?;
        planned.append(station, tx, giver.book)?;
        Ok::<_, StationError>(planned)
    })?;
    planned.done(station, giver)
}

/// What was judged, and what it was judged on.
struct Planned {
    verdicts: Vec<Verdict>,
    entries: Vec<OwnEntry>,
    /// The leaf of each record's newest entry.
    met: BTreeMap<RecordId, Option<u64>>,
    /// Author marks, and whose books they must be.
    bound: BTreeMap<ActorId, BookId>,
    /// The same of other records, of which acts told.
    beyond: BTreeMap<RecordId, Option<u64>>,
}

impl Planned {
    /// Appends what was accepted; whether it was, since something may have moved.
    fn append(&self, station: &Station, tx: &WriteTx<'_>, giver: BookId) -> Result<bool, StationError> {
        refuse_ended(tx, giver)?;
        for (record, leaf) in self.met.iter().chain(&self.beyond) {
            if tx.record_leaf(*record)? != *leaf {
                return Ok(false);
            }
        }
        for (actor, book) in &self.bound {
            if tx.actor(*actor)?.is_some_and(|bound| bound != *book) {
                return Ok(false);
            }
        }
        let entries = self.entries.iter().map(|entry| OwnEntry {
            bytes: entry.bytes.clone(),
            offered: entry.offered,
        });
        seal_all(station, tx, entries.collect())?;
        Ok(true)
    }

    /// Notes what was signed by it and tells the operator.
    fn done(self, station: &Station, giver: Giver) -> Result<Vec<Verdict>, StationError> {
        let taken = self.entries.len();
        if taken > 0 {
            station.store.read(|tx| ledger::note(tx, &station.keys))?;
            tracing::warn!(
                giver = %giver.book,
                entries = taken,
                records = self.met.len(),
                "taken back on a colleague's word, until their authors' pages return"
            );
            station
                .counters
                .add("entries_recovered", u64::try_from(taken).unwrap_or(u64::MAX));
        }
        Ok(self.verdicts)
    }
}

/// Seals entries into pages of the station's own book, appends them, and reads the records anew that they touch.
pub(crate) fn seal_all(station: &Station, tx: &WriteTx<'_>, entries: Vec<OwnEntry>) -> Result<(), StationError> {
    let mut touched = BTreeSet::new();
    let mut page = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        if page.len() == PAGE_ENTRIES_MAX || (bytes + entry.bytes.len() > PAGE_BYTES_SEAL && !page.is_empty()) {
            touched.extend(seal(station, tx, std::mem::take(&mut page))?);
            bytes = 0;
        }
        bytes += entry.bytes.len();
        page.push(entry);
    }
    if !page.is_empty() {
        touched.extend(seal(station, tx, page)?);
    }
    for record in touched {
        refresh(tx, &station.kinds, record)?;
    }
    Ok(())
}

fn seal(station: &Station, tx: &WriteTx<'_>, page: Vec<OwnEntry>) -> Result<BTreeSet<RecordId>, StationError> {
    let page = seal_own(tx, &station.keys, &station.env, page)?;
    Ok(ledger::append(tx, &station.kinds, &page)?.1)
}
