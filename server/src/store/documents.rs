//! Rows of documents: their changes in the ledger's order, snapshots of long ones, author marks. Looks into no document.

use beatbook_protocol::id::{ActorId, BookId, Hash, RecordId, UserId};
use beatbook_protocol::kind::DocumentName;
use rusqlite::params;

use super::connection::{id, int, uint};
use super::scrub::{CONTENT, SNAPSHOT};
use super::{ReadTx, StoreError, WriteTx};

fn code(document: DocumentName) -> u8 {
    match document {
        DocumentName::Facts => 0,
        DocumentName::Private => 1,
    }
}

impl ReadTx<'_> {
    /// The snapshot of a document and the leaf up to which it reaches.
    pub(crate) fn snapshot(&self, record: RecordId, document: DocumentName) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let found: Option<(u64, Vec<u8>)> = self.one(
            "SELECT leaf, bytes FROM snapshot WHERE record = ?1 AND document = ?2",
            params![record.as_bytes(), code(document)],
            |row| Ok((uint(row.get(0)?), row.get(1)?)),
        )?;
        found
            .map(|(leaf, bytes)| {
                Ok((
                    leaf,
                    self.opened(SNAPSHOT, record.as_bytes(), bytes, document == DocumentName::Private)?,
                ))
            })
            .transpose()
    }

    /// The bytes of the change entries of a document after a leaf (or all), in the ledger's order.
    pub(crate) fn change_entries(
        &self,
        record: RecordId,
        document: DocumentName,
        after: Option<u64>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows: Vec<(Hash, Vec<u8>, bool)> = self.all(
            "SELECT c.id, c.bytes, c.sealed FROM change AS h JOIN content AS c ON c.id = h.entry
             WHERE h.record = ?1 AND h.document = ?2 AND h.leaf > ?3 ORDER BY h.leaf, h.position",
            params![record.as_bytes(), code(document), after.map_or(-1, int)],
            |row| Ok((id!(row, 0, Hash), row.get(1)?, row.get(2)?)),
        )?;
        rows.into_iter()
            .map(|(id, bytes, sealed)| self.opened(CONTENT, id.as_bytes(), bytes, sealed))
            .collect()
    }

    /// Who wrote the changes of a document, by change.
    pub(crate) fn change_authors(&self, record: RecordId, document: DocumentName) -> Result<Vec<(Hash, UserId)>, StoreError> {
        self.all(
            "SELECT hash, author FROM change WHERE record = ?1 AND document = ?2 ORDER BY hash",
            params![record.as_bytes(), code(document)],
            |row| Ok((id!(row, 0, Hash), id!(row, 1, UserId))),
        )
    }

    /// Whether a book's change was refused.
    pub(crate) fn is_refused(
        &self,
        record: RecordId,
        document: DocumentName,
        hash: &Hash,
        book: BookId,
    ) -> Result<bool, StoreError> {
        let found = self.one(
            "SELECT 1 FROM refused_change WHERE record = ?1 AND document = ?2 AND hash = ?3 AND book = ?4",
            params![record.as_bytes(), code(document), hash.as_bytes(), book.as_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The book of an author mark.
    pub(crate) fn actor(&self, actor: ActorId) -> Result<Option<BookId>, StoreError> {
        self.one("SELECT book FROM actor WHERE actor = ?1", [actor.as_bytes()], |row| {
            Ok(id!(row, 0, BookId))
        })
    }

    /// Whether an author mark belongs to a book of somebody else. A new book of the same person goes on in the file of the old one, and
    /// brings what was written there under the old one's mark.
    pub(crate) fn is_foreign(&self, actor: ActorId, book: BookId) -> Result<bool, StoreError> {
        Ok(self
            .one(
                "SELECT 1 FROM actor AS a LEFT JOIN book AS b ON b.book = a.book WHERE a.actor = ?1 AND a.book <> ?2
                 AND b.user IS NOT (SELECT user FROM book WHERE book = ?2)",
                [actor.as_bytes().as_slice(), book.as_bytes().as_slice()],
                |_| Ok(()),
            )?
            .is_some())
    }
}

impl WriteTx<'_> {
    /// Puts an accepted change.
    #[expect(clippy::too_many_arguments, reason = "one row, each column once")]
    pub(crate) fn put_change(
        &self,
        record: RecordId,
        document: DocumentName,
        hash: &Hash,
        leaf: u64,
        position: u32,
        entry: &Hash,
        author: UserId,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO change (record, document, hash, leaf, position, entry, author) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                record.as_bytes(),
                code(document),
                hash.as_bytes(),
                int(leaf),
                position,
                entry.as_bytes(),
                author.as_bytes()
            ],
        )?;
        self.run(
            "DELETE FROM refused_change WHERE record = ?1 AND document = ?2 AND hash = ?3",
            params![record.as_bytes(), code(document), hash.as_bytes()],
        )?;
        Ok(())
    }

    /// Notes a refused change.
    pub(crate) fn put_refused(
        &self,
        record: RecordId,
        document: DocumentName,
        hash: &Hash,
        book: BookId,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO refused_change (record, document, hash, book) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![record.as_bytes(), code(document), hash.as_bytes(), book.as_bytes()],
        )?;
        Ok(())
    }

    /// Binds an author mark to the book that wrote under it first.
    pub(crate) fn put_actor(&self, actor: ActorId, book: BookId) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO actor (actor, book) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![actor.as_bytes(), book.as_bytes()],
        )?;
        Ok(())
    }

    /// Puts a snapshot that holds every change up to a leaf.
    pub(crate) fn put_snapshot(
        &self,
        record: RecordId,
        document: DocumentName,
        leaf: u64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let (bytes, _) = self.sealed(SNAPSHOT, record.as_bytes(), bytes, document == DocumentName::Private)?;
        self.run(
            "INSERT INTO snapshot (record, document, leaf, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (record, document) DO UPDATE SET leaf = excluded.leaf, bytes = excluded.bytes",
            params![record.as_bytes(), code(document), int(leaf), bytes],
        )?;
        Ok(())
    }
}
