-- Photos and recordings lie in files named by their SHA-256; here is which records name them, and which uploads are under way.

-- Projection: the files that records name. `document`: 0 facts, 1 private. `thumbnail` is a blob of its own.
CREATE TABLE record_file (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  hash BLOB NOT NULL,
  field TEXT NOT NULL,
  media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  thumbnail BLOB,
  removed INTEGER NOT NULL,
  PRIMARY KEY (record, document, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_file_hash ON record_file (hash);
CREATE INDEX record_file_thumbnail ON record_file (thumbnail) WHERE thumbnail IS NOT NULL;

-- Operational: what books have begun to upload, and what arrived before any record named it. How much has come says the file alone.
CREATE TABLE blob_upload (
  book BLOB NOT NULL,
  hash BLOB NOT NULL,
  length INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,
  arrived INTEGER NOT NULL,
  PRIMARY KEY (book, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_upload_touched ON blob_upload (touched_at);
CREATE INDEX blob_upload_hash ON blob_upload (hash);

-- Which records name which blobs is folded from the ledger.
INSERT OR IGNORE INTO stale SELECT 1 WHERE EXISTS (SELECT 1 FROM leaf);
