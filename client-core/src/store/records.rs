//! Records within one transaction: own entries get their verdict, what came is judged by the guard, and what was touched is folded anew,
//! once. Knows nothing of pages, networks and screens.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::document::Document;
use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::{CheckedKind, DocumentName};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::destroyed::{self, Destruction};
use super::identity::Identity;
use super::rows::{self, ChangeRow, Status};
use super::{StoreError, Tx, identity};
use crate::office::{Office, Pen};

/// The code of what was parked because it was built on something refused.
pub(crate) const DESCENDANT: &str = "descendant";

/// The records of one transaction.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    pub(super) tx: &'a Tx<'a>,
    pub(super) pen: &'a mut Pen,
    pub(super) now: UnixMillis,
    /// Records to fold anew, with the time of what touched them.
    pub(super) touched: BTreeMap<RecordId, UnixMillis>,
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
        while let Some((record, at)) = self.touched.pop_first() {
            self.refold(record, at)?;
            // One record's documents at a time: a long feed must not fill a phone's memory.
            self.forget(record);
        }
        self.count_moved()
    }

    pub(super) fn touch(&mut self, record: RecordId, at: UnixMillis) {
        let latest = self.touched.entry(record).or_insert(at);
        *latest = (*latest).max(at);
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
        let shape = self.pen.office.shape(kind, name)?;
        super::papers::load(self.tx, &shape, self.pen.actor, record, super::papers::SHOWN)
    }

    /// Judges what arrived for a record by the guard, once for each document.
    pub(super) fn guard_arrived(&mut self, record: RecordId, kind: &CheckedKind) -> Result<(), StoreError> {
        for name in [DocumentName::Facts, DocumentName::Private] {
            let rows = rows::changes(self.tx, record, name)?;
            let arrived: Vec<&ChangeRow> = rows.iter().filter(|row| row.status == Status::Arrived).collect();
            if arrived.is_empty() {
                continue;
            }
            let shape = self.pen.office.shape(kind, name)?;
            let document = self
                .take_document(record, kind, name)?
                .unwrap_or_else(|| Document::begin(&shape, self.pen.actor));
            let incoming: Vec<Incoming<'_>> = arrived
                .iter()
                .map(|row| Incoming {
                    bytes: &row.bytes,
                    settles: row.settles,
                    actors: None,
                })
                .collect();
            let report = guard::check(&document, &incoming, Unknown::Keep);
            for (row, outcome) in arrived.iter().zip(report.outcomes) {
                match outcome {
                    Outcome::Admitted { hash } | Outcome::Duplicate { hash } => self.admit(row.n, &hash)?,
                    Outcome::Needs { .. } => {}
                    Outcome::Refused(fault) => {
                        tracing::warn!(entry = %row.entry, code = fault.code(), "an accepted change does not pass the guard");
                        self.stand(row.n, Status::Unreadable, fault.code(), &fault.to_string())?;
                    }
                }
            }
            self.documents.insert((record, name), report.document);
        }
        Ok(())
    }

    /// Parks what was built on parked changes, acts that pin them included.
    pub(super) fn park_descendants(&mut self, record: RecordId) -> Result<(), StoreError> {
        for name in [DocumentName::Facts, DocumentName::Private] {
            let rows = rows::changes(self.tx, record, name)?;
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
            if fallen.is_empty() {
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
                }
            }
            if name == DocumentName::Facts {
                for step in rows::steps(self.tx, record)?.iter().filter(|step| step.waiting) {
                    if step.act.heads.iter().any(|head| fallen.contains(head)) {
                        self.park(&step.entry, DESCENDANT, "it rests on a change that was refused")?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Marks an entry that is here as accepted; tells whether it is here.
    pub(super) fn settle_known(&mut self, entry: &Hash, (leaf, position): (u64, u32), offered: bool) -> Result<bool, StoreError> {
        // What the guard has still to see, or would not have, stays so; a parked change may have been admitted later, and one that was
        // lost is seen by the guard again. Of two places the first counts, else an act would move behind later ones.
        let place = (entry.as_bytes(), leaf.cast_signed(), position);
        let mut found = self.returned(
            "UPDATE change SET status = CASE WHEN status IN (3, 4) THEN status WHEN status = 6 THEN 4 ELSE 0 END,
                    leaf = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?2, leaf),
                    position = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?3, position),
                    code = CASE WHEN status = 3 THEN code END, text = CASE WHEN status = 3 THEN text END
             WHERE entry = ?1 RETURNING record, at",
            place,
        )?;
        if found.is_empty() {
            found = self.returned(
                "UPDATE act SET status = 0, offered = ?4,
                    leaf = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?2, leaf),
                    position = iif(leaf IS NULL OR (?2, ?3) < (leaf, position), ?3, position), code = NULL, text = NULL
                 WHERE entry = ?1 RETURNING record, at",
                (place.0, place.1, place.2, offered),
            )?;
        }
        if !found.is_empty() {
            self.gave(entry)?;
        }
        for (record, at) in &found {
            self.forget(*record);
            self.moved.insert(*record);
            self.touch(*record, *at);
        }
        Ok(!found.is_empty())
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
