//! Rows of books that ended: why and since when, the pages that came after, what was decided on them, and the phones' last words.

use std::collections::BTreeSet;

use beatbook_protocol::entry::BookEndEvent;
use beatbook_protocol::id::{BookId, Hash, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, maybe_id, uint};
use super::{ReadTx, StoreError, WriteTx};

/// The end of a book's writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BookEndRow {
    /// The book.
    pub(crate) book: BookId,
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub(crate) why: String,
    /// When, by the station's clock.
    pub(crate) at: UnixMillis,
    /// Who ordered it.
    pub(crate) by: Option<UserId>,
}

/// A page that is held for the chief.
#[derive(Debug, Clone)]
pub(crate) struct HeldPageRow {
    /// Its header's hash.
    pub(crate) hash: Hash,
    /// Whose book.
    pub(crate) book: BookId,
    /// When it came.
    pub(crate) received: UnixMillis,
    /// Whose phone brought it in a parcel.
    pub(crate) carrier: Option<BookId>,
    /// Its bytes, sealed.
    pub(crate) sealed: Vec<u8>,
}

/// An entry of such a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldEntryRow {
    /// Number within the page.
    pub(crate) position: u32,
    /// The entry; zeros once it is destroyed.
    pub(crate) entry: Hash,
    /// Its record, where it is about one.
    pub(crate) record: Option<RecordId>,
    /// What was decided.
    pub(crate) state: HeldState,
    /// When.
    pub(crate) decided_at: Option<UnixMillis>,
    /// By whom.
    pub(crate) decided_by: Option<UserId>,
    /// Why.
    pub(crate) reason: Option<String>,
}

/// What was decided on a held entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeldState {
    /// Nothing yet.
    Open,
    /// It was taken in.
    Admitted,
    /// It was refused, and is kept.
    Refused,
    /// The ledger had it already.
    Known,
    /// What it is about was destroyed, and it with it.
    Destroyed,
}

impl HeldState {
    const fn number(self) -> i64 {
        match self {
            Self::Open => 0,
            Self::Admitted => 1,
            Self::Refused => 2,
            Self::Known => 3,
            Self::Destroyed => 4,
        }
    }

    const fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Admitted,
            2 => Self::Refused,
            3 => Self::Known,
            4 => Self::Destroyed,
            _ => Self::Open,
        }
    }
}

/// A phone's last word.
#[derive(Debug, Clone)]
pub(crate) struct WipedRow {
    /// When it came.
    pub(crate) received: UnixMillis,
    /// The receipt's bytes.
    pub(crate) receipt: Vec<u8>,
}

/// A decision on an entry.
#[derive(Debug, Clone)]
pub(crate) struct Decision<'a> {
    /// What.
    pub(crate) state: HeldState,
    /// When.
    pub(crate) at: UnixMillis,
    /// By whom; none for the operator at the machine.
    pub(crate) by: Option<UserId>,
    /// Why.
    pub(crate) reason: &'a str,
}

fn read_page(row: &Row<'_>) -> rusqlite::Result<HeldPageRow> {
    Ok(HeldPageRow {
        hash: id!(row, 0, Hash),
        book: id!(row, 1, BookId),
        received: UnixMillis(row.get(2)?),
        carrier: maybe_id!(row, 3, BookId),
        sealed: row.get(4)?,
    })
}

