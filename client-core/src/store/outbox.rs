//! Own entries in the order of their writing, until the station has them by hash and in a backup: the queue of what goes into a page
//! next, and what waits since when. Knows nothing of pages' insides, requests and replies.

use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::limits::{PAGE_BYTES_SEAL, PAGE_ENTRIES_MAX};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Owes;
use rusqlite::OptionalExtension;

use super::{StoreError, Tx, blobs};

/// How long an entry is held after the station said that it needs something: doubled with each try, up to a day.
const HELD_MS: i64 = 60_000;
const HELD_MS_MAX: i64 = 86_400_000;

/// What is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Waiting {
    /// Entries in no page yet, or to be put into one again.
    pub(crate) queued: u64,
    /// Of those: entries held because the station lacks what they need.
    pub(crate) held: u64,
    /// Pages without an answer.
    pub(crate) pages: u64,
    /// Entries in these pages.
    pub(crate) sealed: u64,
}

/// Puts an entry at the end. Called in the transaction that makes the change or act.
pub(crate) fn put(tx: &Tx<'_>, entry: &Hash, record: Option<RecordId>, bytes: &[u8]) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO outbox (entry, record, bytes) VALUES (?1, ?2, ?3)")?
        .execute((entry.as_bytes(), record.map(|record| *record.as_bytes()), bytes))?;
    tx.prepare_cached("INSERT INTO queue (n, tries, held_until) VALUES (?1, 0, 0)")?
        .execute([tx.last_insert_rowid()])?;
    Ok(())
}

/// Lets held entries try again: something new came from the station.
pub(crate) fn release(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE queue SET held_until = 0 WHERE held_until > 0")?
        .execute([])?;
    Ok(())
}

/// What is on its way.
pub(crate) fn waiting(tx: &Tx<'_>) -> Result<Waiting, StoreError> {
    let waiting = tx
        .prepare_cached(
            "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM queue WHERE held_until > 0),
                    (SELECT count(*) FROM page WHERE state = 'sealed'),
                    (SELECT count(*) FROM page p JOIN page_entry e ON e.life = p.life AND e.sequence = p.sequence WHERE state = 'sealed')",
        )?
        .query_row([], |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Waiting {
                queued: count(0)?,
                held: count(1)?,
                pages: count(2)?,
                sealed: count(3)?,
            })
        })?;
    Ok(waiting)
}

/// The bytes of the oldest entry that the station has not answered.
pub(crate) fn oldest_waiting(tx: &Tx<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let bytes = tx
        .prepare_cached(
            "SELECT bytes FROM outbox WHERE n = (SELECT min(n) FROM (
               SELECT n FROM queue UNION ALL
               SELECT e.n FROM page p JOIN page_entry e ON e.life = p.life AND e.sequence = p.sequence WHERE p.state = 'sealed'))",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(bytes)
}

/// Entries of one record without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaitingOf {
    /// The record.
    pub(crate) record: RecordId,
    /// How many.
    pub(crate) entries: u64,
    /// Whether all of them are held because the station lacks what they need.
    pub(crate) held: bool,
    /// The bytes of the oldest.
    pub(crate) oldest: Vec<u8>,
}

