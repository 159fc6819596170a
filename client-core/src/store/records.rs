//! Records within one transaction: own entries get their verdict, what came is judged by the guard, and what was touched is folded anew,
//! once. Knows nothing of pages, networks and screens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use beatbook_protocol::document::Document;
use beatbook_protocol::document::guard::Outcome;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::{CheckedKind, DocumentName};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;
use rusqlite::OptionalExtension;

use super::ahead::{self, Bench, Case};
use super::destroyed::{self, Destruction};
use super::identity::Identity;
use super::rows::{self, ChangeRow, Status};
use super::{StoreError, Tx, identity, papers};
use crate::office::{Office, Pen};

/// The code of what was parked because it was built on something refused.
pub(crate) const DESCENDANT: &str = "descendant";

/// What touched a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    /// The latest time of it.
    at: UnixMillis,
    /// Whether it was nothing but the station's yes to own changes, which are shown already.
    is_yes_alone: bool,
}

/// A record's changes that no snapshot holds, by document.
pub(super) type Changes = [(DocumentName, Arc<[ChangeRow]>); 2];

/// The records of one transaction.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    pub(super) tx: &'a Tx<'a>,
    pub(super) pen: &'a mut Pen,
    pub(super) now: UnixMillis,
    /// Records to fold anew, with what touched them.
    pub(super) touched: BTreeMap<RecordId, Touch>,
    /// Documents that are open already, as they will be stored.
    pub(super) documents: BTreeMap<(RecordId, DocumentName), Document>,
    /// Records of which accepted entries moved: their digests are counted anew.
    pub(super) moved: BTreeSet<RecordId>,
    /// What was destroyed.
    pub(super) destroyed: Vec<Destruction>,
}

impl<'a> Records<'a> {
    /// Works within this transaction.
    pub(crate) fn new(tx: &'a Tx<'a>, pen: &'a mut Pen, now: UnixMillis) -> Self {
        Self {
            tx,
            pen,
            now,
            touched: BTreeMap::new(),
            documents: BTreeMap::new(),
            moved: BTreeSet::new(),
            destroyed: Vec::new(),
        }
    }

    /// The transaction, for the outbox and the exchange's own tables.
    pub(crate) fn tx(&self) -> &'a Tx<'a> {
        self.tx
    }

    /// The phone's wall clock at the beginning of this transaction.
    pub(crate) fn now(&self) -> UnixMillis {
        self.now
    }

    /// Takes in the station's verdict on an own entry. Again is no harm.
    pub(crate) fn settle_own(&mut self, entry: &Hash, leaf: u64, position: u32, verdict: &Verdict) -> Result<(), StoreError> {
        match verdict {
            Verdict::Accepted => {
                self.settle_known(entry, (leaf, position), false)?;
            }
            // It stands where it stood first, else an act would move behind later ones.
            Verdict::Duplicate if rows::has_place(self.tx, entry)? => {}
            Verdict::Duplicate => {
                self.settle_known(entry, (leaf, position), false)?;
            }
            Verdict::Offered => {
                self.settle_known(entry, (leaf, position), true)?;
            }
            Verdict::Refused { code, text, state_met } => {
                let said = state_met
                    .as_ref()
                    .map_or_else(|| text.clone(), |state| format!("{text} ({state})"));
                self.park(entry, code, &said)?;
            }
            // It waits for what it needs, or for a verdict that this version understands.
            Verdict::Needs { .. } | Verdict::Other(_) => {}
        }
        Ok(())
    }

    /// The file belongs to this user and writes in this book from now on.
    pub(crate) fn enrol(&mut self, me: &Identity, name: &str, roles: &[String]) -> Result<(), StoreError> {
        self.pen.is_outdated = true;
        identity::set_identity(self.tx, me, name, roles)
    }

    /// Whose file it is, and the kinds as they are now.
    pub(crate) fn office(&self) -> Office {
        self.pen.office.clone()
    }

