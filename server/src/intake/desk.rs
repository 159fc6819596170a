//! The desk at which a page's entries are judged one after another: the records they touch, opened, with what was already decided on
//! this page. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::document::Document;
use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::id::{ActorId, BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::{DocumentName, Who, workflow};
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::projection::reading::{Documents, roles};
use crate::projection::record::RecordState;
use crate::scope::held_since;
use crate::store::{BookRow, ReadTx};

/// Who wrote a page, and what he may.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    /// His book.
    pub(crate) book: BookId,
    /// Its key.
    pub(crate) key: BookPublicKey,
    /// He.
    pub(crate) user: UserId,
    /// His roles.
    pub(crate) roles: Vec<Who>,
    /// The units whose records he may write, as things are now.
    pub(crate) scope: Vec<UnitId>,
    /// The ledger size that his book has confirmed: he cannot plead that he knew less.
    pub(crate) confirmed: u64,
}

impl Author {
    /// The author behind a book.
    pub(crate) fn of(tx: &ReadTx<'_>, book: &BookRow, confirmed: u64) -> Result<Self, StationError> {
        let damaged = |why: &str| StationError::Damaged(format!("book {}: {why}", book.book));
        let user = tx.user(book.user)?.ok_or_else(|| damaged("its user is missing"))?;
        Ok(Self {
            book: book.book,
            key: BookPublicKey::parse(book.suite, &book.key).map_err(|fault| damaged(&fault.to_string()))?,
            user: user.user,
            roles: roles(&user.roles),
            scope: tx.units_below(user.unit)?,
            confirmed,
        })
    }
}

/// A change that waits for the guard.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its place in the page.
    pub(super) position: usize,
    /// Its document.
    pub(super) document: DocumentName,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether it is marked to settle.
    pub(super) settles: bool,
    /// Its hash and what it depends on.
    pub(super) hash: Hash,
    /// The changes it depends on.
    pub(super) deps: Vec<Hash>,
    /// Its author mark.
    pub(super) actor: ActorId,
    /// When it was written.
    pub(super) at: UnixMillis,
}

/// Why a record that this page would have opened is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Its opening change was refused.
    Refused,
    /// Its opening change waits for others.
    Needs(Vec<Hash>),
}

/// A record on the desk.
#[derive(Debug)]
pub(super) struct OpenRecord {
    /// The leaf of its newest entry when it was opened here; none when it was not there.
    pub(super) met: Option<u64>,
    /// Its fold, with what this page did to it.
    pub(super) state: Option<RecordState>,
    /// States by which its author may claim the right to write.
    pub(super) states: Vec<String>,
    /// Its documents, once touched.
    pub(super) documents: Option<Documents>,
    /// Changes in each document when it was opened here.
    pub(super) counts: BTreeMap<DocumentName, usize>,
    /// Changes that wait for the guard.
    pub(super) waiting: Vec<Waiting>,
    /// The place of its opening change, while that waits.
    pub(super) opener: Option<usize>,
    /// Why it was not opened.
    pub(super) unopened: Option<Unopened>,
    /// Changes refused on this page.
    pub(super) refused: BTreeSet<(DocumentName, Hash)>,
    /// Whether anything was taken in.
    pub(super) touched: bool,
}

/// The desk.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) tx: &'a ReadTx<'a>,
    pub(super) kinds: &'a Kinds,
    pub(super) author: &'a Author,
    /// The ledger size that the page's author knew at least.
    pub(super) known: u64,
    pub(super) received: UnixMillis,
    pub(super) records: BTreeMap<RecordId, OpenRecord>,
    /// Author marks that this page uses first.
    pub(super) bound: BTreeSet<ActorId>,
    /// Verdicts so far, by place.
    pub(super) verdicts: Vec<Option<Verdict>>,
}

