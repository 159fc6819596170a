//! Rows of entries: what stood in which page with which verdict, and the bytes, once each.

use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, maybe_id, uint};
use super::scrub::{CONTENT, QUARANTINE};
use super::{ReadTx, StoreError, WriteTx};
use crate::seal::is_sensitive;

/// An entry as it is put in.
#[derive(Debug)]
pub(crate) struct PutEntry<'a> {
    /// Its leaf.
    pub(crate) leaf: u64,
    /// Its place in the page.
    pub(crate) position: u32,
    /// Its identity.
    pub(crate) id: Hash,
    /// The record it is about.
    pub(crate) record: Option<RecordId>,
    /// Verdict by number.
    pub(crate) verdict: u32,
    /// Its salt.
    pub(crate) salt: [u8; 16],
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
}

/// An entry as it is kept.
#[derive(Debug)]
pub(crate) struct EntryRow {
    /// Its place in the page.
    pub(crate) position: u32,
    /// Its identity.
    pub(crate) id: Hash,
    /// The record it is about.
    pub(crate) record: Option<RecordId>,
    /// Verdict by number.
    pub(crate) verdict: u32,
    /// What there is of it.
    pub(crate) kept: Kept,
}

/// What there is of an entry.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Its salt and its bytes.
    Whole([u8; 16], Vec<u8>),
    /// Salt and bytes were destroyed; its id is the salted hash that stands under its page's root.
    Destroyed,
    /// Its bytes are missing, and nothing says why.
    Missing,
}

/// An accepted entry in scope.
#[derive(Debug)]
pub(crate) struct FeedRow {
    /// Its leaf.
    pub(crate) leaf: u64,
    /// The book of its page.
    pub(crate) book: BookId,
    /// When its page came.
    pub(crate) received: UnixMillis,
    /// Its place in the page.
    pub(crate) position: u32,
    /// Whether it was only offered.
    pub(crate) offered: bool,
    /// Its record; none for registry events.
    pub(crate) record: Option<FeedRecord>,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// The record of an entry in scope.
#[derive(Debug, Clone)]
pub(crate) struct FeedRecord {
    /// The record.
    pub(crate) id: RecordId,
    /// Its unit.
    pub(crate) unit: UnitId,
    /// Its number.
    pub(crate) number: u64,
    /// Kind and version.
    pub(crate) kind: (String, u32),
    /// Who opened it.
    pub(crate) opener: UserId,
}

/// An entry's bytes with its identity.
#[derive(Debug)]
pub(crate) struct ContentRow {
    /// Its identity.
    pub(crate) id: Hash,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

const ACCEPTED: &str = "(0, 4)";

const FEED: &str = "SELECT e.leaf, e.position, e.verdict, r.number, r.kind, r.kind_version, r.opener_user, c.bytes, p.book, p.received, \
     r.id, r.unit, c.id, c.sealed";

/// A row of the feed, its bytes still sealed where they are; and by which name and whether.
fn read_feed(row: &Row<'_>) -> rusqlite::Result<(FeedRow, Hash, bool)> {
    let record = match (row.get::<_, Option<i64>>(3)?, row.get(4)?, row.get(5)?, row.get(6)?) {
        (Some(number), Some(kind), Some(version), Some(opener)) => Some(FeedRecord {
            id: id!(row, 10, RecordId),
            unit: id!(row, 11, UnitId),
            number: uint(number),
            kind: (kind, version),
            opener: UserId::from_bytes(opener),
        }),
        _ => None,
    };
    let found = FeedRow {
        leaf: uint(row.get(0)?),
        position: row.get(1)?,
        offered: row.get::<_, u32>(2)? == 4,
        record,
        bytes: row.get(7)?,
        book: id!(row, 8, BookId),
        received: UnixMillis(row.get(9)?),
    };
    Ok((found, id!(row, 12, Hash), row.get(13)?))
}

impl ReadTx<'_> {
    /// The entries of a leaf, in their order.
    pub(crate) fn entries_of(&self, leaf: u64) -> Result<Vec<EntryRow>, StoreError> {
        type Read = (u32, Hash, Option<RecordId>, u32, Vec<u8>, Option<Vec<u8>>, Option<bool>);
        let rows: Vec<Read> = self.all(
            "SELECT e.position, e.id, e.record, e.verdict, e.salt, c.bytes, c.sealed
             FROM entry AS e LEFT JOIN content AS c ON c.id = e.id WHERE e.leaf = ?1 ORDER BY e.position",
            [int(leaf)],
            |row| {
                Ok((
                    row.get(0)?,
                    id!(row, 1, Hash),
                    maybe_id!(row, 2, RecordId),
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                ))
            },
        )?;
        rows.into_iter()
            .map(|(position, id, record, verdict, salt, bytes, sealed)| {
                let kept = match (<[u8; 16]>::try_from(salt.as_slice()), bytes) {
                    (Ok(salt), Some(bytes)) => {
                        let sealed = sealed.unwrap_or_default();
                        Kept::Whole(salt, self.opened(CONTENT, id.as_bytes(), bytes, sealed)?)
                    }
                    (Err(_), None) if salt.is_empty() => Kept::Destroyed,
                    (Ok(_) | Err(_), _) => Kept::Missing,
                };
                Ok(EntryRow {
                    position,
                    id,
                    record,
                    verdict,
                    kept,
                })
            })
            .collect()
    }

