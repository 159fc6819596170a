//! What the station destroyed goes from this phone too: rows, drafts' ties, words, files and their keys, and what the outbox kept of it.
//! Nothing is destroyed by a phone alone. Own work that the station had not taken in is kept in words, until its author has dealt with it.
//!
//! A page that waits for its answer is sent as it was signed, and what the station refuses of it goes then. A page that was answered stays
//! with its numbers and without those bytes; were the station restored to before it, the rest of it goes into a new page.

use std::collections::BTreeMap;

use beatbook_protocol::document::{Edit, FieldPath, ItemEdit, REMOVED, Said};
use beatbook_protocol::entry::Entry;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{Hash, ItemId, RecordId};
use beatbook_protocol::kind::{CheckedKind, DocumentName};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::records::Records;
use super::rows::code_of;
use super::{StoreError, Tx, blobs, drafts, patrols, returns, views};
use crate::query::{RefusedEntry, RefusedWhat};
use crate::record;

/// The station's codes for what comes of a record that it destroyed.
pub(crate) const DESTROYED: &str = "destroyed";
/// Likewise of a private document.
pub(crate) const PRIVATE_DESTROYED: &str = "private_destroyed";

/// What was destroyed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Destruction {
    /// The record.
    pub(crate) record: RecordId,
    /// Whether its private document alone.
    pub(crate) private_only: bool,
    /// Own entries on it that the station had not taken in.
    pub(crate) stranded: u64,
}

/// What stranded work said, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Values(Vec<(FieldPath, Said)>),
    Act { code: String, comment: Option<String> },
}