impl Desk<'_> {
    /// Lays a record on the desk.
    pub(super) fn lay(&mut self, id: RecordId) -> Result<&mut OpenRecord, StationError> {
        if !self.records.contains_key(&id) {
            let state = self.tx.record(id)?;
            let states = if state.is_some() {
                self.tx.states_since(id, self.known)?
            } else {
                Vec::new()
            };
            let record = OpenRecord {
                met: state.as_ref().map(|state| state.leaf),
                state,
                states,
                documents: None,
                counts: BTreeMap::new(),
                waiting: Vec::new(),
                opener: None,
                unopened: None,
                refused: BTreeSet::new(),
                touched: false,
            };
            self.records.insert(id, record);
        }
        self.records
            .get_mut(&id)
            .ok_or_else(|| StationError::Store("a record fell off the desk".into()))
    }

    /// Who the author is for a record.
    pub(super) fn whos(&self, state: &RecordState) -> Vec<Who> {
        workflow::whos(&self.author.roles, state.opening.user == self.author.user)
    }

    /// Whether a record is in the author's scope, or was at any time since he last could have heard of it.
    pub(super) fn might_hold(&self, state: &RecordState, record: RecordId) -> Result<bool, StationError> {
        let unit = state.opening.opens.unit;
        Ok(self.author.scope.contains(&unit) || held_since(self.tx, self.author.user, (record, unit), self.known)?)
    }

    /// A document of a record on the desk, opened at need.
    pub(super) fn document(&mut self, id: RecordId, name: DocumentName) -> Result<Option<&Document>, StationError> {
        let (tx, kinds) = (self.tx, self.kinds);
        let record = self.lay(id)?;
        let Some(state) = &record.state else { return Ok(None) };
        if record.documents.is_none() {
            record.documents = Some(Documents::open(tx, kinds, state)?);
        }
        let Some(documents) = &mut record.documents else {
            return Ok(None);
        };
        if name == DocumentName::Private && documents.private.is_none() {
            documents.private = Some(kinds.document(tx, state, name)?);
        }
        let document = match name {
            DocumentName::Facts => Some(&documents.facts),
            DocumentName::Private => documents.private.as_ref(),
        };
        if let Some(document) = document {
            record.counts.entry(name).or_insert_with(|| document.change_count());
        }
        Ok(document)
    }

    /// Of these changes, what neither the document nor this page has: refused ones make a descendant, others are needed.
    pub(super) fn missing(
        &mut self,
        id: RecordId,
        name: DocumentName,
        changes: &[Hash],
    ) -> Result<Option<Verdict>, StationError> {
        let Some(document) = self.document(id, name)? else {
            return Ok(None);
        };
        let absent: Vec<Hash> = changes.iter().copied().filter(|hash| !document.contains(hash)).collect();
        let (tx, book) = (self.tx, self.author.book);
        let record = self.lay(id)?;
        let mut missing = Vec::new();
        for hash in absent {
            if record
                .waiting
                .iter()
                .any(|waiting| waiting.document == name && waiting.hash == hash)
            {
                continue;
            }
            if record.refused.contains(&(name, hash)) || tx.is_refused(id, name, &hash, book)? {
                return Ok(Some(refused("descendant", format!("it builds on {hash}, which was refused"))));
            }
            missing.push(hash);
        }
        Ok((!missing.is_empty()).then_some(Verdict::Needs { changes: missing }))
    }

    /// Puts every change of a record that waits before the guard, and notes the verdicts.
    pub(super) fn flush(&mut self, id: RecordId) -> Result<(), StationError> {
        let record = self.lay(id)?;
        let waiting = std::mem::take(&mut record.waiting);
        let opener = record.opener.take();
        if waiting.is_empty() {
            return Ok(());
        }
        let first = waiting
            .iter()
            .find(|change| Some(change.position) == opener)
            .map_or(DocumentName::Facts, |change| change.document);
        let second = if first == DocumentName::Facts {
            DocumentName::Private
        } else {
            DocumentName::Facts
        };
        let mut verdicts = BTreeMap::new();
        for name in [first, second] {
            let group: Vec<&Waiting> = waiting.iter().filter(|change| change.document == name).collect();
            if !group.is_empty() {
                self.guard(id, name, &group, &mut verdicts)?;
            }
            if let Some(unopened) = opener.and_then(|position| verdicts.get(&position)).and_then(unopened) {
                self.withdraw(id, unopened, &waiting, &mut verdicts)?;
                break;
            }
        }
        self.settle(id, waiting, verdicts)
    }

    fn guard(
        &mut self,
        id: RecordId,
        name: DocumentName,
        group: &[&Waiting],
        verdicts: &mut BTreeMap<usize, Verdict>,
    ) -> Result<(), StationError> {
        let incoming: Vec<Incoming<'_>> = group
            .iter()
            .map(|change| Incoming {
                bytes: &change.bytes,
                settles: change.settles,
                actors: None,
            })
            .collect();
        let Some(document) = self.document(id, name)? else {
            return Ok(());
        };
        let report = guard::check(document, &incoming, Unknown::Refuse);
        for (change, outcome) in group.iter().zip(report.outcomes) {
            let verdict = match outcome {
                Outcome::Admitted { .. } => Verdict::Accepted,
                Outcome::Duplicate { .. } => Verdict::Duplicate,
                Outcome::Needs { missing } => Verdict::Needs { changes: missing },
                Outcome::Refused(fault) => refused(fault.code(), fault.to_string()),
            };
            verdicts.insert(change.position, verdict);
        }
        if let Some(documents) = &mut self.lay(id)?.documents {
            match name {
                DocumentName::Facts => documents.facts = report.document,
                DocumentName::Private => documents.private = Some(report.document),
            }
        }
        Ok(())
    }

    /// Takes a record off again whose opening change did not pass: nothing of it can stay.
    fn withdraw(
        &mut self,
        id: RecordId,
        unopened: Unopened,
        waiting: &[Waiting],
        verdicts: &mut BTreeMap<usize, Verdict>,
    ) -> Result<(), StationError> {
        let fallen = verdict_of_unopened(&unopened);
        for change in waiting {
            let verdict = verdicts.entry(change.position).or_insert_with(|| fallen.clone());
            if matches!(verdict, Verdict::Accepted | Verdict::Duplicate) {
                *verdict = fallen.clone();
            }
        }
        let record = self.lay(id)?;
        record.state = None;
        record.documents = None;
        record.states.clear();
        record.unopened = Some(unopened);
        Ok(())
    }

    /// Notes what became of the changes, in the order of the page.
    fn settle(
        &mut self,
        id: RecordId,
        waiting: Vec<Waiting>,
        mut verdicts: BTreeMap<usize, Verdict>,
    ) -> Result<(), StationError> {
        let received = self.received;
        for change in waiting {
            let verdict = verdicts
                .remove(&change.position)
                .unwrap_or_else(|| refused("internal", "it was not judged".into()));
            let record = self.lay(id)?;
            match (&verdict, &mut record.state) {
                (Verdict::Accepted, Some(state)) => {
                    state.take_change(change.document, change.hash, &change.deps, change.at, received);
                    record.touched = true;
                    self.bound.insert(change.actor);
                }
                (Verdict::Refused { .. }, _) => {
                    record.refused.insert((change.document, change.hash));
                }
                _ => {}
            }
            if let Some(place) = self.verdicts.get_mut(change.position) {
                *place = Some(verdict);
            }
        }
        Ok(())
    }
}

/// A refusal of one entry.
pub(super) fn refused(code: &str, text: String) -> Verdict {
    Verdict::Refused {
        code: code.to_owned(),
        text,
        state_met: None,
    }
}

/// What an entry of a record gets that was not opened.
pub(super) fn verdict_of_unopened(unopened: &Unopened) -> Verdict {
    match unopened {
        Unopened::Refused => refused("descendant", "the change that opens the record was refused".into()),
        Unopened::Needs(changes) => Verdict::Needs {
            changes: changes.clone(),
        },
    }
}

fn unopened(verdict: &Verdict) -> Option<Unopened> {
    match verdict {
        Verdict::Refused { .. } => Some(Unopened::Refused),
        Verdict::Needs { changes } => Some(Unopened::Needs(changes.clone())),
        Verdict::Accepted | Verdict::Duplicate | Verdict::Offered | Verdict::Other(_) => None,
    }
}