    /// The accepted entries about a record, in the ledger's order: identity, leaf, position.
    pub(crate) fn accepted_of(&self, record: RecordId) -> Result<Vec<(Hash, u64, u32)>, StoreError> {
        // An entry that was given back goes by its own name, not by that of the entry around it.
        let sql = format!(
            "SELECT coalesce(r.entry, e.id), e.leaf, e.position FROM entry AS e
               LEFT JOIN recovered AS r ON r.leaf = e.leaf AND r.position = e.position
             WHERE e.record = ?1 AND e.verdict IN {ACCEPTED} ORDER BY e.leaf, e.position"
        );
        self.all(&sql, [record.as_bytes()], |row| {
            Ok((id!(row, 0, Hash), uint(row.get(1)?), row.get(2)?))
        })
    }

    /// Whether the entry was taken in before, in a page or as it was given back.
    pub(crate) fn is_accepted(&self, entry: &Hash) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT 1 FROM entry WHERE id = ?1 AND verdict IN {ACCEPTED} UNION ALL SELECT 1 FROM recovered WHERE entry = ?1 LIMIT 1"
        );
        Ok(self.one(&sql, [entry.as_bytes()], |_| Ok(()))?.is_some())
    }

    /// The bytes of an entry.
    pub(crate) fn content(&self, entry: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let found: Option<(Vec<u8>, bool)> =
            self.one("SELECT bytes, sealed FROM content WHERE id = ?1", [entry.as_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        found
            .map(|(bytes, sealed)| self.opened(CONTENT, entry.as_bytes(), bytes, sealed))
            .transpose()
    }

    fn feed_row(&self, row: &Row<'_>) -> Result<FeedRow, StoreError> {
        let (found, id, sealed) = read_feed(row)?;
        let bytes = self.opened(CONTENT, id.as_bytes(), found.bytes, sealed)?;
        Ok(FeedRow { bytes, ..found })
    }

    /// Visits the accepted entries of a range of leaves that are about records of the unit, of the person's memberships and below them, or
    /// granted there, or about the registry, in order, pages of the asker's own left out. The visitor says whether to go on.
    pub(crate) fn each_in_feed<E: From<StoreError>>(
        &self,
        (from, to): (u64, u64),
        (user, unit): (UserId, UnitId),
        (own_book, own_incarnation): (BookId, IncarnationId),
        mut visit: impl FnMut(FeedRow) -> Result<bool, E>,
    ) -> Result<(), E> {
        let sql = format!(
            "WITH RECURSIVE scope (unit) AS (VALUES (?3) UNION SELECT unit FROM membership WHERE user = ?6 AND phase = 1
               UNION SELECT u.unit FROM unit AS u JOIN scope AS s ON u.parent = s.unit)
             {FEED} FROM page AS p CROSS JOIN entry AS e ON e.leaf = p.leaf JOIN content AS c ON c.id = e.id
               LEFT JOIN record AS r ON r.id = e.record
             WHERE p.leaf >= ?1 AND p.leaf < ?2 AND NOT (p.book = ?4 AND p.incarnation = ?5) AND e.verdict IN {ACCEPTED}
               AND (e.record IS NULL OR r.unit IN (SELECT unit FROM scope) OR EXISTS (
                 SELECT 1 FROM granted AS g WHERE g.record = e.record AND (g.grantee = ?6 OR g.grantee IN (SELECT unit FROM scope))))
             ORDER BY p.leaf, e.position"
        );
        let own = (own_book.as_bytes(), own_incarnation.as_bytes());
        let values = params![int(from), int(to), unit.as_bytes(), own.0, own.1, user.as_bytes()];
        self.each(&sql, values, |row| visit(self.feed_row(row)?))
    }

    /// Visits the accepted entries about a record in the first leaves, grants of it included, in the ledger's order.
    pub(crate) fn each_of_record<E: From<StoreError>>(
        &self,
        record: RecordId,
        to: u64,
        mut visit: impl FnMut(FeedRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!(
            "{FEED} FROM (
               SELECT leaf, position FROM entry WHERE record = ?1 AND leaf < ?2 AND verdict IN {ACCEPTED}
               UNION ALL SELECT leaf, position FROM grant_at WHERE record = ?1 AND leaf < ?2) AS w
             CROSS JOIN entry AS e ON e.leaf = w.leaf AND e.position = w.position JOIN content AS c ON c.id = e.id
             JOIN page AS p ON p.leaf = e.leaf LEFT JOIN record AS r ON r.id = e.record
             ORDER BY w.leaf, w.position"
        );
        self.each(&sql, params![record.as_bytes(), int(to)], |row| {
            visit(self.feed_row(row)?).map(|()| true)
        })
    }

    /// Visits the accepted registry events of a range of leaves, in order. The visitor says whether to go on.
    pub(crate) fn each_of_registry<E: From<StoreError>>(
        &self,
        (from, to): (u64, u64),
        mut visit: impl FnMut(FeedRow) -> Result<bool, E>,
    ) -> Result<(), E> {
        let sql = format!(
            "{FEED} FROM entry AS e INDEXED BY entry_registry JOIN content AS c ON c.id = e.id JOIN page AS p ON p.leaf = e.leaf
               LEFT JOIN record AS r ON 0
             WHERE e.record IS NULL AND e.leaf >= ?1 AND e.leaf < ?2 AND e.verdict IN {ACCEPTED} ORDER BY e.leaf, e.position"
        );
        self.each(&sql, params![int(from), int(to)], |row| visit(self.feed_row(row)?))
    }

    /// Entries accepted, and refused.
    pub(crate) fn entry_counts(&self) -> Result<(u64, u64), StoreError> {
        let accepted = self.count(&format!("SELECT count(*) FROM entry WHERE verdict IN {ACCEPTED}"), [])?;
        Ok((accepted, self.count("SELECT count(*) FROM entry WHERE verdict = 2", [])?))
    }

    /// Visits every entry's bytes, by identity.
    pub(crate) fn each_content<E: From<StoreError>>(&self, mut visit: impl FnMut(ContentRow) -> Result<(), E>) -> Result<(), E> {
        self.each("SELECT id, bytes, sealed FROM content ORDER BY id", [], |row| {
            let read = || -> rusqlite::Result<(Hash, Vec<u8>, bool)> { Ok((id!(row, 0, Hash), row.get(1)?, row.get(2)?)) };
            let (id, bytes, sealed) = read().map_err(StoreError::from)?;
            let bytes = self.opened(CONTENT, id.as_bytes(), bytes, sealed)?;
            visit(ContentRow { id, bytes }).map(|()| true)
        })
    }

    /// Pages set aside of a book.
    pub(crate) fn quarantined(&self, book: Option<BookId>) -> Result<u64, StoreError> {
        match book {
            Some(book) => self.count("SELECT count(*) FROM quarantine WHERE book = ?1", [book.as_bytes()]),
            None => self.count("SELECT count(*) FROM quarantine", []),
        }
    }
}

