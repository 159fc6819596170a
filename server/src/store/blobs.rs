//! Rows about blobs: which records name them (a projection), and the uploads under way (operational). The bytes are files, elsewhere.

use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::params;

use super::connection::{id, int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// A file that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRow {
    /// Whether the `private` document names it.
    pub(crate) private: bool,
    /// The blob.
    pub(crate) hash: Hash,
    /// The field it belongs to.
    pub(crate) field: String,
    /// Media type, as its author says.
    pub(crate) media_type: String,
    /// Length in bytes, as its author says.
    pub(crate) bytes: u64,
    /// A small picture of it.
    pub(crate) thumbnail: Option<Hash>,
    /// Whether somebody took it out.
    pub(crate) removed: bool,
}

/// An upload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadRow {
    /// The book that uploads.
    pub(crate) book: BookId,
    /// The blob.
    pub(crate) hash: Hash,
    /// How long it will be.
    pub(crate) length: u64,
    /// When the book last said something of it.
    pub(crate) touched_at: UnixMillis,
    /// Whether it is whole.
    pub(crate) arrived: bool,
}

const IS_NAMED: &str = "(EXISTS (SELECT 1 FROM record_file AS f WHERE f.hash = u.hash) OR
     EXISTS (SELECT 1 FROM record_file AS f WHERE f.thumbnail = u.hash))";

/// A record that names a blob.
#[derive(Debug, Clone)]
pub(crate) struct NamedBlob {
    /// The record.
    pub(crate) record: RecordId,
    /// Whether its `private` document does.
    pub(crate) private: bool,
    /// Media type, as it says; none for a thumbnail.
    pub(crate) media_type: Option<String>,
    /// The field that it belongs to.
    pub(crate) field: String,
}

impl ReadTx<'_> {
    /// The records that name a blob, as a file or as a thumbnail: record, whether in `private`, media type.
    pub(crate) fn naming(&self, hash: &Hash) -> Result<Vec<NamedBlob>, StoreError> {
        self.all(
            "SELECT record, document, media_type, field FROM record_file WHERE hash = ?1
             UNION ALL SELECT record, document, NULL, field FROM record_file WHERE thumbnail = ?1 ORDER BY 1, 2, 3",
            [hash.as_bytes()],
            |row| {
                Ok(NamedBlob {
                    record: id!(row, 0, RecordId),
                    private: row.get(1)?,
                    media_type: row.get(2)?,
                    field: row.get(3)?,
                })
            },
        )
    }

    /// Every blob that some record names, thumbnails included, ascending.
    pub(crate) fn named_blobs(&self) -> Result<Vec<Hash>, StoreError> {
        self.all(
            "SELECT hash FROM record_file UNION SELECT thumbnail FROM record_file WHERE thumbnail IS NOT NULL ORDER BY 1",
            [],
            |row| Ok(id!(row, 0, Hash)),
        )
    }

    /// A book's upload of a blob.
    pub(crate) fn upload(&self, book: BookId, hash: &Hash) -> Result<Option<UploadRow>, StoreError> {
        self.one(
            "SELECT book, hash, length, touched_at, arrived FROM blob_upload WHERE book = ?1 AND hash = ?2",
            params![book.as_bytes(), hash.as_bytes()],
            read_upload,
        )
    }

    /// What a book has under way or brought without a record that names it: how many, and bytes; one blob left out.
    pub(crate) fn unnamed_uploads(&self, book: BookId, but: &Hash) -> Result<(u64, u64), StoreError> {
        let sql = format!(
            "SELECT count(*), coalesce(sum(length), 0) FROM blob_upload AS u WHERE book = ?1 AND hash <> ?2 AND NOT {IS_NAMED}"
        );
        let read = |row: &rusqlite::Row<'_>| Ok((uint(row.get(0)?), uint(row.get(1)?)));
        Ok(self
            .one(&sql, params![book.as_bytes(), but.as_bytes()], read)?
            .unwrap_or_default())
    }

    /// Uploads, whole ones or parts, that nothing was heard of since a time, the oldest first.
    pub(crate) fn stale_uploads(&self, arrived: bool, before: UnixMillis, limit: u32) -> Result<Vec<UploadRow>, StoreError> {
        self.all(
            "SELECT book, hash, length, touched_at, arrived FROM blob_upload WHERE touched_at < ?1 AND arrived = ?3
             ORDER BY touched_at, book, hash LIMIT ?2",
            params![before.0, limit, arrived],
            read_upload,
        )
    }

    /// Whether some record names a blob.
    pub(crate) fn is_named(&self, hash: &Hash) -> Result<bool, StoreError> {
        self.is_wanted(hash, UnixMillis(i64::MAX))
    }

    /// Whether some record names a blob, or some book spoke of it since a time.
    pub(crate) fn is_wanted(&self, hash: &Hash, since: UnixMillis) -> Result<bool, StoreError> {
        let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM record_file WHERE hash = ?1)
             OR EXISTS (SELECT 1 FROM record_file WHERE thumbnail = ?1)
             OR EXISTS (SELECT 1 FROM blob_upload WHERE hash = ?1 AND touched_at >= ?2)";
        Ok(self.one(sql, params![hash.as_bytes(), since.0], |_| Ok(()))?.is_some())
    }

    /// The blobs that a record names, as a file or a small picture; those of its private document alone, or all.
    pub(crate) fn named_by(&self, record: RecordId, private: bool) -> Result<Vec<Hash>, StoreError> {
        self.all(
            "SELECT hash FROM record_file WHERE record = ?1 AND document >= ?2
             UNION SELECT thumbnail FROM record_file WHERE record = ?1 AND document >= ?2 AND thumbnail IS NOT NULL ORDER BY 1",
            params![record.as_bytes(), private],
            |row| Ok(id!(row, 0, Hash)),
        )
    }

    /// Blobs that destructions left without a name: those whose files are still to be removed, or all.
    pub(crate) fn blobs_destroyed(&self, removed_too: bool) -> Result<Vec<Hash>, StoreError> {
        self.all(
            "SELECT hash FROM blob_destroyed WHERE removed <= ?1 ORDER BY hash",
            [removed_too],
            |row| Ok(id!(row, 0, Hash)),
        )
    }

    /// The books that have an upload of a blob.
    pub(crate) fn uploaders(&self, hash: &Hash) -> Result<Vec<BookId>, StoreError> {
        self.all(
            "SELECT book FROM blob_upload WHERE hash = ?1 ORDER BY book",
            [hash.as_bytes()],
            |row| Ok(id!(row, 0, BookId)),
        )
    }
}

