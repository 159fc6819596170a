//! Records that leave the scope, and records that come whole. What left goes from this phone as soon as nothing of its officer's own
//! hangs on it; own pages stay in the outbox as long as any other. Knows no units: the station says what left.

use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::give::TAKEN;
use super::records::Records;
use super::{StoreError, Tx, blobs, give, outbox, patrols, rows};
use crate::error::{CoreError, Fault};

/// What became of a record that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It was not here.
    Unknown,
    /// It is here no longer.
    Dropped,
    /// Own work hangs on it: it stays until that is done.
    Kept,
}

/// Records that left, and on which own work hangs.
pub(crate) fn leaving(tx: &Tx<'_>) -> Result<Vec<RecordId>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT record FROM record WHERE leaving > 0 ORDER BY record")?;
    let rows = rows.query_map([], |row| Ok(RecordId::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a record has left.
pub(crate) fn is_leaving(tx: &Tx<'_>, record: RecordId) -> Result<bool, StoreError> {
    let leaving: Option<bool> = tx
        .prepare_cached("SELECT leaving FROM record WHERE record = ?1")?
        .query_row([record.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(leaving.unwrap_or(false))
}

/// Own work on a record: waiting or parked entries, drafts, a patrol that is going on.
fn has_own_work(tx: &Tx<'_>, record: RecordId) -> Result<bool, StoreError> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM change WHERE record = ?1 AND status IN (1, 2))
                 OR EXISTS (SELECT 1 FROM act WHERE record = ?1 AND status IN (1, 2))
                 OR EXISTS (SELECT 1 FROM draft WHERE record = ?1) OR EXISTS (SELECT 1 FROM patrol WHERE record = ?1)",
        )?
        .query_row([record.as_bytes()], |row| row.get(0))?)
}

/// Records of which no change has a place on the station's ledger, though something of them was accepted once, and is not being given
/// back: once both ends agree, the station has nothing of them for this phone.
pub(crate) fn placeless(tx: &Tx<'_>) -> Result<Vec<RecordId>, StoreError> {
    let mut rows = tx.prepare_cached(&format!(
        "SELECT record FROM record r WHERE digest IS NULL AND leaving = 0 AND (
           EXISTS (SELECT 1 FROM change c WHERE c.record = r.record AND c.status IN (0, 3, 4) AND c.leaf IS NULL
             AND c.entry NOT IN (SELECT entry FROM give WHERE held_until < {TAKEN}))
           OR EXISTS (SELECT 1 FROM act a WHERE a.record = r.record AND a.status IN (0, 3, 4) AND a.leaf IS NULL
             AND a.entry NOT IN (SELECT entry FROM give WHERE held_until < {TAKEN})))
         ORDER BY record",
    ))?;
    let rows = rows.query_map([], |row| Ok(RecordId::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Records<'_> {
    /// Whether anything new may be written on a record: not when its opening was refused, and not when it has left.
    pub(super) fn may_build_on(&self, record: RecordId) -> Result<(), Fault> {
        if rows::is_opening_refused(self.tx, record)? {
            return Err(CoreError::OpeningRefused(record).into());
        }
        // A patrol that is going on is written to its end, whatever the station will say of it.
        let has_left = is_leaving(self.tx, record)?;
        if has_left && patrols::active(self.tx)?.is_none_or(|patrol| patrol.record != record) {
            return Err(CoreError::LeftScope(record).into());
        }
        Ok(())
    }

    /// A record left the scope.
    pub(crate) fn leave(&mut self, record: RecordId) -> Result<Left, StoreError> {
        let is_here: bool = self
            .tx
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM change WHERE record = ?1) OR EXISTS (SELECT 1 FROM act WHERE record = ?1)",
            )?
            .query_row([record.as_bytes()], |row| row.get(0))?;
        if !is_here {
            return Ok(Left::Unknown);
        }
        if !has_own_work(self.tx, record)? {
            self.drop_record(record)?;
            return Ok(Left::Dropped);
        }
        self.tx
            .prepare_cached("UPDATE record SET leaving = 1 WHERE record = ?1")?
            .execute([record.as_bytes()])?;
        self.moved.insert(record);
        Ok(Left::Kept)
    }

    /// Drops what left and has no own work on it any more.
    pub(crate) fn drop_left(&mut self) -> Result<Vec<RecordId>, StoreError> {
        let mut gone = Vec::new();
        for record in leaving(self.tx)? {
            if !has_own_work(self.tx, record)? {
                self.drop_record(record)?;
                gone.push(record);
            }
        }
        Ok(gone)
    }

    /// All entries of a record come now: what was accepted before has no place until it comes. Tells whether it had left.
    pub(crate) fn begin_whole(&mut self, record: RecordId) -> Result<bool, StoreError> {
        for table in ["change", "act"] {
            let sql = format!(
                "UPDATE {table} SET leaf = NULL, position = NULL
                 WHERE record = ?1 AND status IN (0, 3, 4) AND leaf IS NOT NULL RETURNING record, at"
            );
            for (record, at) in self.returned(&sql, [record.as_bytes()])? {
                self.moved.insert(record);
                self.touch(record, at);
            }
        }
        let had_left = is_leaving(self.tx, record)?;
        if had_left {
            self.tx
                .prepare_cached("UPDATE record SET leaving = 0 WHERE record = ?1")?
                .execute([record.as_bytes()])?;
            self.moved.insert(record);
        }
        Ok(had_left)
    }

    /// All entries of a record have come. What was accepted here and is not among them the station does not have: own entries wait
    /// again, others' are set aside, unless they are being given back. Of a record that had left, the rest of `private` is what this
    /// phone may no longer read.
    pub(crate) fn end_whole(&mut self, record: RecordId, had_left: bool) -> Result<(), StoreError> {
        let mut rest = self.tx.prepare_cached(&format!(
            "SELECT entry, document = 1, at FROM change WHERE record = ?1 AND status IN (0, 3, 4) AND leaf IS NULL
               AND entry NOT IN (SELECT entry FROM give WHERE held_until < {TAKEN})
             UNION ALL SELECT entry, 0, at FROM act WHERE record = ?1 AND status = 0 AND leaf IS NULL
               AND entry NOT IN (SELECT entry FROM give WHERE held_until < {TAKEN})",
        ))?;
        let rest: Vec<(Hash, bool, i64)> = rest
            .query_map([record.as_bytes()], |row| {
                Ok((Hash::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        if rest.is_empty() {
            return Ok(());
        }
        self.unfold(record)?;
        for (entry, is_private, at) in rest {
            self.moved.insert(record);
            self.touch(record, UnixMillis(at));
            if is_private && had_left {
                self.tx
                    .prepare_cached("DELETE FROM change WHERE entry = ?1")?
                    .execute([entry.as_bytes()])?;
            } else if !self.wait_again(&entry)? {
                self.set_lost(&entry, "lost", "the station does not have it")?;
            }
        }
        Ok(())
    }

    /// Makes the snapshots of a record changes again: what is in a snapshot cannot be taken out of it.
    pub(super) fn unfold(&mut self, record: RecordId) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("DELETE FROM snapshot WHERE record = ?1")?
            .execute([record.as_bytes()])?;
        self.tx
            .prepare_cached("UPDATE change SET folded = 0 WHERE record = ?1 AND folded = 1")?
            .execute([record.as_bytes()])?;
        self.forget(record);
        Ok(())
    }

    /// Takes a record without an opening that counts out of the lists; its entries stay.
    pub(super) fn hide(&mut self, record: RecordId) -> Result<(), StoreError> {
        self.uncount(record)?;
        self.tx
            .prepare_cached(
                "DELETE FROM search WHERE rowid = (SELECT n FROM record WHERE record = ?1 AND words_hash IS NOT NULL)",
            )?
            .execute([record.as_bytes()])?;
        self.tx
            .prepare_cached("DELETE FROM record WHERE record = ?1")?
            .execute([record.as_bytes()])?;
        Ok(())
    }

    /// Puts an entry of this phone's own book back on its way, into the outbox once more if it has left it; tells whether it is one.
    pub(super) fn wait_again(&mut self, entry: &Hash) -> Result<bool, StoreError> {
        let held: Option<i64> = self
            .tx
            .prepare_cached("SELECT n FROM outbox WHERE entry = ?1")?
            .query_row([entry.as_bytes()], |row| row.get(0))
            .optional()?;
        if let Some(n) = held {
            self.tx
                .prepare_cached(
                    "INSERT INTO queue (n, tries, held_until) SELECT ?1, 0, 0
                     WHERE NOT EXISTS (SELECT 1 FROM page_entry e JOIN page p ON p.life = e.life AND p.sequence = e.sequence
                                       WHERE e.n = ?1 AND p.state = 'sealed')
                     ON CONFLICT DO NOTHING",
                )?
                .execute([n])?;
        } else {
            let own = self.pen.office.me.as_ref().map(|me| me.book);
            let Some(given) = give::given(self.tx, entry)?.filter(|given| Some(given.book) == own) else {
                return Ok(false);
            };
            let record = Entry::parse(&given.entry)?.record();
            outbox::put(self.tx, entry, record, &given.entry)?;
        }
        for table in ["change", "act"] {
            let sql =
                format!("UPDATE {table} SET status = 1, leaf = NULL, position = NULL WHERE entry = ?1 RETURNING record, at");
            for (record, at) in self.returned(&sql, [entry.as_bytes()])? {
                self.unfold(record)?;
                self.moved.insert(record);
                self.touch(record, at);
            }
        }
        Ok(true)
    }

    pub(super) fn drop_record(&mut self, record: RecordId) -> Result<(), StoreError> {
        self.hide(record)?;
        blobs::leave(self.tx, record)?;
        for sql in [
            "DELETE FROM give WHERE entry IN (SELECT entry FROM change WHERE record = ?1 UNION ALL SELECT entry FROM act WHERE record = ?1)",
            "DELETE FROM change WHERE record = ?1",
            "DELETE FROM act WHERE record = ?1",
            "DELETE FROM snapshot WHERE record = ?1",
            "DELETE FROM wanted WHERE record = ?1",
            "DELETE FROM granted WHERE record = ?1",
        ] {
            self.tx.prepare_cached(sql)?.execute([record.as_bytes()])?;
        }
        self.forget(record);
        self.touched.remove(&record);
        Ok(())
    }

    /// Lets go of a record's documents in hand.
    pub(super) fn forget(&mut self, record: RecordId) {
        for name in [DocumentName::Facts, DocumentName::Private] {
            self.documents.remove(&(record, name));
        }
    }
}
