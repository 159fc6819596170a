//! The desk at which the entries about one record are judged one after another: the record's fold and its documents, with what was
//! already decided on this batch. Writes nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::document::guard::{Envelope, Incoming, Proven, Trial, Unknown};
use beatbook_protocol::document::{Document, View};
use beatbook_protocol::id::{ActorId, BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::{DocumentName, Who, workflow};
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::lane::Doomed;
use super::merge::Board;
use crate::error::StationError;
use crate::kinds::{Kinds, damaged};
use crate::projection::record::RecordState;
use crate::scope::{Scope, held_since, roles_since, roles_to_act};
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
    /// What he may hold, and what he is over it, as things are now.
    pub(crate) scope: Scope,
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
            scope: Scope::now(tx, user.user)?,
            confirmed,
        })
    }
}

/// What all judging looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) tx: &'a ReadTx<'a>,
    pub(super) kinds: &'a Kinds,
    pub(super) author: &'a Author,
    pub(super) received: UnixMillis,
}

/// Why a record that a page would have opened is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Its opening change was refused.
    Refused,
    /// Its opening change waits for others.
    Needs(Vec<Hash>),
}

/// A document on the desk.
#[derive(Debug)]
pub(super) struct Paper {
    /// The document.
    pub(super) document: Document,
    /// Changes in it when it was opened here.
    pub(super) before: usize,
    /// What it says, where its proof has read it.
    view: Option<View>,
}

impl Paper {
    /// What the document says.
    pub(super) fn view(&self, state: &RecordState) -> Result<Cow<'_, View>, StationError> {
        match &self.view {
            Some(view) => Ok(Cow::Borrowed(view)),
            None => self.document.view().map(Cow::Owned).map_err(|fault| damaged(state, &fault)),
        }
    }
}

/// The desk, with one record on it.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) look: Look<'a>,
    pub(super) id: RecordId,
    /// The leaf of the record's newest entry when it was looked at; none when it was not there.
    pub(super) met: Option<u64>,
    /// Its fold, with what this batch did to it.
    pub(super) state: Option<RecordState>,
    /// Why it was not opened by the page that would have.
    pub(super) unopened: Option<Unopened>,
    /// Changes refused in this batch.
    pub(super) refused: BTreeSet<(DocumentName, Hash)>,
    /// Author marks under which something was taken in.
    pub(super) bound: BTreeSet<ActorId>,
    /// What the batch's other lanes did, for merges.
    pub(super) board: &'a Board,
    /// Into which record this one is merged since this batch: none within says that a merge was taken back.
    pub(super) merged: Option<Option<RecordId>>,
    /// Other records that were looked at, and the leaf of their newest entry then.
    pub(super) beyond: Vec<(RecordId, Option<u64>)>,
    /// Whether anything was taken in.
    pub(super) touched: bool,
    times: Times,
    /// Documents with changes on trial, and how many changes each held before.
    trials: BTreeMap<DocumentName, (usize, Trial)>,
    papers: BTreeMap<DocumentName, Paper>,
    doomed: &'a Doomed,
}

/// What the author of the page at hand could know.
#[derive(Debug, Default)]
struct Times {
    /// The page at hand and the ledger size that its author knew at least.
    page: usize,
    known: u64,
    /// The states since then that the database has, once asked for.
    past: Option<Vec<String>>,
    /// States that this batch led to.
    led_to: Vec<String>,
}

impl<'a> Desk<'a> {
    /// Lays a record on the desk.
    pub(super) fn open(look: Look<'a>, id: RecordId, doomed: &'a Doomed, board: &'a Board) -> Result<Self, StationError> {
        let state = look.tx.record(id)?;
        Ok(Self {
            look,
            id,
            met: state.as_ref().map(|state| state.leaf),
            state,
            unopened: None,
            refused: BTreeSet::new(),
            bound: BTreeSet::new(),
            board,
            merged: None,
            beyond: Vec::new(),
            touched: false,
            times: Times::default(),
            trials: BTreeMap::new(),
            papers: BTreeMap::new(),
            doomed,
        })
    }

    /// Turns to an entry of a page whose author knew at least so much of the ledger.
    pub(super) fn turn_to(&mut self, page: usize, known: u64) {
        let times = &mut self.times;
        if times.page != page {
            // What fell with its opening fell within that page; another page stands for itself.
            self.unopened = None;
        }
        if times.known != known {
            times.past = None;
        }
        (times.page, times.known) = (page, known);
    }

    /// The states by which the author may claim a right: those that the record had since he last could have heard of it.
    pub(super) fn states(&mut self) -> Result<Vec<String>, StationError> {
        let past = match self.times.past.take() {
            Some(past) => past,
            None if self.met.is_some() => self.look.tx.states_since(self.id, self.times.known)?,
            None => Vec::new(),
        };
        let states = past.iter().chain(&self.times.led_to).cloned().collect();
        self.times.past = Some(past);
        Ok(states)
    }