impl ReadTx<'_> {
    /// The end of a book; none while it is written in.
    pub(crate) fn book_end(&self, book: BookId) -> Result<Option<BookEndRow>, StoreError> {
        self.one(
            "SELECT book, why, at, ordered_by FROM book_end WHERE book = ?1",
            [book.as_bytes()],
            |row| {
                Ok(BookEndRow {
                    book: id!(row, 0, BookId),
                    why: row.get(1)?,
                    at: UnixMillis(row.get(2)?),
                    by: maybe_id!(row, 3, UserId),
                })
            },
        )
    }

    /// How many pages are held of a book, and their bytes.
    pub(crate) fn held_of(&self, book: BookId) -> Result<(u64, u64), StoreError> {
        let held = self.one(
            "SELECT count(*), coalesce(sum(size), 0) FROM held_page WHERE book = ?1",
            [book.as_bytes()],
            |row| Ok((uint(row.get(0)?), uint(row.get(1)?))),
        )?;
        Ok(held.unwrap_or_default())
    }

    /// Whether a page is held.
    pub(crate) fn is_held(&self, page: &Hash) -> Result<bool, StoreError> {
        Ok(self
            .one("SELECT 1 FROM held_page WHERE hash = ?1", [page.as_bytes()], |_| Ok(()))?
            .is_some())
    }

    /// A held page.
    pub(crate) fn held_page(&self, page: &Hash) -> Result<Option<HeldPageRow>, StoreError> {
        self.one(
            "SELECT hash, book, received, carrier, sealed FROM held_page WHERE hash = ?1",
            [page.as_bytes()],
            read_page,
        )
    }

    /// The names of held pages of these books in the order of their coming, after one of them; of those that are decided wholly only when
    /// they are asked for.
    pub(crate) fn held_pages(
        &self,
        books: &BTreeSet<BookId>,
        decided: bool,
        after: Option<&Hash>,
        limit: usize,
    ) -> Result<Vec<Hash>, StoreError> {
        let mut pages = Vec::new();
        self.each::<StoreError>(
            "SELECT hash, book FROM held_page AS p
             WHERE (?1 OR EXISTS (SELECT 1 FROM held_entry AS e WHERE e.page = p.hash AND e.state = 0))
               AND (?2 IS NULL OR (received, rowid) > (SELECT received, rowid FROM held_page WHERE hash = ?2))
             ORDER BY received, rowid",
            params![decided, after.map(|page| *page.as_bytes())],
            |row| {
                if books.contains(&id!(row, 1, BookId)) {
                    pages.push(id!(row, 0, Hash));
                }
                Ok(pages.len() < limit)
            },
        )?;
        Ok(pages)
    }

    /// The entries of a held page, in its order.
    pub(crate) fn held_entries(&self, page: &Hash) -> Result<Vec<HeldEntryRow>, StoreError> {
        self.all(
            "SELECT position, entry, record, state, decided_at, decided_by, reason FROM held_entry WHERE page = ?1 ORDER BY position",
            [page.as_bytes()],
            |row| {
                Ok(HeldEntryRow {
                    position: row.get(0)?,
                    entry: id!(row, 1, Hash),
                    record: maybe_id!(row, 2, RecordId),
                    state: HeldState::from_number(row.get(3)?),
                    decided_at: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
                    decided_by: maybe_id!(row, 5, UserId),
                    reason: row.get(6)?,
                })
            },
        )
    }

    /// Where entries about a record stand in held pages, those left out that are destroyed: page by page.
    pub(crate) fn held_about(&self, record: RecordId) -> Result<Vec<(Hash, u32)>, StoreError> {
        self.all(
            "SELECT page, position FROM held_entry WHERE record = ?1 AND state <> 4 ORDER BY page, position",
            [record.as_bytes()],
            |row| Ok((id!(row, 0, Hash), row.get(1)?)),
        )
    }

    /// Who took an entry in from a book that had ended.
    pub(crate) fn admitted_by(&self, entry: &Hash) -> Result<Option<UserId>, StoreError> {
        self.one(
            "SELECT admitted_by FROM admitted WHERE entry = ?1",
            [entry.as_bytes()],
            |row| Ok(id!(row, 0, UserId)),
        )
    }

    /// A phone's last word.
    pub(crate) fn wiped(&self, book: BookId) -> Result<Option<WipedRow>, StoreError> {
        self.one(
            "SELECT received, receipt FROM wiped WHERE book = ?1",
            [book.as_bytes()],
            |row| {
                Ok(WipedRow {
                    received: UnixMillis(row.get(0)?),
                    receipt: row.get(1)?,
                })
            },
        )
    }
}

