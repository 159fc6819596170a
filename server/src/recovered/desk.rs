//! The desk at which given entries are judged, record by record: guard, the giver's scope, and for acts the state they meet. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, RecoveredEntry, identity};
use beatbook_protocol::id::{ActorId, BookId, Hash, RecordId, UserId};
use beatbook_protocol::kind::{DocumentName, Kind, workflow};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{GivenEntry, Verdict};

use super::{Giver, Planned};
use crate::destruction::Destroyed;
use crate::error::StationError;
use crate::intake::{Others, OwnEntry, looks_beyond, rule, unfit};
use crate::kinds::Kinds;
use crate::projection::reading::Documents;
use crate::projection::record::{Opening, RecordState};
use crate::scope::{Scope, author_roles};
use crate::store::ReadTx;

/// An entry that may be judged.
struct Item<'g> {
    at: usize,
    entry: Entry,
    id: Hash,
    given: &'g GivenEntry,
    author: UserId,
}

impl Item<'_> {
    fn looks_beyond(&self) -> bool {
        matches!(&self.entry, Entry::Act(act) if looks_beyond(act))
    }
}

/// The desk at which given entries are judged, record by record.
pub(super) struct Desk<'a> {
    pub(super) tx: &'a ReadTx<'a>,
    pub(super) kinds: &'a Kinds,
    /// The station's own book.
    pub(super) station: BookId,
    pub(super) giver: Giver,
    pub(super) scope: &'a Scope,
    pub(super) now: UnixMillis,
    pub(super) met: BTreeMap<RecordId, Option<u64>>,
    pub(super) bound: BTreeMap<ActorId, BookId>,
    /// Other records that were looked at, and the leaf of their newest entry then.
    pub(super) beyond: BTreeMap<RecordId, Option<u64>>,
    /// Merges that were given back before, and those that were taken back.
    pub(super) merges: BTreeMap<RecordId, Option<RecordId>>,
}

