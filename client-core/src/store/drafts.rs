//! Drafts as rows. Knows no rules: a draft may say anything.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, RecordId, UnitId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{OptionalExtension, Row};

use super::rows::{joined, split};
use super::{StoreError, Tx};
use crate::capture::draft::{Draft, DraftId};
use crate::error::{CoreError, Fault};

/// A draft with the heads that its author had before him.
type Kept = (Draft, Option<SeenHeads>);

/// The heads of a record's documents that somebody had before him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenHeads {
    /// Of `facts`.
    pub(crate) facts: Vec<Hash>,
    /// Of `private`; none in a draft of an app that did not keep them.
    pub(crate) private: Option<Vec<Hash>>,
}

/// Saves a draft. The heads of the version it is based on are kept with it, as long as that version was here once.
pub(crate) fn save(tx: &Tx<'_>, draft: &Draft, now: UnixMillis) -> Result<(), Fault> {
    let heads = match (draft.record, &draft.based_on) {
        (Some(record), Some(version)) => Some(heads_of(tx, draft.id, record, version)?),
        _ => None,
    };
    let edit = serde_json::to_string(&draft.edit).map_err(|error| CoreError::InvalidInput {
        field: "edit".into(),
        why: error.to_string(),
    })?;
    tx.prepare_cached(
        "INSERT INTO draft (draft, record, kind, edit, based_on, based_heads, answers, saved_at, based_private, unit)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (draft) DO UPDATE SET record = excluded.record, kind = excluded.kind, edit = excluded.edit,
           based_on = excluded.based_on, based_heads = excluded.based_heads, answers = excluded.answers,
           saved_at = excluded.saved_at, based_private = excluded.based_private, unit = excluded.unit",
    )?
    .execute((
        draft.id.as_bytes(),
        draft.record.as_ref().map(RecordId::as_bytes),
        &draft.kind,
        edit,
        &draft.based_on,
        heads.as_ref().map(|heads| joined(&heads.facts)),
        draft.answers.as_ref().map(Hash::as_bytes),
        now.0,
        heads.as_ref().and_then(|heads| heads.private.as_deref()).map(joined),
        draft.unit.as_ref().map(UnitId::as_bytes),
    ))?;
    Ok(())
}

/// All drafts, the latest first.
pub(crate) fn all(tx: &Tx<'_>) -> Result<Vec<Draft>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT draft, record, kind, edit, based_on, based_heads, answers, saved_at, based_private, unit FROM draft
         ORDER BY saved_at DESC, draft DESC",
    )?;
    let rows = rows.query_map([], |row| Ok(read(row)))?;
    rows.map(|row| row?.map(|(draft, _)| draft)).collect()
}

/// One draft.
pub(crate) fn get(tx: &Tx<'_>, id: DraftId) -> Result<Option<Kept>, StoreError> {
    tx.prepare_cached(
        "SELECT draft, record, kind, edit, based_on, based_heads, answers, saved_at, based_private, unit FROM draft
         WHERE draft = ?1",
    )?
    .query_row([id.as_bytes()], |row| Ok(read(row)))
    .optional()?
    .transpose()
}

/// The drafts on a record.
pub(crate) fn on(tx: &Tx<'_>, record: RecordId) -> Result<Vec<Draft>, StoreError> {
    Ok(all(tx)?.into_iter().filter(|draft| draft.record == Some(record)).collect())
}

/// Leaves this of a draft, on whatever its record's private document says when it is made an edit.
pub(crate) fn leave(tx: &Tx<'_>, id: DraftId, edit: &Edit) -> Result<(), StoreError> {
    let edit = serde_json::to_string(edit).map_err(|error| StoreError::Damaged(format!("a draft: {error}")))?;
    tx.prepare_cached("UPDATE draft SET edit = ?2, based_private = NULL WHERE draft = ?1")?
        .execute((id.as_bytes(), edit))?;
    Ok(())
}

/// Ends a draft.
pub(crate) fn remove(tx: &Tx<'_>, id: DraftId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM draft WHERE draft = ?1")?
        .execute([id.as_bytes()])?;
    Ok(())
}

fn heads_of(tx: &Tx<'_>, draft: DraftId, record: RecordId, version: &str) -> Result<SeenHeads, Fault> {
    let kept = tx
        .prepare_cached("SELECT based_heads, based_private FROM draft WHERE draft = ?1 AND record = ?2 AND based_on = ?3")?
        .query_row((draft.as_bytes(), record.as_bytes(), version), |row| heads(row, 0, 1))
        .optional()?;
    if let Some(heads) = kept.flatten() {
        return Ok(heads?);
    }
    let now = tx
        .prepare_cached("SELECT shown_version, heads, coalesce(private_heads, x'') FROM record WHERE record = ?1")?
        .query_row([record.as_bytes()], |row| Ok((row.get::<_, String>(0)?, heads(row, 1, 2)?)))
        .optional()?;
    match now {
        None => Err(CoreError::UnknownRecord(record).into()),
        Some((now, Some(heads))) if now == version => Ok(heads?),
        Some((now, _)) => Err(CoreError::Moved {
            version: now,
            paths: Vec::new(),
        }
        .into()),
    }
}

/// Heads out of two columns; none when there are none of `facts`.
fn heads(row: &Row<'_>, facts: usize, private: usize) -> rusqlite::Result<Option<Result<SeenHeads, StoreError>>> {
    let (facts, private): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(facts)?, row.get(private)?);
    let both = |facts: &[u8]| {
        let private = private.as_deref().map(split).transpose()?;
        Ok(SeenHeads {
            facts: split(facts)?,
            private,
        })
    };
    Ok(facts.as_deref().map(both))
}

fn read(row: &Row<'_>) -> Result<Kept, StoreError> {
    let edit: String = row.get(3)?;
    let heads = heads(row, 5, 8)?.transpose()?;
    let draft = Draft {
        id: DraftId::from_bytes(row.get(0)?),
        record: row.get::<_, Option<[u8; 16]>>(1)?.map(RecordId::from_bytes),
        kind: row.get(2)?,
        unit: row.get::<_, Option<[u8; 16]>>(9)?.map(UnitId::from_bytes),
        edit: serde_json::from_str(&edit).map_err(|error| StoreError::Damaged(format!("a draft: {error}")))?,
        based_on: row.get(4)?,
        answers: row.get::<_, Option<[u8; 32]>>(6)?.map(Hash::from_bytes),
        saved_at: UnixMillis(row.get(7)?),
    };
    Ok((draft, heads))
}