impl WriteTx<'_> {
    /// Ends a book; the first end stays. Its tokens and challenges go in the same step.
    pub(crate) fn put_book_end(&self, event: &BookEndEvent, leaf: u64) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        self.run(
            "INSERT INTO book_end (book, why, at, ordered_by, leaf)
             VALUES (?1, ?2, coalesce((SELECT received FROM page WHERE leaf = ?4), 0), ?3, ?4) ON CONFLICT DO NOTHING",
            params![
                event.book.as_bytes(),
                event.why,
                event.on_behalf.map(|by| *by.as_bytes()),
                int(leaf)
            ],
        )?;
        self.run("DELETE FROM token WHERE book = ?1", [event.book.as_bytes()])?;
        self.run("DELETE FROM challenge WHERE book = ?1", [event.book.as_bytes()])?;
        Ok(())
    }

    /// Notes who took an entry in.
    pub(crate) fn put_admitted(&self, entry: &Hash, record: RecordId, by: UserId) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO admitted (entry, record, admitted_by) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![entry.as_bytes(), record.as_bytes(), by.as_bytes()],
        )?;
        Ok(())
    }

    /// Holds a page with its entries; one that is held already stays as it is.
    pub(crate) fn put_held(
        &self,
        page: &HeldPageRow,
        size: u64,
        entries: &[(Hash, Option<RecordId>, HeldState)],
    ) -> Result<(), StoreError> {
        let put = self.run(
            "INSERT INTO held_page (hash, book, received, carrier, size, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            params![
                page.hash.as_bytes(),
                page.book.as_bytes(),
                page.received.0,
                page.carrier.map(|carrier| *carrier.as_bytes()),
                int(size),
                page.sealed
            ],
        )?;
        if put == 0 {
            return Ok(());
        }
        for (position, (entry, record, state)) in (0_u32..).zip(entries) {
            self.run(
                "INSERT INTO held_entry (page, position, entry, record, state) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    page.hash.as_bytes(),
                    position,
                    entry.as_bytes(),
                    record.map(|record| *record.as_bytes()),
                    state.number()
                ],
            )?;
        }
        Ok(())
    }

    /// Puts the bytes of a held page without those of entries that were destroyed; of these nothing stays but that they were there.
    pub(crate) fn empty_held(&self, page: &Hash, sealed: &[u8], positions: &[u32]) -> Result<(), StoreError> {
        self.run(
            "UPDATE held_page SET sealed = ?2 WHERE hash = ?1",
            params![page.as_bytes(), sealed],
        )?;
        for position in positions {
            self.run(
                "UPDATE held_entry SET entry = zeroblob(32), state = 4 WHERE page = ?1 AND position = ?2",
                params![page.as_bytes(), position],
            )?;
        }
        Ok(())
    }

    /// Puts what was decided on an entry that was open; whether it was.
    pub(crate) fn decide(&self, page: &Hash, position: u32, decision: &Decision<'_>) -> Result<bool, StoreError> {
        let decided = self.run(
            "UPDATE held_entry SET state = ?3, decided_at = ?4, decided_by = ?5, reason = ?6
             WHERE page = ?1 AND position = ?2 AND state = 0",
            params![
                page.as_bytes(),
                position,
                decision.state.number(),
                decision.at.0,
                decision.by.map(|by| *by.as_bytes()),
                decision.reason
            ],
        )?;
        Ok(decided == 1)
    }

    /// Keeps a phone's last word; the first stays. Whether it is the first.
    pub(crate) fn put_wiped(
        &self,
        book: BookId,
        received: UnixMillis,
        receipt: &[u8],
        signature: &[u8],
    ) -> Result<bool, StoreError> {
        let put = self.run(
            "INSERT INTO wiped (book, received, receipt, signature) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![book.as_bytes(), received.0, receipt, signature],
        )?;
        Ok(put == 1)
    }
}