impl Records<'_> {
    /// The station destroyed a record, or its private document. Again is no harm.
    pub(crate) fn destroy(&mut self, record: RecordId, private_only: bool) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("INSERT INTO destroyed (record, document, at, done) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING")?
            .execute((record.as_bytes(), private_only, self.now.0))?;
        self.destroy_due()
    }

    /// Carries out what is still to be destroyed, unless a patrol on it is going on: that is written to its end.
    pub(crate) fn destroy_due(&mut self) -> Result<(), StoreError> {
        let mut due = self
            .tx
            .prepare_cached("SELECT record, document FROM destroyed WHERE done = 0 ORDER BY record, document")?;
        let due: Vec<(RecordId, bool)> = due
            .query_map([], |row| Ok((RecordId::from_bytes(row.get(0)?), row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let patrol = patrols::active(self.tx)?.map(|patrol| patrol.record);
        for (record, private_only) in due.into_iter().filter(|(record, _)| patrol != Some(*record)) {
            let stranded = self.strand(record, private_only)?;
            if private_only {
                self.drop_private(record)?;
            } else {
                self.tx
                    .prepare_cached(
                        "UPDATE draft SET record = NULL, based_on = NULL, based_heads = NULL, based_private = NULL, answers = NULL
                         WHERE record = ?1",
                    )?
                    .execute([record.as_bytes()])?;
                blobs::give_up(self.tx, record)?;
                self.drop_record(record)?;
            }
            self.tx
                .prepare_cached("UPDATE destroyed SET done = 1 WHERE record = ?1 AND document = ?2")?
                .execute((record.as_bytes(), private_only))?;
            self.destroyed.push(Destruction {
                record,
                private_only,
                stranded,
            });
        }
        blank(self.tx)
    }

    /// What was destroyed since this transaction began.
    pub(crate) fn take_destroyed(&mut self) -> Vec<Destruction> {
        std::mem::take(&mut self.destroyed)
    }

    /// Keeps in words what own entries say that wait or came back; how many.
    fn strand(&mut self, record: RecordId, private_only: bool) -> Result<u64, StoreError> {
        let Some(kind) = views::kind_of(self.tx, &self.pen.office, record)? else {
            return Ok(0);
        };
        let (code, text) = if private_only {
            (
                PRIVATE_DESTROYED,
                "the record's private document was destroyed before this reached the station",
            )
        } else {
            (DESTROYED, "the record was destroyed before this reached the station")
        };
        let mut count = 0;
        if private_only {
            count += self.strand_drafts(record, &kind)?;
        }
        for (entry, at, act) in own_work(self.tx, record, private_only)? {
            let what = match act.map(|bytes| Entry::parse(&bytes)).transpose()? {
                Some(Entry::Act(act)) => Kept::Act {
                    code: act.code,
                    comment: act.comment,
                },
                Some(_) => continue,
                None => Kept::Values(returns::values_of(self.tx, &self.pen.office, &entry)?),
            };
            self.keep_stranded(&entry, record, (&kind.code, code, text), at, &what)?;
            count += 1;
        }
        Ok(count)
    }

    /// Keeps in words what drafts would have written into the private document, and takes it out of them: it could not be written any more, and
    /// may repeat what was destroyed. What they say for the rest of the record stays. How many said anything of it.
    fn strand_drafts(&mut self, record: RecordId, kind: &CheckedKind) -> Result<u64, StoreError> {
        let text = "the record's private document was destroyed while this was being written";
        let mut count = 0;
        for draft in drafts::on(self.tx, record)? {
            let [(_, facts), (_, private)] = record::parts(kind, &draft.edit);
            if record::is_empty(&private) {
                continue;
            }
            let name = Hash::of(&[b"draft", draft.id.as_bytes()]);
            let what = Kept::Values(values_in(&private));
            self.keep_stranded(&name, record, (&kind.code, PRIVATE_DESTROYED, text), draft.saved_at, &what)?;
            if record::is_empty(&facts) {
                drafts::remove(self.tx, draft.id)?;
            } else {
                drafts::leave(self.tx, draft.id, &facts)?;
            }
            count += 1;
        }
        Ok(count)
    }

    fn keep_stranded(
        &self,
        name: &Hash,
        record: RecordId,
        (kind, code, text): (&str, &str, &str),
        at: UnixMillis,
        what: &Kept,
    ) -> Result<(), StoreError> {
        let what = serde_json::to_string(what).map_err(|error| StoreError::Damaged(error.to_string()))?;
        self.tx
            .prepare_cached(
                "INSERT INTO stranded (entry, record, kind, code, text, at, what) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((name.as_bytes(), record.as_bytes(), kind, code, text, at.0, what))?;
        Ok(())
    }

    fn drop_private(&mut self, record: RecordId) -> Result<(), StoreError> {
        let named = blobs::named(self.tx, record)?;
        let private = code_of(DocumentName::Private.into());
        for sql in [
            "DELETE FROM give WHERE entry IN (SELECT entry FROM change WHERE record = ?1 AND document = ?2)",
            "DELETE FROM snapshot WHERE record = ?1 AND document = ?2",
            "DELETE FROM change WHERE record = ?1 AND document = ?2",
        ] {
            self.tx.prepare_cached(sql)?.execute((record.as_bytes(), private))?;
        }
        self.forget(record);
        self.moved.insert(record);
        // The row says its time of change itself: a destruction is none.
        self.refold(record, UnixMillis(0))?;
        blobs::give_up_unnamed(self.tx, record, &named)?;
        blobs::release(self.tx, &named)
    }
}

/// What an edit says, in words.
fn values_in(edit: &Edit) -> Vec<(FieldPath, Said)> {
    let values = |(code, value): (&String, &Value)| (FieldPath::Field(code.clone()), Said::Value(value.clone()));
    let mut said: Vec<_> = edit.fields.iter().map(values).collect();
    for item in &edit.items {
        let at = |field: &str| FieldPath::Item {
            list: item.list.clone(),
            item: item.item,
            field: field.to_owned(),
        };
        said.extend(
            item.fields
                .iter()
                .map(|(field, value)| (at(field), Said::Value(value.clone()))),
        );
        said.extend(item.removed.map(|removed| (at(REMOVED), Said::Value(removed.into()))));
    }
    for (code, text) in &edit.notes {
        let inserted = text.clone();
        said.push((FieldPath::Note(code.clone()), Said::Text { inserted, deleted: 0 }));
    }
    for (file, of) in &edit.files {
        let property = "field".to_owned();
        said.push((
            FieldPath::File { file: *file, property },
            Said::Value(of.field.as_str().into()),
        ));
    }
    said
}

/// An own entry: when it was written, and of an act its bytes.
type OwnWork = (Hash, UnixMillis, Option<Vec<u8>>);

/// Own entries on a record that wait or came back.
fn own_work(tx: &Tx<'_>, record: RecordId, private_only: bool) -> Result<Vec<OwnWork>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT entry, at, NULL, n FROM change WHERE record = ?1 AND status IN (1, 2) AND document >= ?2
         UNION ALL SELECT entry, at, bytes, n FROM act WHERE record = ?1 AND status IN (1, 2) AND ?2 = 0 ORDER BY 2, 4",
    )?;
    let rows = rows.query_map((record.as_bytes(), private_only), |row| {
        Ok((Hash::from_bytes(row.get(0)?), UnixMillis(row.get(1)?), row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes the bytes out of the outbox that belong to what is destroyed, but for pages that still wait for their answer.
fn blank(tx: &Tx<'_>) -> Result<(), StoreError> {
    // Nearly always: without this look, each reply would read through the outbox.
    let is_due: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM destroyed WHERE done = 1)")?
        .query_row([], |row| row.get(0))?;
    if !is_due {
        return Ok(());
    }
    let mut rows = tx.prepare_cached(
        "SELECT o.n, o.bytes, d.document FROM outbox AS o JOIN destroyed AS d ON d.record = o.record
         WHERE d.done = 1 AND length(o.bytes) > 0 AND NOT EXISTS (
           SELECT 1 FROM page_entry AS e JOIN page AS p ON p.life = e.life AND p.sequence = e.sequence
           WHERE e.n = o.n AND p.state = 'sealed')",
    )?;
    let rows: Vec<(i64, Vec<u8>, bool)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (n, bytes, private_only) in rows {
        if private_only && !is_private(&bytes) {
            continue;
        }
        tx.prepare_cached("DELETE FROM queue WHERE n = ?1")?.execute([n])?;
        tx.prepare_cached("UPDATE outbox SET bytes = x'' WHERE n = ?1")?
            .execute([n])?;
        tx.prepare_cached("DELETE FROM outbox WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM page_entry WHERE n = ?1)")?
            .execute([n])?;
    }
    tx.prepare_cached(
        "UPDATE destroyed SET done = 2 WHERE done = 1 AND NOT EXISTS (
           SELECT 1 FROM outbox AS o JOIN page_entry AS e ON e.n = o.n JOIN page AS p ON p.life = e.life AND p.sequence = e.sequence
           WHERE o.record = destroyed.record AND p.state = 'sealed')",
    )?
    .execute([])?;
    Ok(())
}

fn is_private(bytes: &[u8]) -> bool {
    matches!(Entry::parse(bytes), Ok(Entry::Change(change)) if change.document.name() != Some(DocumentName::Facts))
}

/// Stranded work, the oldest first.
pub(crate) fn stranded(tx: &Tx<'_>) -> Result<Vec<RefusedEntry>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT entry, record, code, text, at, what FROM stranded ORDER BY at, entry")?;
    let rows = rows.query_map([], |row| {
        let entry = RefusedEntry {
            entry: Hash::from_bytes(row.get(0)?),
            record: RecordId::from_bytes(row.get(1)?),
            code: row.get(2)?,
            text: row.get(3)?,
            what: RefusedWhat::Values(Vec::new()),
            at: UnixMillis(row.get(4)?),
        };
        Ok((entry, row.get::<_, String>(5)?))
    })?;
    rows.map(|row| {
        let (entry, what) = row?;
        let what = match serde_json::from_str(&what).map_err(|error| StoreError::Damaged(format!("stranded work: {error}")))? {
            Kept::Values(values) => RefusedWhat::Values(values),
            Kept::Act { code, comment } => RefusedWhat::Act { code, comment },
        };
        Ok(RefusedEntry { what, ..entry })
    })
    .collect()
}

/// What stranded values say, as an edit of a new record, with their kind: what was destroyed stays closed. Removals say nothing there, photos
/// went with the record, and of a note stays what its author put in.
pub(crate) fn offer(tx: &Tx<'_>, entry: &Hash) -> Result<Option<(String, Edit)>, StoreError> {
    let row: Option<(String, String)> = tx
        .prepare_cached("SELECT kind, what FROM stranded WHERE entry = ?1")?
        .query_row([entry.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((kind, what)) = row else { return Ok(None) };
    let what = serde_json::from_str(&what).map_err(|error| StoreError::Damaged(format!("stranded work: {error}")))?;
    let Kept::Values(values) = what else { return Ok(None) };
    let mut edit = Edit::new();
    let mut items: BTreeMap<(String, ItemId), BTreeMap<String, Value>> = BTreeMap::new();
    for said in values {
        match said {
            (FieldPath::Field(code), Said::Value(value)) => {
                edit.fields.insert(code, value);
            }
            (FieldPath::Item { list, item, field }, Said::Value(value)) if field != REMOVED => {
                items.entry((list, item)).or_default().insert(field, value);
            }
            (FieldPath::Note(code), Said::Text { inserted, .. }) => {
                edit.notes.insert(code, inserted);
            }
            _ => {}
        }
    }
    edit.items = items
        .into_iter()
        .map(|((list, item), fields)| ItemEdit {
            list,
            item,
            fields,
            removed: None,
        })
        .collect();
    Ok(Some((kind, edit)))
}

/// Its author has dealt with it, and its words go too; tells whether there was such work.
pub(crate) fn settle_stranded(tx: &Tx<'_>, entry: &Hash) -> Result<bool, StoreError> {
    let scrubbed_again =
        "UPDATE destroyed SET done = 2 WHERE done = 3 AND record IN (SELECT record FROM stranded WHERE entry = ?1)";
    tx.execute(scrubbed_again, [entry.as_bytes()])?;
    Ok(tx.execute("DELETE FROM stranded WHERE entry = ?1", [entry.as_bytes()])? > 0)
}

/// Whether the index and the journal may still hold what was destroyed.
pub(crate) fn is_scrub_due(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM destroyed WHERE done = 2)")?
        .query_row([], |row| row.get(0))?)
}
