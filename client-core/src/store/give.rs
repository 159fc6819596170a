//! What a restored station lost and this phone did not write into a page that it still has: given back entry by entry, in the order of
//! the ledger that was lost. Until an entry has its place again it is shown, and counts in no digest.

use beatbook_protocol::codec;
use beatbook_protocol::entry::{ChangeEntry, Entry, Opens, identity};
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::limits::GIVEN_MAX;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{GivenEntry, Verdict};
use rusqlite::OptionalExtension;

use super::outbox::held_for;
use super::records::Records;
use super::{StoreError, Tx};

/// Until when an entry is held that the station has taken in: for good. It stays noted until it comes by the feed, since the station may be restored
/// once more before that, and has lost it again then.
pub(super) const TAKEN: i64 = i64::MAX;

/// Which entries are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Of records on which own entries wait: the station has to have them first, else it would know no such record.
    UnderOwn,
    /// All.
    All,
}

/// Entries to give back now, as much as a request takes.
pub(crate) fn batch(tx: &Tx<'_>, which: Which, bytes_max: usize, now: UnixMillis) -> Result<Vec<(Hash, GivenEntry)>, StoreError> {
    let under_own = match which {
        Which::UnderOwn => {
            "AND EXISTS (SELECT 1 FROM (SELECT entry, record FROM change UNION ALL SELECT entry, record FROM act) AS e
                         WHERE e.entry = give.entry AND (EXISTS (SELECT 1 FROM change AS c WHERE c.record = e.record AND c.status = 1)
                                                      OR EXISTS (SELECT 1 FROM act AS a WHERE a.record = e.record AND a.status = 1)))"
        }
        Which::All => "",
    };
    let mut next = tx.prepare_cached(&format!(
        "SELECT entry FROM give WHERE held_until <= ?1 {under_own} ORDER BY leaf, position, entry LIMIT ?2"
    ))?;
    let max = i64::try_from(GIVEN_MAX).unwrap_or(i64::MAX);
    let mut next = next.query((now.0, max))?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(row) = next.next()? {
        let entry = Hash::from_bytes(row.get(0)?);
        let Some(found) = given(tx, &entry)? else { continue };
        bytes += found.entry.len();
        if bytes > bytes_max && !batch.is_empty() {
            break;
        }
        batch.push((entry, found));
    }
    Ok(batch)
}

