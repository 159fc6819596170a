//! Rows of the end: what the station said when this file's book ended, what of its pages the station has, and which books of others ended.
//! Knows no messages.

use beatbook_protocol::id::{BookId, Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// The end of this file's book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndedRow {
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub(crate) why: String,
    /// When, by the station's clock.
    pub(crate) ended_at: UnixMillis,
    /// When this phone heard of it, by its own.
    pub(crate) heard_at: UnixMillis,
    /// Whether the station said last that it does not know this book.
    pub(crate) is_unknown: bool,
}

/// What goes with the phone, and what the station has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Leavings {
    /// Pages that the station holds.
    pub(crate) held_pages: u64,
    /// Entries in them.
    pub(crate) held_entries: u64,
    /// Own entries that the station has not; a track that could not become part of its record is one.
    pub(crate) lost_entries: u64,
    /// Photos and recordings that it has not.
    pub(crate) lost_blobs: u64,
    /// Drafts.
    pub(crate) lost_drafts: u64,
}

/// The end of this file's book; none while it is written in.
pub(crate) fn ended(tx: &Tx<'_>) -> Result<Option<EndedRow>, StoreError> {
    let row = tx
        .prepare_cached("SELECT why, ended_at, heard_at, is_unknown FROM ended")?
        .query_row([], |row| {
            Ok(EndedRow {
                why: row.get(0)?,
                ended_at: UnixMillis(row.get(1)?),
                heard_at: UnixMillis(row.get(2)?),
                is_unknown: row.get(3)?,
            })
        })
        .optional()?;
    Ok(row)
}

/// Keeps the station's order; the first stays.
pub(crate) fn put_ended(tx: &Tx<'_>, row: &EndedRow, order: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ended (one, why, ended_at, heard_at, wipe_order) VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        (&row.why, row.ended_at.0, row.heard_at.0, order),
    )?;
    Ok(())
}

/// Notes whether the station knows this book.
pub(crate) fn set_unknown(tx: &Tx<'_>, is_unknown: bool) -> Result<(), StoreError> {
    tx.execute("UPDATE ended SET is_unknown = ?1", [is_unknown])?;
    Ok(())
}

/// There is no end any more: this file has another book. What the station had of the one that ended counts for nothing.
pub(crate) fn take_back(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM ended", [])?;
    tx.execute("DELETE FROM ended_page", [])?;
    Ok(())
}

/// Notes that a page needs no sending any more, and why; the newest word counts.
pub(crate) fn settle_page(tx: &Tx<'_>, page: &Hash, code: &str) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO ended_page (hash, code) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET code = excluded.code")?
        .execute((page.as_bytes(), code))?;
    Ok(())
}

/// Notes that a page is to be sent after all: the station had it, and has no room for it now.
pub(crate) fn unsettle_page(tx: &Tx<'_>, page: &Hash) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM ended_page WHERE hash = ?1")?
        .execute([page.as_bytes()])?;
    Ok(())
}

/// The pages that the station said to have, in their order.
pub(crate) fn settled_pages(tx: &Tx<'_>) -> Result<Vec<Hash>, StoreError> {
    let mut rows = tx.prepare(
        "SELECT p.hash FROM page AS p JOIN ended_page AS x ON x.hash = p.hash
         WHERE p.state = 'sealed' AND x.code IN ('held', 'taken_in') ORDER BY p.life, p.sequence",
    )?;
    let rows = rows.query_map([], |row| Ok(Hash::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The code of a page that the station holds.
pub(crate) const HELD: &str = "held";
/// The code of a page that the ledger had before the end.
pub(crate) const TAKEN_IN: &str = "taken_in";

/// What goes with the phone as things are.
pub(crate) fn leavings(tx: &Tx<'_>) -> Result<Leavings, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> {
        let count: i64 = tx.query_row(sql, [], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    };
    Ok(Leavings {
        held_pages: count("SELECT count(*) FROM ended_page WHERE code = 'held'")?,
        held_entries: count(
            "SELECT count(*) FROM page_entry AS e JOIN page AS p ON p.life = e.life AND p.sequence = e.sequence
             JOIN ended_page AS x ON x.hash = p.hash WHERE x.code = 'held'",
        )?,
        lost_entries: count(
            "SELECT count(*) FROM (SELECT n FROM queue UNION SELECT e.n FROM page_entry AS e
             JOIN page AS p ON p.life = e.life AND p.sequence = e.sequence
             LEFT JOIN ended_page AS x ON x.hash = p.hash
             WHERE p.state = 'sealed' AND coalesce(x.code, '') NOT IN ('held', 'taken_in'))",
        )? + count(
            "SELECT count(*) FROM patrol AS p WHERE EXISTS (SELECT 1 FROM track_event AS t WHERE t.n > p.cut AND t.at IS NOT NULL)",
        )?,
        lost_blobs: count("SELECT count(*) FROM blob_outbox")?,
        lost_drafts: count("SELECT count(*) FROM draft")?,
    })
}

/// Where the vault holds the keys of all books that this file ever had.
pub(crate) fn key_handles(tx: &Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut rows = tx.prepare("SELECT key_handle FROM own_book ORDER BY key_handle")?;
    let rows = rows.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Overwrites the private keys that this file holds, and takes them away.
pub(crate) fn forget_secrets(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE vault SET secret = zeroblob(length(secret))", [])?;
    tx.execute("DELETE FROM vault", [])?;
    Ok(())
}

/// A book of somebody ended; the first word stays.
pub(crate) fn put_book_end(tx: &Tx<'_>, book: BookId, why: &str, leaf: u64) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO book_end (book, why, leaf) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute((book.as_bytes(), why, leaf.cast_signed()))?;
    Ok(())
}

/// The books that ended, with whose they were, as far as the station told this phone.
pub(crate) fn book_ends(tx: &Tx<'_>) -> Result<Vec<(BookId, String, Option<UserId>)>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT e.book, e.why, b.user FROM book_end AS e LEFT JOIN book AS b ON b.book = e.book ORDER BY e.leaf, e.book",
    )?;
    let rows = rows.query_map([], |row| {
        let user: Option<[u8; 16]> = row.get(2)?;
        Ok((BookId::from_bytes(row.get(0)?), row.get(1)?, user.map(UserId::from_bytes)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