    /// Whether the record has an opening that counts.
    pub(crate) fn is_open(&self, record: RecordId) -> Result<bool, StoreError> {
        Ok(self
            .tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM change WHERE record = ?1 AND opens IS NOT NULL AND status IN (0, 1))")?
            .query_row([record.as_bytes()], |row| row.get(0))?)
    }

    /// Marks a parked entry as dealt with; tells whether there was one.
    pub(crate) fn answer(&mut self, entry: &Hash) -> Result<bool, StoreError> {
        let mut found = destroyed::settle_stranded(self.tx, entry)?;
        for sql in [
            "UPDATE change SET status = 5 WHERE entry = ?1 AND status = 2 RETURNING record, at",
            "UPDATE act SET status = 5 WHERE entry = ?1 AND status = 2 RETURNING record, at",
        ] {
            for (record, at) in self.returned(sql, (entry.as_bytes(),))? {
                self.touch(record, at);
                found = true;
            }
        }
        Ok(found)
    }

    /// Folds every touched record anew, once, and counts their digests. [`crate::Core`] calls it before it commits.
    pub(crate) fn fold_touched(&mut self) -> Result<(), StoreError> {
        ahead::with_help(self.touched.len(), |bench| self.fold_on(bench))?;
        self.count_moved()
    }

    fn fold_on(&mut self, bench: &Bench) -> Result<(), StoreError> {
        let mut begun = VecDeque::new();
        loop {
            // A few records at a time: a long feed must not fill a phone's memory.
            while begun.len() <= bench.ahead()
                && let Some((record, touch)) = self.touched.pop_first()
            {
                if touch.is_yes_alone && self.recount(record)? {
                    continue;
                }
                match self.begin_fold(record, touch.at, bench)? {
                    Some(one) => begun.push_back(one),
                    None => self.forget(record),
                }
            }
            let Some(next) = begun.pop_front() else { return Ok(()) };
            self.finish_fold(next, bench)?;
        }
    }

    pub(super) fn touch(&mut self, record: RecordId, at: UnixMillis) {
        self.touch_by(record, at, false);
    }

    fn touch_by(&mut self, record: RecordId, at: UnixMillis, is_yes_alone: bool) {
        let touch = self.touched.entry(record).or_insert(Touch { at, is_yes_alone });
        touch.at = touch.at.max(at);
        touch.is_yes_alone &= is_yes_alone;
    }

    /// Takes the document with accepted and pending changes in hand; none when nobody has written in it. Whoever changes it puts it
    /// back into `documents`.
    pub(super) fn take_document(
        &mut self,
        record: RecordId,
        kind: &CheckedKind,
        name: DocumentName,
    ) -> Result<Option<Document>, StoreError> {
        if let Some(document) = self.documents.remove(&(record, name)) {
            return Ok(Some(document));
        }
        let rows = rows::changes(self.tx, record, name)?;
        self.take_read(record, kind, (name, &rows))
    }

    /// The same, where its changes that no snapshot holds were read before.
    pub(super) fn take_read(
        &mut self,
        record: RecordId,
        kind: &CheckedKind,
        (name, rows): (DocumentName, &[ChangeRow]),
    ) -> Result<Option<Document>, StoreError> {
        if let Some(document) = self.documents.remove(&(record, name)) {
            return Ok(Some(document));
        }
        let shape = self.pen.office.shape(kind, name)?;
        papers::load_from(self.tx, &shape, self.pen.actor, record, (rows, papers::SHOWN))
    }

    /// A record's changes that no snapshot holds, by document: read once for all that folding asks of them.
    pub(super) fn changes_of(&self, record: RecordId) -> Result<Changes, StoreError> {
        let of = |name| Ok::<_, StoreError>((name, rows::changes(self.tx, record, name)?.into()));
        Ok([of(DocumentName::Facts)?, of(DocumentName::Private)?])
    }

    /// Puts what arrived for a document before the guard.
    pub(super) fn put_arrived(
        &self,
        record: RecordId,
        kind: &CheckedKind,
        (name, rows): &(DocumentName, Arc<[ChangeRow]>),
    ) -> Result<Option<Case>, StoreError> {
        if !rows.iter().any(|row| row.status == Status::Arrived) {
            return Ok(None);
        }
        Ok(Some(Case {
            shape: self.pen.office.shape(kind, *name)?,
            actor: self.pen.actor,
            snapshot: papers::snapshot(self.tx, record, *name)?,
            rows: Arc::clone(rows),
        }))
    }

    /// Takes in what the guard found of what arrived; tells whether it would not have something.
    pub(super) fn take_outcomes(&self, rows: &[ChangeRow], outcomes: Vec<Outcome>) -> Result<bool, StoreError> {
        let mut has_refused = false;
        let arrived = rows.iter().filter(|row| row.status == Status::Arrived);
        for (row, outcome) in arrived.zip(outcomes) {
            match outcome {
                Outcome::Admitted { hash } | Outcome::Duplicate { hash } => self.admit(row.n, &hash)?,
                Outcome::Needs { .. } => {}
                Outcome::Refused(fault) => {
                    tracing::warn!(entry = %row.entry, code = fault.code(), "an accepted change does not pass the guard");
                    self.stand(row.n, Status::Unreadable, fault.code(), &fault.to_string())?;
                    has_refused = true;
                }
            }
        }
        Ok(has_refused)
    }

    /// Parks what was built on parked changes, acts that pin them included; tells whether anything was.
    pub(super) fn park_descendants(&mut self, record: RecordId, changes: &Changes) -> Result<bool, StoreError> {
        let mut has_parked = false;
        for (name, rows) in changes {
            let mut fallen: Vec<Hash> = rows
                .iter()
                .filter(|row| {
                    matches!(
                        row.status,
                        Status::Parked | Status::Answered | Status::Unreadable | Status::Lost
                    )
                })
                .filter_map(|row| row.hash)
                .collect();
            // A restored station may accept what rests on a change before that change comes again: it goes before the guard with it.
            let comes = rows.iter().filter(|row| row.status == Status::Arrived);
            let mut coming: Vec<Hash> = comes.filter_map(|row| row.hash).collect();
            if fallen.is_empty() && coming.is_empty() {
                continue;
            }
            for row in rows
                .iter()
                .filter(|row| matches!(row.status, Status::Pending | Status::Accepted))
            {
                if row.deps.iter().any(|dep| fallen.contains(dep)) {
                    // A restored station may refuse what others' changes rest on: these wait for it, as if they had just come.
                    let is_own = row.status == Status::Pending;
                    let status = if is_own { Status::Parked } else { Status::Arrived };
                    self.stand(row.n, status, DESCENDANT, "it was built on a change that was refused")?;
                    self.pen.is_spent |= is_own;
                    fallen.extend(row.hash);
                    has_parked = true;
                } else if row.status == Status::Accepted && row.deps.iter().any(|dep| coming.contains(dep)) {
                    self.stand(
                        row.n,
                        Status::Arrived,
                        DESCENDANT,
                        "it was built on a change that has come again",
                    )?;
                    coming.extend(row.hash);
                    has_parked = true;
                }
            }
            if *name == DocumentName::Facts {
                for step in rows::steps(self.tx, record)?.iter().filter(|step| step.waiting) {
                    if step.act.heads.iter().any(|head| fallen.contains(head)) {
                        self.park(&step.entry, DESCENDANT, "it rests on a change that was refused")?;
                    }
                }
            }
        }
        Ok(has_parked)
    }

    /// Marks an entry that is here as accepted; tells whether it is here.
    pub(super) fn settle_known(&mut self, entry: &Hash, (leaf, position): (u64, u32), offered: bool) -> Result<bool, StoreError> {
        let change: Option<(i64, [u8; 16], i64, i64)> = self
            .tx
            .prepare_cached("SELECT n, record, at, status FROM change WHERE entry = ?1")?
            .query_row([entry.as_bytes()], |row| row.try_into())
            .optional()?;
        let (record, at, is_yes_alone) = if let Some((n, record, at, status)) = change {
            self.settle_change(n, (leaf, position))?;
            (RecordId::from_bytes(record), UnixMillis(at), status == Status::Pending.code())
        } else {
            let found = self.returned(
                "UPDATE act SET status = 0, offered = ?4,
                    leaf = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?2, leaf),
                    position = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?3, position), code = NULL, text = NULL
                 WHERE entry = ?1 RETURNING record, at",
                (entry.as_bytes(), leaf.cast_signed(), position, offered),
            )?;
            let Some((record, at)) = found.first() else { return Ok(false) };
            (*record, *at, false)
        };
        self.gave(entry)?;
        self.forget(record);
        self.moved.insert(record);
        self.touch_by(record, at, is_yes_alone);
        Ok(true)
    }

    fn settle_change(&self, n: i64, (leaf, position): (u64, u32)) -> Result<(), StoreError> {
        // What the guard has still to see, or would not have, stays so; a parked change may have been admitted later, and one that was
        // lost is seen by the guard again. Of two places the first counts, else an act would move behind later ones.
        self.tx
            .prepare_cached(
                "UPDATE change SET status = CASE WHEN status IN (3, 4) THEN status WHEN status = 6 THEN 4 ELSE 0 END,
                    leaf = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?2, leaf),
                    position = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?3, position),
                    code = CASE WHEN status IN (3, 4) THEN code END, text = CASE WHEN status IN (3, 4) THEN text END
                 WHERE n = ?1",
            )?
            .execute((n, leaf.cast_signed(), position))?;
        Ok(())
    }

    /// Parks an own entry. What is accepted stays accepted: a station does not take back.
    fn park(&mut self, entry: &Hash, code: &str, text: &str) -> Result<(), StoreError> {
        for sql in [
            "UPDATE change SET status = 2, code = ?2, text = ?3 WHERE entry = ?1 AND status IN (1, 2) RETURNING record, at",
            "UPDATE act SET status = 2, code = ?2, text = ?3 WHERE entry = ?1 AND status IN (1, 2) RETURNING record, at",
        ] {
            for (record, at) in self.returned(sql, (entry.as_bytes(), code, text))? {
                // Numbers of a refused change must not be given to another: the next edit is under a new author mark.
                self.pen.is_spent = true;
                self.forget(record);
                self.touch(record, at);
            }
        }
        Ok(())
    }

    /// Runs an update that returns records and times.
    pub(super) fn returned(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<(RecordId, UnixMillis)>, StoreError> {
        let mut statement = self.tx.prepare_cached(sql)?;
        let rows = statement.query_map(values, |row| Ok((RecordId::from_bytes(row.get(0)?), UnixMillis(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn admit(&self, n: i64, hash: &Hash) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("UPDATE change SET status = 0, change_hash = ?2, code = NULL, text = NULL WHERE n = ?1")?
            .execute((n, hash.as_bytes()))?;
        Ok(())
    }

    fn stand(&self, n: i64, status: Status, code: &str, text: &str) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("UPDATE change SET status = ?2, code = ?3, text = ?4 WHERE n = ?1")?
            .execute((n, status.code(), code, text))?;
        Ok(())
    }
}