/// The records with entries without an answer, those that wait longest first.
pub(crate) fn waiting_by_record(tx: &Tx<'_>) -> Result<Vec<WaitingOf>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT g.record, g.entries, g.held, b.bytes FROM (
           SELECT o.record AS record, count(*) AS entries, min(w.held) AS held, min(o.n) AS first FROM (
             SELECT n, held_until > 0 AS held FROM queue UNION ALL
             SELECT e.n, 0 FROM page p JOIN page_entry e ON e.life = p.life AND e.sequence = p.sequence WHERE p.state = 'sealed') w
           JOIN outbox o ON o.n = w.n WHERE o.record IS NOT NULL GROUP BY o.record) g
         JOIN outbox b ON b.n = g.first ORDER BY g.first",
    )?;
    let rows = rows.query_map([], |row| {
        Ok(WaitingOf {
            record: RecordId::from_bytes(row.get(0)?),
            entries: row.get::<_, i64>(1)?.cast_unsigned(),
            held: row.get(2)?,
            oldest: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What this phone owes its station beyond the first `pages` sealed pages, which the request at hand carries; none when that is nothing.
pub(crate) fn owes(tx: &Tx<'_>, pages: usize) -> Result<Option<Owes>, StoreError> {
    let skipped = i64::try_from(pages).unwrap_or(i64::MAX);
    let (entries, oldest): (i64, Option<i64>) = tx
        .prepare_cached(
            "SELECT count(*), min(n) FROM (
               SELECT n FROM queue UNION ALL
               SELECT e.n FROM (SELECT life, sequence FROM page WHERE state = 'sealed' ORDER BY life, sequence LIMIT -1 OFFSET ?1) p
               JOIN page_entry e ON e.life = p.life AND e.sequence = p.sequence)",
        )?
        .query_row([skipped], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let came_back: i64 = tx
        .prepare_cached("SELECT (SELECT count(*) FROM change WHERE status = 2) + (SELECT count(*) FROM act WHERE status = 2)")?
        .query_row([], |row| row.get(0))?;
    let (blobs, blob_bytes) = blobs::owed(tx)?;
    if entries == 0 && came_back == 0 && blobs == 0 {
        return Ok(None);
    }
    let bytes: Option<Vec<u8>> = tx
        .prepare_cached("SELECT bytes FROM outbox WHERE n = ?1")?
        .query_row([oldest], |row| row.get(0))
        .optional()?;
    Ok(Some(Owes {
        entries: entries.cast_unsigned(),
        since: bytes.as_deref().and_then(written_at),
        blobs,
        blob_bytes,
        came_back: came_back.cast_unsigned(),
    }))
}

/// When an entry was written, by its author's clock.
pub(crate) fn written_at(bytes: &[u8]) -> Option<UnixMillis> {
    match Entry::parse(bytes).ok()? {
        Entry::Change(change) => Some(change.at),
        Entry::Act(act) => Some(act.at),
        Entry::Registry(_) | Entry::Recovered(_) | Entry::Other(_) => None,
    }
}

/// The queue's beginning, as much as one page takes.
pub(super) fn gather(tx: &Tx<'_>, now: UnixMillis) -> Result<(Vec<i64>, Vec<Vec<u8>>), StoreError> {
    let mut rows =
        tx.prepare_cached("SELECT q.n, o.bytes FROM queue q JOIN outbox o ON o.n = q.n WHERE q.held_until <= ?1 ORDER BY q.n")?;
    let mut rows = rows.query([now.0])?;
    let (mut numbers, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
    while entries.len() < PAGE_ENTRIES_MAX && bytes < PAGE_BYTES_SEAL {
        let Some(row) = rows.next()? else { break };
        let entry: Vec<u8> = row.get(1)?;
        bytes += entry.len();
        numbers.push(row.get(0)?);
        entries.push(entry);
    }
    Ok((numbers, entries))
}

/// Holds an entry that needs something the station lacks. The count of tries is the number of pages that it was in already.
pub(super) fn hold(tx: &Tx<'_>, n: i64, now: UnixMillis) -> Result<(), StoreError> {
    let tries: u32 = tx
        .prepare_cached("SELECT count(*) FROM page_entry WHERE n = ?1")?
        .query_row([n], |row| row.get(0))?;
    tx.prepare_cached("INSERT INTO queue (n, tries, held_until) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute((n, tries, now.plus(held_for(tries)).0))?;
    Ok(())
}

/// How long something is held after so many tries.
pub(super) fn held_for(tries: u32) -> i64 {
    HELD_MS.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(HELD_MS_MAX)
}
