//! What a batch says of one record: judged in the order of its pages, apart from every other record. Ends in the verdicts and in what
//! appending them will put: the record's reading and its snapshots. Its documents are open while it is judged and no longer.

use std::collections::BTreeMap;

use beatbook_protocol::document::guard::GuardFault;
use beatbook_protocol::entry::{ActEntry, ChangeEntry};
use beatbook_protocol::id::{ActorId, Hash, RecordId, UnitId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use super::desk::{Desk, Look, refused};
use super::merge::{Board, looks_beyond};
use super::{act, change};
use crate::destruction::{Concerns, Destroyed};
use crate::error::StationError;
use crate::projection::reading;
use crate::scope::author_roles;
use crate::store::ReadingRow;

/// Where an entry stands in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of the pages that become leaves.
    pub(super) page: usize,
    /// Where in it.
    pub(super) position: usize,
}

/// What an entry is about a record.
#[derive(Debug)]
pub(super) enum Matter {
    /// A change.
    Change(ChangeEntry),
    /// An act.
    Act(ActEntry),
}

impl Concerns for Matter {
    fn is_of_private(&self) -> bool {
        matches!(self, Self::Change(change) if change.document.name() != Some(DocumentName::Facts))
    }
}

/// One entry of a lane.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place.
    pub(super) place: Place,
    /// The ledger size that its page's author knew at least.
    pub(super) known: u64,
    /// Its identity.
    pub(super) id: Hash,
    /// What it is.
    pub(super) matter: Matter,
}

/// The entries about one record.
#[derive(Debug)]
pub(super) struct Lane {
    /// The record.
    pub(super) record: RecordId,
    /// Its entries, in the order of the batch.
    pub(super) items: Vec<Item>,
}

/// A lane with its verdicts.
#[derive(Debug)]
pub(super) struct JudgedLane {
    /// The record.
    pub(super) record: RecordId,
    /// The leaf of its newest entry when it was looked at; none when it was not there.
    pub(super) met: Option<u64>,
    /// The verdicts.
    pub(super) verdicts: Vec<(Place, Verdict)>,
    /// Author marks under which something was taken in.
    pub(super) bound: Vec<ActorId>,
    /// What the record says now; none when nothing was taken in.
    pub(super) reading: Option<ReadingRow>,
    /// Kind and unit, when the batch opened it.
    pub(super) opened: Option<(String, UnitId)>,
    /// What the batch did to its merges.
    pub(super) merged: Option<Option<RecordId>>,
    /// Other records that were looked at, and the leaf of their newest entry then.
    pub(super) beyond: Vec<(RecordId, Option<u64>)>,
    /// Snapshots of documents that have grown long.
    pub(super) snapshots: Vec<(DocumentName, Vec<u8>)>,
}

/// Changes that were judged sound one by one and did not hold together.
pub(super) type Doomed = BTreeMap<(DocumentName, Hash), GuardFault>;

/// A document is saved as one when its changes pass a multiple of this: opening applies at most as many one by one.
const SNAPSHOT_CHANGES: usize = 32;

impl Lane {
    /// Judges the lane. When changes do not hold in their document after all, it is judged again without them, since acts and later
    /// changes may have built on them.
    pub(super) fn judge(&self, look: &Look<'_>, board: &Board) -> Result<JudgedLane, StationError> {
        let mut doomed = Doomed::new();
        loop {
            let mut desk = Desk::open(*look, self.record, &doomed, board)?;
            let verdicts = self.verdicts(&mut desk)?;
            let failed = desk.prove();
            if failed.is_empty() {
                return finish(desk, verdicts);
            }
            drop(desk);
            doomed.extend(failed);
        }
    }

    /// Whether it must be judged after the others, since it tells of their records.
    pub(super) fn looks_beyond(&self) -> bool {
        self.beyond_at().is_some()
    }

    /// Where the first of its entries stands that does.
    pub(super) fn beyond_at(&self) -> Option<(usize, usize)> {
        let beyond = |item: &&Item| matches!(&item.matter, Matter::Act(act) if looks_beyond(act));
        self.items
            .iter()
            .find(beyond)
            .map(|item| (item.place.page, item.place.position))
    }

    fn verdicts(&self, desk: &mut Desk<'_>) -> Result<Vec<(Place, Verdict)>, StationError> {
        let mut seen: BTreeMap<Hash, (usize, Verdict)> = BTreeMap::new();
        let mut verdicts = Vec::with_capacity(self.items.len());
        let destroyed = Destroyed::of(desk.look.tx, self.record)?;
        for item in &self.items {
            desk.turn_to(item.place.page, item.known);
            let verdict = match seen.get(&item.id) {
                Some((_, Verdict::Accepted | Verdict::Offered)) => Verdict::Duplicate,
                // Twice in one page it is the same twice; in another page it is judged anew.
                Some((page, verdict)) if *page == item.place.page => verdict.clone(),
                Some(_) | None => match destroyed.refuses(&item.matter) {
                    Some(verdict) => verdict,
                    None => judge(desk, item)?,
                },
            };
            seen.insert(item.id, (item.place.page, verdict.clone()));
            verdicts.push((item.place, verdict));
        }
        Ok(verdicts)
    }
}

fn judge(desk: &mut Desk<'_>, item: &Item) -> Result<Verdict, StationError> {
    // A record that is not there has no accepted entries.
    if desk.met.is_some() && desk.look.tx.is_accepted(&item.id)? {
        return Ok(Verdict::Duplicate);
    }
    if desk.look.author.scope.is_blocked {
        return Ok(refused(
            "blocked",
            "its author is blocked here: nothing of his is taken in until that ends".into(),
        ));
    }
    match &item.matter {
        Matter::Change(entry) => change::judge(desk, entry),
        Matter::Act(entry) => act::judge(desk, item.id, entry),
    }
}

fn finish(mut desk: Desk<'_>, verdicts: Vec<(Place, Verdict)>) -> Result<JudgedLane, StationError> {
    let mut judged = JudgedLane {
        record: desk.id,
        met: desk.met,
        verdicts,
        bound: std::mem::take(&mut desk.bound).into_iter().collect(),
        reading: None,
        opened: None,
        merged: desk.merged,
        beyond: std::mem::take(&mut desk.beyond),
        snapshots: Vec::new(),
    };
    let Some(state) = desk.state.take().filter(|_| desk.touched) else {
        return Ok(judged);
    };
    if judged.met.is_none() {
        judged.opened = Some((state.opening.opens.kind.clone(), state.opening.opens.unit));
    }
    let look = desk.look;
    let facts = desk.paper(&state, DocumentName::Facts)?;
    let private = match state.private_heads.is_empty() {
        true => None,
        false => Some(desk.paper(&state, DocumentName::Private)?),
    };
    for (name, paper) in [(DocumentName::Facts, Some(&facts)), (DocumentName::Private, private.as_ref())] {
        let Some(paper) = paper else { continue };
        if paper.document.change_count() / SNAPSHOT_CHANGES > paper.before / SNAPSHOT_CHANGES {
            judged.snapshots.push((name, paper.document.save()));
        }
    }
    let opener = author_roles(look.tx, state.opening.user, state.id, state.opening.opens.unit)?;
    let private = private.as_ref().map(|paper| paper.view(&state)).transpose()?;
    let kind = look.kinds.kind_of(&state)?;
    let view = facts.view(&state)?;
    judged.reading = Some(reading::read_views(
        kind,
        &state,
        &facts.document,
        &view,
        private.as_deref(),
        &opener,
    )?);
    Ok(judged)
}