    /// Notes that this batch led the record to a state.
    pub(super) fn led_to(&mut self, state: String) {
        self.times.led_to.push(state);
    }

    /// Whether the record is in the author's scope, or was at any time since he last could have heard of it.
    pub(super) fn might_hold(&self, state: &RecordState) -> Result<bool, StationError> {
        let Look { tx, author, .. } = self.look;
        held_since(tx, &author.scope, self.about(state), self.known())
    }

    /// The ledger size that the author of the page at hand knew at least.
    pub(super) fn known(&self) -> u64 {
        self.times.known
    }

    fn about(&self, state: &RecordState) -> (RecordId, UnitId) {
        (self.id, state.opening.opens.unit)
    }

    /// Who the author is for the record, or was at any time since he last could have heard of it.
    pub(super) fn whos_since(&self, state: &RecordState) -> Result<Vec<Who>, StationError> {
        let Look { tx, author, .. } = self.look;
        let roles = roles_since(tx, &author.scope, self.about(state), self.known())?;
        Ok(workflow::whos(&roles, state.opening.user == author.user))
    }

    /// As whom the author acts on the record.
    pub(super) fn whos(&self, state: &RecordState) -> Result<Vec<Who>, StationError> {
        let Look { tx, author, .. } = self.look;
        let roles = roles_to_act(tx, &author.scope, self.about(state), self.known())?;
        Ok(workflow::whos(&roles, state.opening.user == author.user))
    }

    /// Takes a record off again whose opening change did not pass.
    pub(super) fn take_off(&mut self, unopened: Unopened) {
        self.state = None;
        self.trials.clear();
        self.papers.clear();
        self.times.led_to.clear();
        self.unopened = Some(unopened);
    }

    /// Of these changes, what neither the document nor this batch has: refused ones make a descendant, others are needed.
    pub(super) fn missing(&mut self, name: DocumentName, changes: &[Hash]) -> Result<Option<Verdict>, StationError> {
        let mut missing = Vec::new();
        for hash in changes {
            if self.contains(name, hash)? {
                continue;
            }
            let book = self.look.author.book;
            if self.refused.contains(&(name, *hash)) || self.look.tx.is_refused(self.id, name, hash, book)? {
                return Ok(Some(refused("descendant", format!("it builds on {hash}, which was refused"))));
            }
            missing.push(*hash);
        }
        Ok((!missing.is_empty()).then_some(Verdict::Needs { changes: missing }))
    }

    fn contains(&mut self, name: DocumentName, change: &Hash) -> Result<bool, StationError> {
        if self.state.is_none() {
            return Ok(true);
        }
        if let Some((_, trial)) = self.trials.get(&name) {
            return Ok(trial.contains(change));
        }
        let Some(state) = self.state.clone() else { return Ok(true) };
        let paper = self.paper(&state, name)?;
        let contains = paper.document.contains(change);
        self.papers.insert(name, paper);
        Ok(contains)
    }

    /// Puts a change before the guard whose dependencies are all there.
    pub(super) fn try_change(
        &mut self,
        name: DocumentName,
        envelope: &Envelope,
        incoming: &Incoming<'_>,
    ) -> Result<Verdict, StationError> {
        if self.contains(name, &envelope.hash)? {
            return Ok(Verdict::Duplicate);
        }
        if let Some(fault) = self.doomed.get(&(name, envelope.hash)) {
            return Ok(refused(fault.code(), fault.to_string()));
        }
        if let Some(paper) = self.papers.remove(&name) {
            match Trial::begin(paper.document, Unknown::Refuse) {
                Ok(trial) => self.trials.insert(name, (paper.before, trial)),
                Err(fault) => return Ok(refused(fault.code(), fault.to_string())),
            };
        }
        let judged = self.trials.get_mut(&name).map(|(_, trial)| trial.judge(envelope, incoming));
        Ok(match judged {
            Some(Ok(())) => Verdict::Accepted,
            Some(Err(fault)) => refused(fault.code(), fault.to_string()),
            None => refused("internal", "it was not judged".into()),
        })
    }

    /// Takes what was tried into the documents; gives what did not hold.
    pub(super) fn prove(&mut self) -> Doomed {
        let mut doomed = Doomed::new();
        for (name, (before, trial)) in std::mem::take(&mut self.trials) {
            let Proven { document, view, failed } = trial.finish();
            doomed.extend(failed.into_iter().map(|(hash, fault)| ((name, hash), fault)));
            self.papers.insert(name, Paper { document, before, view });
        }
        doomed
    }

    /// A document of the record, taken from the desk or opened.
    pub(super) fn paper(&mut self, state: &RecordState, name: DocumentName) -> Result<Paper, StationError> {
        if let Some(paper) = self.papers.remove(&name) {
            return Ok(paper);
        }
        let document = if self.met.is_some() {
            self.look.kinds.document(self.look.tx, state, name)?
        } else {
            self.look.kinds.begin(state, name)?
        };
        Ok(Paper {
            before: document.change_count(),
            document,
            view: None,
        })
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
