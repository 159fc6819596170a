//! Which signed pages go up next, with their entries. Changes nothing; knows no requests.

use beatbook_protocol::id::Hash;
use beatbook_protocol::page::SealedPage;
use rusqlite::Rows;

use super::{StoreError, Tx};

/// Signed pages without an answer, in order: at least one if there is one, then up to so many pages and bytes of entries.
pub(crate) fn to_send(tx: &Tx<'_>, pages_max: usize, bytes_max: usize) -> Result<Vec<SealedPage>, StoreError> {
    to_send_after(tx, 0, pages_max, bytes_max)
}

/// Likewise, without the first `passed` of them.
pub(crate) fn to_send_after(
    tx: &Tx<'_>,
    passed: usize,
    pages_max: usize,
    bytes_max: usize,
) -> Result<Vec<SealedPage>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT life, sequence, header, signature, seed FROM page
         WHERE state = 'sealed' AND signature IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ended_page AS x WHERE x.hash = page.hash)
         ORDER BY life, sequence LIMIT -1 OFFSET ?1",
    )?;
    let rows = rows.query([i64::try_from(passed).unwrap_or(i64::MAX)])?;
    whole(tx, rows, pages_max, bytes_max)
}

/// Likewise, of those that the station said to have, once more: the first of these.
pub(crate) fn to_send_again(
    tx: &Tx<'_>,
    settled: &[Hash],
    pages_max: usize,
    bytes_max: usize,
) -> Result<Vec<SealedPage>, StoreError> {
    let (mut pages, mut left) = (Vec::new(), bytes_max);
    let mut rows = tx.prepare_cached("SELECT life, sequence, header, signature, seed FROM page WHERE hash = ?1")?;
    for hash in settled.iter().take(pages_max) {
        let page = whole(tx, rows.query([hash.as_bytes()])?, 1, usize::MAX)?;
        let bytes: usize = page.iter().flat_map(|page| &page.entries).map(|entry| entry.len()).sum();
        if bytes > left && !pages.is_empty() {
            break;
        }
        left = left.saturating_sub(bytes);
        pages.extend(page);
    }
    Ok(pages)
}

/// Pages with their entries, at least one if there is one, up to so many pages and bytes of entries.
fn whole(tx: &Tx<'_>, mut rows: Rows<'_>, pages_max: usize, bytes_max: usize) -> Result<Vec<SealedPage>, StoreError> {
    let (mut pages, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let entries = entries(tx, row.get(0)?, row.get(1)?)?;
        bytes += entries.iter().map(Vec::len).sum::<usize>();
        if pages.len() >= pages_max || (bytes > bytes_max && !pages.is_empty()) {
            break;
        }
        pages.push(SealedPage {
            header: row.get(2)?,
            signature: row.get(3)?,
            seed: row.get(4)?,
            entries: entries.into_iter().map(Into::into).collect(),
        });
    }
    Ok(pages)
}

fn entries(tx: &Tx<'_>, life: i64, sequence: i64) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT o.bytes FROM page_entry e JOIN outbox o ON o.n = e.n WHERE e.life = ?1 AND e.sequence = ?2 ORDER BY e.position",
    )?;
    let rows = rows.query_map((life, sequence), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