/// How many entries are to be given back, and how many of them now.
pub(crate) fn waiting(tx: &Tx<'_>, now: UnixMillis) -> Result<(u64, u64), StoreError> {
    let counts: (i64, i64) = tx
        .prepare_cached("SELECT count(*), count(*) FILTER (WHERE held_until <= ?1) FROM give WHERE held_until < ?2")?
        .query_row([now.0, TAKEN], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((counts.0.cast_unsigned(), counts.1.cast_unsigned()))
}

/// Lets held entries try again: something new came from the station.
pub(crate) fn release(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE give SET held_until = 0 WHERE held_until BETWEEN 1 AND ?1")?
        .execute([TAKEN - 1])?;
    Ok(())
}

/// The restore is over: what the station has taken in and does not send is none of this phone's any more.
pub(crate) fn end(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM give WHERE held_until = ?1")?
        .execute([TAKEN])?;
    set_witness(tx, None)
}

/// The newest checkpoint of the life of the ledger that was lost.
pub(crate) fn witness(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let note: Option<Option<String>> = tx
        .prepare_cached("SELECT witness FROM exchange")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(note.flatten())
}

/// Keeps it.
pub(crate) fn set_witness(tx: &Tx<'_>, note: Option<&str>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE exchange SET witness = ?1 WHERE witness IS NOT ?1")?
        .execute([note])?;
    Ok(())
}

impl Records<'_> {
    /// The ledger has lost all from `size` on. What is left there after own pages were taken care of is to be given back.
    pub(super) fn lose_from(&mut self, size: u64) -> Result<(), StoreError> {
        let size = size.cast_signed();
        // It was taken in by a life of the ledger that is over as well.
        self.tx
            .prepare_cached("UPDATE give SET held_until = 0, tries = 0 WHERE held_until = ?1")?
            .execute([TAKEN])?;
        for table in ["change", "act"] {
            let sql = format!(
                "SELECT entry, leaf, position FROM {table} WHERE status IN (0, 3, 4) AND leaf >= ?1 ORDER BY leaf, position"
            );
            let lost: Vec<(Hash, i64, i64)> = self
                .tx
                .prepare_cached(&sql)?
                .query_map([size], |row| Ok((Hash::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let mut note = self
                .tx
                .prepare_cached("INSERT INTO give (entry, leaf, position) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
            for (entry, leaf, position) in lost {
                // Own ones of a page that is not here any more: the station takes them from this book in pages alone.
                if self.wait_again(&entry)? {
                    continue;
                }
                if given(self.tx, &entry)?.is_some() {
                    note.execute((entry.as_bytes(), leaf, position))?;
                } else {
                    tracing::warn!(%entry, "an entry cannot be given back: its bytes are not here any more");
                }
            }
            let sql = format!(
                "UPDATE {table} SET leaf = NULL, position = NULL WHERE status IN (0, 3, 4) AND leaf >= ?1 RETURNING record, at"
            );
            // What is shown of them stays as it is: when nothing can be shown to be shared, this is all that the phone holds.
            for (record, _) in self.returned(&sql, [size])? {
                self.moved.insert(record);
            }
        }
        for table in ["person", "unit"] {
            self.tx
                .execute(&format!("UPDATE {table} SET leaf = min(leaf, ?1)"), [size - 1])?;
        }
        Ok(())
    }

    /// The file has another station from now on: nothing of what is here has a place on its ledger.
    pub(crate) fn unplace_all(&mut self) -> Result<(), StoreError> {
        for table in ["change", "act"] {
            let sql = format!(
                "UPDATE {table} SET leaf = NULL, position = NULL WHERE status IN (0, 3, 4) AND leaf IS NOT NULL RETURNING record, at"
            );
            for (record, _) in self.returned(&sql, [])? {
                self.moved.insert(record);
            }
        }
        self.tx
            .execute_batch("DELETE FROM give; DELETE FROM wanted; UPDATE person SET leaf = -1; UPDATE unit SET leaf = -1;")?;
        Ok(())
    }

    /// Takes in the station's verdict on what was given back. What it took in comes by the feed; what it would not have is kept, and
    /// shown no longer: told with its record, and with the code and the text why.
    pub(crate) fn settle_given(
        &mut self,
        entry: &Hash,
        verdict: &Verdict,
        now: UnixMillis,
    ) -> Result<Option<(RecordId, String, String)>, StoreError> {
        match verdict {
            Verdict::Accepted | Verdict::Duplicate | Verdict::Offered => {
                self.tx
                    .prepare_cached("UPDATE give SET held_until = ?2 WHERE entry = ?1")?
                    .execute((entry.as_bytes(), TAKEN))?;
            }
            Verdict::Refused { code, text, .. } => return self.not_taken(entry, code, text),
            // It saw a change that the station would not have back: no waiting helps.
            Verdict::Needs { changes } if self.will_not_have(entry, changes)? => {
                return self.not_taken(entry, "lost", "it is built on what the station would not have back");
            }
            Verdict::Needs { .. } | Verdict::Other(_) => {
                let tries: Option<u32> = self
                    .tx
                    .prepare_cached("UPDATE give SET tries = tries + 1 WHERE entry = ?1 RETURNING tries")?
                    .query_row([entry.as_bytes()], |row| row.get(0))
                    .optional()?;
                self.tx
                    .prepare_cached("UPDATE give SET held_until = ?2 WHERE entry = ?1")?
                    .execute((entry.as_bytes(), now.plus(held_for(tries.unwrap_or(1))).0))?;
            }
        }
        Ok(None)
    }

    fn not_taken(&mut self, entry: &Hash, code: &str, text: &str) -> Result<Option<(RecordId, String, String)>, StoreError> {
        self.gave(entry)?;
        let record = self.set_lost(entry, code, text)?;
        Ok(record.map(|record| (record, code.to_owned(), text.to_owned())))
    }

    /// Whether one of these changes of the entry's record was refused, or is lost.
    fn will_not_have(&self, entry: &Hash, changes: &[Hash]) -> Result<bool, StoreError> {
        let Some(record) = record_of(self.tx, entry)? else {
            return Ok(false);
        };
        let mut set_aside = self.tx.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM change WHERE record = ?1 AND change_hash = ?2 AND status IN (2, 5, 6))",
        )?;
        for change in changes {
            if set_aside.query_row((record.as_bytes(), change.as_bytes()), |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It has its place again, or gets none.
    pub(super) fn gave(&self, entry: &Hash) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("DELETE FROM give WHERE entry = ?1")?
            .execute([entry.as_bytes()])?;
        Ok(())
    }

    /// Sets an accepted entry aside that the station does not have: kept, not shown.
    pub(super) fn set_lost(&mut self, entry: &Hash, code: &str, text: &str) -> Result<Option<RecordId>, StoreError> {
        let mut of = None;
        for table in ["change", "act"] {
            let sql = format!(
                "UPDATE {table} SET status = 6, code = ?2, text = ?3 WHERE entry = ?1 AND status IN (0, 3, 4) AND leaf IS NULL
                 RETURNING record, at"
            );
            for (record, at) in self.returned(&sql, (entry.as_bytes(), code, text))? {
                self.unfold(record)?;
                self.moved.insert(record);
                self.touch(record, at);
                of = Some(record);
            }
        }
        Ok(of)
    }
}

/// The record of an entry that is here.
pub(crate) fn record_of(tx: &Tx<'_>, entry: &Hash) -> Result<Option<RecordId>, StoreError> {
    Ok(tx
        .prepare_cached("SELECT record FROM change WHERE entry = ?1 UNION ALL SELECT record FROM act WHERE entry = ?1 LIMIT 1")?
        .query_row([entry.as_bytes()], |row| Ok(RecordId::from_bytes(row.get(0)?)))
        .optional()?)
}

/// The bytes of a change's entry, out of what its row says.
pub(super) fn made_again(
    record: RecordId,
    document: DocumentName,
    change: Vec<u8>,
    at: UnixMillis,
    settles: bool,
    opens: Option<Opens>,
) -> Vec<u8> {
    Entry::Change(ChangeEntry {
        record,
        document: document.into(),
        change,
        at,
        settles: settles.then_some(true),
        opens,
        on_behalf: None,
    })
    .to_bytes()
}

/// An entry as it is given back; none when its bytes are not here.
pub(super) fn given(tx: &Tx<'_>, entry: &Hash) -> Result<Option<GivenEntry>, StoreError> {
    let of_act = tx
        .prepare_cached("SELECT book, coalesce(received, at), bytes FROM act WHERE entry = ?1")?
        .query_row([entry.as_bytes()], |row| {
            Ok(GivenEntry {
                book: BookId::from_bytes(row.get(0)?),
                received: UnixMillis(row.get(1)?),
                entry: row.get::<_, Vec<u8>>(2)?.into(),
            })
        })
        .optional()?;
    if of_act.is_some() {
        return Ok(of_act);
    }
    let row = tx
        .prepare_cached(
            "SELECT book, coalesce(received, at), whole, record, document, bytes, at, settles, opens FROM change WHERE entry = ?1",
        )?
        .query_row([entry.as_bytes()], |row| {
            let document = match row.get::<_, u8>(4)? {
                0 => Some(DocumentName::Facts),
                1 => Some(DocumentName::Private),
                _ => None,
            };
            let given = GivenEntry {
                book: BookId::from_bytes(row.get(0)?),
                received: UnixMillis(row.get(1)?),
                entry: row.get::<_, Option<Vec<u8>>>(2)?.unwrap_or_default().into(),
            };
            let record = RecordId::from_bytes(row.get(3)?);
            let (change, at, settles) = (row.get::<_, Vec<u8>>(5)?, UnixMillis(row.get(6)?), row.get::<_, bool>(7)?);
            Ok((given, (record, document, change, at, settles), row.get::<_, Option<Vec<u8>>>(8)?))
        })
        .optional()?;
    let Some((mut given, (record, document, change, at, settles), opens)) = row else {
        return Ok(None);
    };
    if given.entry.is_empty() {
        let Some(document) = document else { return Ok(None) };
        let opens = opens.map(|opens| codec::from_bytes("opening", &opens)).transpose()?;
        given.entry = made_again(record, document, change, at, settles, opens).into();
    }
    Ok((identity(&given.entry) == *entry).then_some(given))
}
