//! Rows of the ledger itself: leaves, tree, epochs, and the projections that find pages and chains in it.

use beatbook_protocol::id::{BookId, Hash, IncarnationId};
use beatbook_protocol::ledger::Position;
use beatbook_protocol::ledger::merkle::{Node, Nodes};
use beatbook_protocol::page::Tip;
use beatbook_protocol::time::UnixMillis;
use rusqlite::params;

use super::connection::{id, int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// One life of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochRow {
    /// Its number.
    pub(crate) epoch: u64,
    /// Leaves it began with.
    pub(crate) size: u64,
    /// What the life before had signed last.
    pub(crate) follows: Option<Position>,
}

impl Nodes for ReadTx<'_> {
    type Error = StoreError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, StoreError> {
        self.one(
            "SELECT hash FROM tree WHERE level = ?1 AND node = ?2",
            params![level, int(index)],
            |row| Ok(id!(row, 0, Hash)),
        )?
        .ok_or_else(|| StoreError::Damaged(format!("tree node {index} of level {level} is missing")))
    }
}

impl ReadTx<'_> {
    /// Leaves in the ledger.
    pub(crate) fn size(&self) -> Result<u64, StoreError> {
        self.count("SELECT coalesce(max(number) + 1, 0) FROM leaf", [])
    }

    /// A leaf's bytes.
    pub(crate) fn leaf(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT bytes FROM leaf WHERE number = ?1", [int(number)], |row| row.get(0))
    }

    /// The present life.
    pub(crate) fn epoch(&self) -> Result<EpochRow, StoreError> {
        self.one(
            "SELECT epoch, size, follows_epoch, follows_size, follows_root FROM epoch ORDER BY epoch DESC LIMIT 1",
            [],
            |row| {
                let follows = match (
                    row.get::<_, Option<i64>>(2)?,
                    row.get::<_, Option<i64>>(3)?,
                    row.get::<_, Option<_>>(4)?,
                ) {
                    (Some(epoch), Some(size), Some(root)) => Some(Position {
                        epoch: uint(epoch),
                        size: uint(size),
                        root: Hash::from_bytes(root),
                    }),
                    _ => None,
                };
                Ok(EpochRow {
                    epoch: uint(row.get(0)?),
                    size: uint(row.get(1)?),
                    follows,
                })
            },
        )?
        .ok_or_else(|| StoreError::Damaged("the ledger has no epoch".into()))
    }

    /// How many leaves an older life shares with the present one; none for the present life itself. Of a life that the present one does not
    /// come from (it was restored from a backup that is older than that life) nothing is known here, and it counts as sharing none.
    pub(crate) fn shared_with(&self, epoch: u64) -> Result<Option<u64>, StoreError> {
        if epoch < self.epoch()?.epoch && !self.knows_epoch(epoch)? {
            return Ok(Some(0));
        }
        let least = self.one("SELECT min(size) FROM epoch WHERE epoch > ?1", [int(epoch)], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
        Ok(least.flatten().map(uint))
    }

    fn knows_epoch(&self, epoch: u64) -> Result<bool, StoreError> {
        let found = self.one("SELECT 1 FROM epoch WHERE epoch = ?1", [int(epoch)], |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(found.is_some())
    }

    /// The leaf of a page, by its header's hash.
    pub(crate) fn page_leaf(&self, page: &Hash) -> Result<Option<u64>, StoreError> {
        self.one("SELECT leaf FROM page WHERE hash = ?1", [page.as_bytes()], |row| {
            row.get(0).map(uint)
        })
    }

    /// Where a book's chain ends in an incarnation; at its beginning when the incarnation is new.
    pub(crate) fn tip(&self, book: BookId, incarnation: IncarnationId) -> Result<Tip, StoreError> {
        let found = self.one(
            "SELECT next, last FROM book_tip WHERE book = ?1 AND incarnation = ?2",
            params![book.as_bytes(), incarnation.as_bytes()],
            |row| {
                Ok(Tip {
                    incarnation,
                    next: uint(row.get(0)?),
                    last: id!(row, 1, Hash),
                })
            },
        )?;
        Ok(found.unwrap_or(Tip {
            incarnation,
            next: 0,
            last: Hash::from_bytes([0; 32]),
        }))
    }

    /// Every tree node, by level and number, and how many there are.
    pub(crate) fn tree_size(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM tree", [])
    }
}

impl WriteTx<'_> {
    /// Appends a leaf and the tree nodes that it completes.
    pub(crate) fn put_leaf(&self, number: u64, bytes: &[u8], nodes: &[Node]) -> Result<(), StoreError> {
        self.growth.borrow_mut().leaves = true;
        self.run(
            "INSERT INTO leaf (number, bytes) VALUES (?1, ?2)",
            params![int(number), bytes],
        )?;
        for node in nodes {
            self.run(
                "INSERT INTO tree (level, node, hash) VALUES (?1, ?2, ?3)",
                params![node.level, int(node.index), node.hash.as_bytes()],
            )?;
        }
        Ok(())
    }

    /// Opens a life of the ledger.
    pub(crate) fn put_epoch(&self, row: &EpochRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO epoch (epoch, size, follows_epoch, follows_size, follows_root) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                int(row.epoch),
                int(row.size),
                row.follows.map(|old| int(old.epoch)),
                row.follows.map(|old| int(old.size)),
                row.follows.map(|old| *old.root.as_bytes()),
            ],
        )?;
        Ok(())
    }

    /// Remembers a page, which is its book's last, and moves the book's tip there.
    pub(crate) fn put_page(&self, leaf: u64, book: BookId, received: UnixMillis, tip: &Tip) -> Result<(), StoreError> {
        self.growth.borrow_mut().books.insert(book);
        self.run(
            "INSERT INTO page (hash, leaf, book, incarnation, received) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                tip.last.as_bytes(),
                int(leaf),
                book.as_bytes(),
                tip.incarnation.as_bytes(),
                received.0
            ],
        )?;
        self.run(
            "INSERT INTO book_tip (book, incarnation, next, last) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (book, incarnation) DO UPDATE SET next = excluded.next, last = excluded.last",
            params![
                book.as_bytes(),
                tip.incarnation.as_bytes(),
                int(tip.next),
                tip.last.as_bytes()
            ],
        )?;
        Ok(())
    }
}
