//! Second step: a verdict on each entry of a verified page, and with it everything that appending the page will put: readings and
//! snapshots of the records touched. Decided on one look; appended only when nothing that was looked at has moved.

use std::collections::BTreeMap;

use beatbook_protocol::entry::{Entry, identity};
use beatbook_protocol::id::{ActorId, Hash, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::page::VerifiedPage;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::desk::{Author, Desk, OpenRecord, refused};
use super::{act, change};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::ledger;
use crate::projection::reading::{self, Documents};
use crate::store::{ReadTx, ReadingRow, WriteTx};

/// A page with a verdict on each of its entries. Made by intake alone; only this can be appended to the ledger.
#[derive(Debug)]
pub(crate) struct AdmittedPage {
    verified: VerifiedPage,
    verdicts: Vec<Verdict>,
    received: UnixMillis,
}

impl AdmittedPage {
    pub(super) fn judged(verified: VerifiedPage, verdicts: Vec<Verdict>, received: UnixMillis) -> Self {
        Self {
            verified,
            verdicts,
            received,
        }
    }

    /// The page.
    pub(crate) fn verified(&self) -> &VerifiedPage {
        &self.verified
    }

    /// The verdicts, one for each entry.
    pub(crate) fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// When it came.
    pub(crate) fn received(&self) -> UnixMillis {
        self.received
    }
}

/// A page ready to be appended.
#[derive(Debug)]
pub(crate) struct Admission {
    page: AdmittedPage,
    /// The records looked at, and the leaf of their newest entry then.
    met: Vec<(RecordId, Option<u64>)>,
    /// Author marks that this page uses first.
    bound: Vec<ActorId>,
    readings: BTreeMap<RecordId, ReadingRow>,
    snapshots: Vec<(RecordId, DocumentName, Vec<u8>)>,
}

/// A document is saved as one when its changes pass a multiple of this: opening applies at most as many one by one.
const SNAPSHOT_CHANGES: usize = 32;

impl Admission {
    /// Judges a page's entries in their order.
    pub(crate) fn plan(
        tx: &ReadTx<'_>,
        kinds: &Kinds,
        author: &Author,
        page: VerifiedPage,
        received: UnixMillis,
    ) -> Result<Self, StationError> {
        let mut desk = Desk {
            tx,
            kinds,
            author,
            known: known_size(tx, author, &page)?,
            received,
            records: BTreeMap::new(),
            bound: Default::default(),
            merges: BTreeMap::new(),
            verdicts: vec![None; page.page().entries.len()],
        };
        let mut seen: BTreeMap<Hash, usize> = BTreeMap::new();
        for (position, (bytes, _)) in page.entries().enumerate() {
            let id = identity(bytes);
            let verdict = match seen.get(&id) {
                Some(first) => Some(twice(&mut desk, *first)?),
                None => judge(&mut desk, position, id, bytes)?,
            };
            seen.entry(id).or_insert(position);
            if let Some(place) = desk.verdicts.get_mut(position) {
                *place = verdict;
            }
        }
        let touched: Vec<RecordId> = desk.records.keys().copied().collect();
        for record in touched {
            desk.flush(record)?;
        }
        finish(desk, page)
    }

    /// The page.
    pub(crate) fn page(&self) -> &AdmittedPage {
        &self.page
    }

    /// Appends the page with all that follows from it; none when something moved since it was planned.
    pub(crate) fn append(&self, tx: &WriteTx<'_>, kinds: &Kinds) -> Result<Option<u64>, StationError> {
        let header = self.page.verified.header();
        if self
            .page
            .verified
            .check_follows(&tx.tip(header.book, header.incarnation)?)
            .is_err()
        {
            return Ok(None);
        }
        for (record, leaf) in &self.met {
            if tx.record_leaf(*record)? != *leaf {
                return Ok(None);
            }
        }
        for actor in &self.bound {
            if tx.actor(*actor)?.is_some_and(|book| book != header.book) {
                return Ok(None);
            }
        }
        let (leaf, _) = ledger::append(tx, kinds, &self.page)?;
        for (record, reading) in &self.readings {
            tx.put_reading(*record, reading)?;
        }
        for (record, document, bytes) in &self.snapshots {
            tx.put_snapshot(*record, *document, leaf, bytes)?;
        }
        Ok(Some(leaf))
    }
}

/// The ledger size that the author knew at least when he sealed the page.
fn known_size(tx: &ReadTx<'_>, author: &Author, page: &VerifiedPage) -> Result<u64, StationError> {
    let stamped = match &page.header().stamp.checkpoint {
        // What he saw in a life that is over counts as far as this one shares it.
        Some(position) => tx
            .shared_with(position.epoch)?
            .map_or(position.size, |shared| shared.min(position.size)),
        None => 0,
    };
    Ok(stamped.max(author.confirmed).min(tx.size()?))
}

fn judge(desk: &mut Desk<'_>, position: usize, id: Hash, bytes: &[u8]) -> Result<Option<Verdict>, StationError> {
    if desk.tx.is_accepted(&id)? {
        return Ok(Some(Verdict::Duplicate));
    }
    match Entry::parse(bytes) {
        Err(fault) => Ok(Some(refused("malformed", fault.to_string()))),
        Ok(Entry::Other(sort)) => Ok(Some(refused(
            "not_understood",
            format!("entries of sort {sort} are not known here"),
        ))),
        Ok(Entry::Registry(_) | Entry::Recovered(_)) => Ok(Some(refused(
            "forbidden",
            "the registry, and what was recovered, are the station's to write".into(),
        ))),
        Ok(Entry::Change(entry)) => change::judge(desk, position, entry),
        Ok(Entry::Act(entry)) => act::judge(desk, id, &entry).map(Some),
    }
}

/// The verdict on an entry that stands twice in one page.
fn twice(desk: &mut Desk<'_>, first: usize) -> Result<Verdict, StationError> {
    let records: Vec<RecordId> = desk.records.keys().copied().collect();
    for record in records {
        desk.flush(record)?;
    }
    Ok(match desk.verdicts.get(first).cloned().flatten() {
        Some(Verdict::Accepted | Verdict::Offered) | None => Verdict::Duplicate,
        Some(other) => other,
    })
}

fn finish(desk: Desk<'_>, page: VerifiedPage) -> Result<Admission, StationError> {
    let Desk {
        tx,
        kinds,
        received,
        records,
        bound,
        verdicts,
        ..
    } = desk;
    let unjudged = || refused("internal", "it was not judged".into());
    let verdicts = verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(unjudged)).collect();
    let mut admission = Admission {
        page: AdmittedPage::judged(page, verdicts, received),
        met: records.iter().map(|(id, record)| (*id, record.met)).collect(),
        bound: bound.into_iter().collect(),
        readings: BTreeMap::new(),
        snapshots: Vec::new(),
    };
    for (id, record) in records.into_iter().filter(|(_, record)| record.touched) {
        let OpenRecord {
            state: Some(state),
            documents,
            counts,
            ..
        } = record
        else {
            continue;
        };
        let mut documents = match documents {
            Some(documents) => documents,
            None => Documents::open(tx, kinds, &state)?,
        };
        if state.private_heads.is_empty() {
            documents.private = None;
        }
        let opener = tx.user(state.opening.user)?.map(|user| user.roles).unwrap_or_default();
        admission
            .readings
            .insert(id, reading::read(kinds.kind_of(&state)?, &state, &documents, &opener)?);
        let opened = [
            (DocumentName::Facts, Some(&documents.facts)),
            (DocumentName::Private, documents.private.as_ref()),
        ];
        for (name, document) in opened {
            let (Some(document), Some(before)) = (document, counts.get(&name)) else {
                continue;
            };
            if document.change_count() / SNAPSHOT_CHANGES > before / SNAPSHOT_CHANGES {
                admission.snapshots.push((id, name, document.save()));
            }
        }
    }
    Ok(admission)
}
