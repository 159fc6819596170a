//! Documents out of the store: snapshot and changes put together. Knows no states and no rules.

use std::collections::BTreeSet;

use beatbook_protocol::document::{Document, Shape};
use beatbook_protocol::id::{ActorId, RecordId};
use beatbook_protocol::kind::DocumentName;
use rusqlite::OptionalExtension;

use super::records::DESCENDANT;
use super::rows::{self, ChangeRow, Status, code_of};
use super::{StoreError, Tx};

/// What a screen shows: the station's and one's own that waits.
pub(crate) const SHOWN: &[Status] = &[Status::Accepted, Status::Pending];
/// What the station has.
pub(crate) const ACCEPTED: &[Status] = &[Status::Accepted];
/// All that this phone's user ever wrote, refused or not, and what he may have written it on: a restored station would not have some of it back.
const WRITTEN: &[Status] = &[
    Status::Accepted,
    Status::Pending,
    Status::Parked,
    Status::Answered,
    Status::Lost,
];

/// Accepted changes beyond which they become one snapshot.
pub(super) const SNAPSHOT_CHANGES: usize = 64;

/// The document with the changes of these statuses; none when there are none.
pub(crate) fn load(
    tx: &Tx<'_>,
    shape: &Shape,
    actor: ActorId,
    record: RecordId,
    statuses: &[Status],
) -> Result<Option<Document>, StoreError> {
    let rows = rows::changes(tx, record, shape.name())?;
    load_from(tx, shape, actor, record, (&rows, statuses))
}

/// The document with all that this phone's user ever wrote in it, refused or not; none when there is none.
pub(super) fn load_written(tx: &Tx<'_>, shape: &Shape, actor: ActorId, record: RecordId) -> Result<Option<Document>, StoreError> {
    let mut rows = rows::changes(tx, record, shape.name())?;
    // What was accepted, and waits again since something below it was refused, has passed the guard; nothing else that arrived has.
    let waits_again: BTreeSet<i64> = tx
        .prepare_cached("SELECT n FROM change WHERE record = ?1 AND status = 4 AND code = ?2")?
        .query_map((record.as_bytes(), DESCENDANT), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for row in rows.iter_mut().filter(|row| waits_again.contains(&row.n)) {
        row.status = Status::Accepted;
    }
    load_from(tx, shape, actor, record, (&rows, WRITTEN))
}

/// The same, where the changes that no snapshot holds were read before.
pub(super) fn load_from(
    tx: &Tx<'_>,
    shape: &Shape,
    actor: ActorId,
    record: RecordId,
    (rows, statuses): (&[ChangeRow], &[Status]),
) -> Result<Option<Document>, StoreError> {
    let snapshot = snapshot(tx, record, shape.name())?;
    let changes: Vec<&[u8]> = rows
        .iter()
        .filter(|row| statuses.contains(&row.status))
        .map(|row| row.bytes.as_slice())
        .collect();
    if changes.is_empty() && snapshot.is_none() {
        return Ok(None);
    }
    Ok(Some(Document::open_as(shape, actor, snapshot.as_deref(), &changes)?))
}

/// Puts the accepted changes into the snapshot when there are many, so that the document goes on opening quickly.
pub(crate) fn fold(tx: &Tx<'_>, shape: &Shape, actor: ActorId, record: RecordId) -> Result<(), StoreError> {
    let name = shape.name();
    let (accepted, pending): (i64, i64) = tx
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1) FROM change
             WHERE record = ?1 AND document = ?2 AND folded = 0",
        )?
        .query_row((record.as_bytes(), code_of(name.into())), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    // After a station was restored, others' accepted changes may rest on own ones that are pending again: a snapshot would lose them.
    if usize::try_from(accepted).unwrap_or(0) < SNAPSHOT_CHANGES || pending > 0 {
        return Ok(());
    }
    let Some(document) = load(tx, shape, actor, record, ACCEPTED)? else {
        return Ok(());
    };
    tx.prepare_cached(
        "INSERT INTO snapshot (record, document, bytes) VALUES (?1, ?2, ?3)
         ON CONFLICT (record, document) DO UPDATE SET bytes = excluded.bytes",
    )?
    .execute((record.as_bytes(), code_of(name.into()), document.save()))?;
    tx.prepare_cached("UPDATE change SET folded = 1 WHERE record = ?1 AND document = ?2 AND folded = 0 AND status = 0")?
        .execute((record.as_bytes(), code_of(name.into())))?;
    Ok(())
}

/// A document's snapshot.
pub(super) fn snapshot(tx: &Tx<'_>, record: RecordId, name: DocumentName) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(tx
        .prepare_cached("SELECT bytes FROM snapshot WHERE record = ?1 AND document = ?2")?
        .query_row((record.as_bytes(), code_of(name.into())), |row| row.get(0))
        .optional()?)
}