impl Desk<'_> {
    /// Judges all that was given.
    pub(super) fn judge(mut self, given: &[&GivenEntry]) -> Result<Planned, StationError> {
        let mut verdicts = vec![None; given.len()];
        let mut records: BTreeMap<RecordId, Vec<Item<'_>>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (at, one) in given.iter().enumerate() {
            match self.read(at, one)? {
                Err(verdict) => put(&mut verdicts, at, verdict),
                Ok(item) if !seen.insert(item.id) => put(&mut verdicts, item.at, Verdict::Duplicate),
                Ok(item) => {
                    if let Some(record) = item.entry.record() {
                        records.entry(record).or_default().push(item);
                    }
                }
            }
        }
        // Those that tell of others come last, as they were given: of two merges that would make a loop the earlier one holds.
        let mut records: Vec<(RecordId, Vec<Item<'_>>)> = records.into_iter().collect();
        records.sort_by_key(|(_, items)| items.iter().find(|item| item.looks_beyond()).map(|item| item.at));
        for (record, items) in &records {
            self.judge_record(*record, items, &mut verdicts)?;
        }
        let verdicts: Vec<Verdict> = verdicts
            .into_iter()
            .map(|verdict| verdict.unwrap_or_else(|| refused("internal", "it was not judged".into())))
            .collect();
        let taken = |verdict: &Verdict| matches!(verdict, Verdict::Accepted | Verdict::Offered);
        let mut entries = Vec::new();
        for (one, verdict) in given.iter().zip(&verdicts).filter(|(_, verdict)| taken(verdict)) {
            let recovered = RecoveredEntry {
                entry: one.entry.to_vec(),
                book: one.book,
                giver: self.giver.book,
                received: one.received,
                admitted_by: None,
            };
            entries.push(OwnEntry {
                bytes: Entry::Recovered(recovered).to_bytes(),
                offered: *verdict == Verdict::Offered,
            });
        }
        Ok(Planned {
            verdicts,
            entries,
            met: self.met,
            bound: self.bound,
            beyond: self.beyond,
        })
    }

    /// An entry with its author, or why it is not judged any further.
    fn read<'g>(&self, at: usize, given: &'g GivenEntry) -> Result<Result<Item<'g>, Verdict>, StationError> {
        let id = identity(&given.entry);
        if self.tx.is_accepted(&id)? {
            return Ok(Err(Verdict::Duplicate));
        }
        let recovered = RecoveredEntry {
            entry: given.entry.to_vec(),
            book: given.book,
            giver: self.giver.book,
            received: given.received,
            admitted_by: None,
        };
        let entry = match recovered.inner() {
            Ok(entry) => entry,
            Err(fault) => return Ok(Err(refused("malformed", fault.to_string()))),
        };
        if let Some(record) = entry.record()
            && let Some(verdict) = Destroyed::of(self.tx, record)?.refuses(&entry)
        {
            return Ok(Err(verdict));
        }
        if given.book == self.giver.book {
            let text = "what this book wrote itself comes in its own pages";
            return Ok(Err(refused("forbidden", text.into())));
        }
        let Some(book) = self.tx.book(given.book)? else {
            let text = format!("the book {} that it is said to come from is not known here", given.book);
            return Ok(Err(refused("unknown_book", text)));
        };
        let on_behalf = match &entry {
            Entry::Change(change) => change.on_behalf,
            Entry::Act(act) => act.on_behalf,
            Entry::Registry(_) | Entry::Recovered(_) | Entry::Other(_) => None,
        };
        if on_behalf.is_some() && given.book != self.station {
            return Ok(Err(refused("forbidden", "a phone writes for nobody else".into())));
        }
        let author = on_behalf.unwrap_or(book.user);
        if self.tx.user(author)?.is_none() {
            return Ok(Err(refused("unknown_book", format!("its author {author} is not known here"))));
        }
        Ok(Ok(Item {
            at,
            entry,
            id,
            given,
            author,
        }))
    }

    fn judge_record(&mut self, id: RecordId, items: &[Item<'_>], verdicts: &mut [Option<Verdict>]) -> Result<(), StationError> {
        let known = self.tx.record(id)?;
        self.met.insert(id, known.as_ref().map(|state| state.leaf));
        let (mut state, opener) = match known {
            Some(state) => (state, None),
            None => match self.open(id, items) {
                Ok((state, at)) => (state, Some(at)),
                Err(verdict) => {
                    items.iter().for_each(|item| put(verdicts, item.at, verdict.clone()));
                    return Ok(());
                }
            },
        };
        if !self.scope.holds(self.tx, id, state.opening.opens.unit)? {
            let verdict = refused("out_of_scope", "the record is not in the giver's scope".into());
            items.iter().for_each(|item| put(verdicts, item.at, verdict.clone()));
            return Ok(());
        }
        let mut documents = Documents::open(self.tx, self.kinds, &state)?;
        for name in [DocumentName::Facts, DocumentName::Private] {
            self.judge_changes(&state, name, items, opener, &mut documents, verdicts)?;
        }
        let opened = opener.and_then(|at| verdicts.get(at).cloned().flatten());
        if let Some(verdict) = opened.filter(|verdict| *verdict != Verdict::Accepted) {
            items.iter().for_each(|item| put(verdicts, item.at, verdict.clone()));
            return Ok(());
        }
        for item in items {
            if let Entry::Act(act) = &item.entry {
                let verdict = self.judge_act(&mut state, item, act, &documents)?;
                put(verdicts, item.at, verdict);
            }
        }
        Ok(())
    }

    /// A record that is not there any more, as its opening change says; which entry that is.
    fn open(&self, id: RecordId, items: &[Item<'_>]) -> Result<(RecordState, usize), Verdict> {
        let found = items.iter().find_map(|item| match &item.entry {
            Entry::Change(change) => change.opens.as_ref().map(|opens| (item, change, opens)),
            Entry::Act(_) | Entry::Registry(_) | Entry::Recovered(_) | Entry::Other(_) => None,
        });
        let Some((item, change, opens)) = found else {
            return Err(refused("unknown_record", "no change has opened this record".into()));
        };
        if change.document.name() != Some(DocumentName::Facts) {
            return Err(refused("malformed", "a record opens in its facts".into()));
        }
        let Some(kind) = self.kinds.find(&opens.kind, opens.version) else {
            let text = format!("this station has no kind {} version {}", opens.kind, opens.version);
            return Err(refused("unknown_kind", text));
        };
        let opening = Opening {
            opens: opens.clone(),
            book: item.given.book,
            user: item.author,
            at: change.at,
        };
        Ok((RecordState::open(id, opening, kind, self.now), item.at))
    }

    fn judge_changes(
        &mut self,
        state: &RecordState,
        name: DocumentName,
        items: &[Item<'_>],
        opener: Option<usize>,
        documents: &mut Documents,
        verdicts: &mut [Option<Verdict>],
    ) -> Result<(), StationError> {
        let mut group: Vec<(&Item<'_>, &ChangeEntry)> = Vec::new();
        for item in items {
            let Entry::Change(change) = &item.entry else { continue };
            match (change.document.name(), self.bind(item, change, opener)?) {
                (None, _) => put(verdicts, item.at, refused("not_understood", "an unknown document".into())),
                (Some(document), _) if document != name => {}
                (Some(_), Some(verdict)) => put(verdicts, item.at, verdict),
                (Some(_), None) => group.push((item, change)),
            }
        }
        if group.is_empty() {
            return Ok(());
        }
        let document = match (name, documents.private.take()) {
            (DocumentName::Facts, private) => {
                documents.private = private;
                &documents.facts
            }
            (DocumentName::Private, Some(private)) => &*documents.private.insert(private),
            (DocumentName::Private, None) => &*documents.private.insert(self.kinds.document(self.tx, state, name)?),
        };
        let incoming: Vec<Incoming<'_>> = group
            .iter()
            .map(|(_, change)| Incoming {
                bytes: &change.change,
                settles: change.settles == Some(true),
                actors: None,
            })
            .collect();
        let report = guard::check(document, &incoming, Unknown::Refuse);
        for ((item, _), outcome) in group.iter().zip(report.outcomes) {
            let verdict = match outcome {
                Outcome::Admitted { .. } => Verdict::Accepted,
                Outcome::Duplicate { .. } => Verdict::Duplicate,
                Outcome::Needs { missing } => Verdict::Needs { changes: missing },
                Outcome::Refused(fault) => refused(fault.code(), fault.to_string()),
            };
            put(verdicts, item.at, verdict);
        }
        match name {
            DocumentName::Facts => documents.facts = report.document,
            DocumentName::Private => documents.private = Some(report.document),
        }
        Ok(())
    }

    /// Binds a change's author mark to its book; why it is refused when it may not go before the guard.
    fn bind(&mut self, item: &Item<'_>, change: &ChangeEntry, opener: Option<usize>) -> Result<Option<Verdict>, StationError> {
        if change.opens.is_some() && opener != Some(item.at) {
            return Ok(Some(refused("record_exists", "the record was opened before".into())));
        }
        let envelope = match guard::envelope(&change.change) {
            Ok(envelope) => envelope,
            Err(fault) => return Ok(Some(refused(fault.code(), fault.to_string()))),
        };
        let book = item.given.book;
        let bound = match self.bound.get(&envelope.actor) {
            Some(bound) => Some(*bound),
            None => self.tx.actor(envelope.actor)?,
        };
        if bound.is_some_and(|bound| bound != book) {
            return Ok(Some(refused(
                "foreign_actor",
                "the author mark belongs to another book".into(),
            )));
        }
        self.bound.insert(envelope.actor, book);
        Ok(None)
    }

    fn judge_act(
        &mut self,
        state: &mut RecordState,
        item: &Item<'_>,
        act: &ActEntry,
        documents: &Documents,
    ) -> Result<Verdict, StationError> {
        if let Some(verdict) = unfit(act) {
            return Ok(verdict);
        }
        let is_gone = Destroyed::of(self.tx, state.id)?.private;
        let private = act.private_heads.iter().flatten().filter(|_| !is_gone);
        let absent = |hash: &&Hash| !documents.private.as_ref().is_some_and(|private| private.contains(hash));
        let missing: Vec<Hash> = act
            .heads
            .iter()
            .filter(|hash| !documents.facts.contains(hash))
            .chain(private.filter(absent))
            .copied()
            .collect();
        if !missing.is_empty() {
            return Ok(Verdict::Needs { changes: missing });
        }
        let kind = self.kinds.kind_of(state)?;
        let unit = state.opening.opens.unit;
        let roles = author_roles(self.tx, item.author, state.id, unit)?;
        let whos = workflow::whos(&roles, state.opening.user == item.author);
        Ok(match rule(kind, state, act, &whos, self)? {
            Ok((effect, verdict)) => {
                state.take_act(&effect, item.id, &act.heads, act.at, self.now);
                verdict
            }
            Err(verdict) => verdict,
        })
    }
}

/// Where its author moved meanwhile does not undo what he did before, so no scope is asked for here; and what is not back yet may come back
/// after this.
impl Others for Desk<'_> {
    fn fits(&mut self, kind: &Kind, other: RecordId) -> Result<bool, StationError> {
        let state = self.tx.record(other)?;
        self.beyond.insert(other, state.as_ref().map(|state| state.leaf));
        Ok(state.is_none_or(|state| state.opening.opens.kind == kind.code))
    }

    fn merged_into(&mut self, record: RecordId) -> Result<Option<RecordId>, StationError> {
        if let Some(target) = self.merges.get(&record) {
            return Ok(*target);
        }
        self.beyond.insert(record, self.tx.record_leaf(record)?);
        Ok(self.tx.merged_into(record)?)
    }

    fn remember(&mut self, record: RecordId, target: Option<RecordId>) {
        self.merges.insert(record, target);
    }
}

fn put(verdicts: &mut [Option<Verdict>], at: usize, verdict: Verdict) {
    if let Some(place) = verdicts.get_mut(at) {
        *place = Some(verdict);
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