impl WriteTx<'_> {
    /// Puts an entry of a leaf in.
    pub(crate) fn put_entry(&self, entry: &PutEntry<'_>) -> Result<(), StoreError> {
        self.put_content(&entry.id, entry.bytes)?;
        self.run(
            "INSERT INTO entry (leaf, position, id, record, verdict, salt) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                int(entry.leaf),
                entry.position,
                entry.id.as_bytes(),
                entry.record.map(|record| *record.as_bytes()),
                entry.verdict,
                entry.salt
            ],
        )?;
        Ok(())
    }

    /// Keeps an entry's bytes, once, sealed when they are sensitive.
    pub(super) fn put_content(&self, id: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        let (bytes, sealed) = self.sealed(CONTENT, id.as_bytes(), bytes, is_sensitive(bytes))?;
        self.run(
            "INSERT INTO content (id, bytes, sealed) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
            params![id.as_bytes(), bytes.as_ref(), sealed],
        )?;
        Ok(())
    }

    /// Sets a page aside as it came, sealed: what is in it nobody has looked at; the same page twice is kept once.
    pub(crate) fn put_quarantine(
        &self,
        book: BookId,
        hash: &Hash,
        received: UnixMillis,
        fault: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let (bytes, sealed) = self.sealed(QUARANTINE, hash.as_bytes(), bytes, true)?;
        self.run(
            "INSERT INTO quarantine (book, hash, received, fault, bytes, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            params![book.as_bytes(), hash.as_bytes(), received.0, fault, bytes.as_ref(), sealed],
        )?;
        Ok(())
    }
}