impl WriteTx<'_> {
    /// Puts the files that a record names, in place of those it named before.
    pub(crate) fn put_files(&self, record: RecordId, files: &[FileRow]) -> Result<(), StoreError> {
        self.run("DELETE FROM record_file WHERE record = ?1", [record.as_bytes()])?;
        for file in files {
            self.run(
                "INSERT INTO record_file (record, document, hash, field, media_type, bytes, thumbnail, removed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    record.as_bytes(),
                    file.private,
                    file.hash.as_bytes(),
                    file.field,
                    file.media_type,
                    int(file.bytes),
                    file.thumbnail.as_ref().map(Hash::as_bytes),
                    file.removed
                ],
            )?;
        }
        Ok(())
    }

    /// Puts an upload, new or known.
    pub(crate) fn put_upload(&self, upload: &UploadRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO blob_upload (book, hash, length, touched_at, arrived) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (book, hash) DO UPDATE SET length = excluded.length, touched_at = excluded.touched_at, arrived = excluded.arrived",
            params![
                upload.book.as_bytes(),
                upload.hash.as_bytes(),
                int(upload.length),
                upload.touched_at.0,
                upload.arrived
            ],
        )?;
        Ok(())
    }

    /// Forgets an upload.
    pub(crate) fn drop_upload(&self, book: BookId, hash: &Hash) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM blob_upload WHERE book = ?1 AND hash = ?2",
            params![book.as_bytes(), hash.as_bytes()],
        )?;
        Ok(())
    }

    /// Notes a blob that nothing names any more.
    pub(crate) fn put_blob_destroyed(&self, hash: &Hash) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO blob_destroyed (hash, removed) VALUES (?1, 0) ON CONFLICT (hash) DO UPDATE SET removed = 0",
            [hash.as_bytes()],
        )?;
        Ok(())
    }

    /// Notes that its file is removed.
    pub(crate) fn put_blob_removed(&self, hash: &Hash) -> Result<(), StoreError> {
        self.run("UPDATE blob_destroyed SET removed = 1 WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(())
    }
}

fn read_upload(row: &rusqlite::Row<'_>) -> rusqlite::Result<UploadRow> {
    Ok(UploadRow {
        book: id!(row, 0, BookId),
        hash: id!(row, 1, Hash),
        length: uint(row.get(2)?),
        touched_at: UnixMillis(row.get(3)?),
        arrived: row.get(4)?,
    })
}
