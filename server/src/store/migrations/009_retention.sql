-- What is sensitive is not readable in a copied database, and what is over goes.

-- Sealed with a key that lies outside the database: contents of private documents, what could not be read, and pages set aside.
ALTER TABLE content ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
-- Snapshots of private documents are made again, sealed.
DELETE FROM snapshot WHERE document = 1;

-- Up to which row `content` was sealed, while a database of an earlier version is being sealed batch by batch.
CREATE TABLE unsealed (one INTEGER PRIMARY KEY CHECK (one = 1), after INTEGER NOT NULL) STRICT;
INSERT INTO unsealed (one, after) VALUES (1, 0);
-- Bytes were deleted that may still lie in the search index and the journal, or (`whole`) anywhere in the file.
CREATE TABLE scrub (one INTEGER PRIMARY KEY CHECK (one = 1), whole INTEGER NOT NULL) STRICT;
INSERT INTO scrub (one, whole) VALUES (1, 1);

-- Ledger: what stays of an entry whose salt and bytes were destroyed, beside its row in `entry`, where the salt is empty and the id is the
-- salted hash that stands under its page's root. `event`: the destruction that names it. `late`: it came when its record was destroyed
-- already, and was refused. `actor`: the author mark that it bound to `book`. `opens`: kind, version and unit that it opened a record with.
CREATE TABLE destroyed_entry (
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  event BLOB NOT NULL,
  book BLOB NOT NULL,
  actor BLOB,
  opens BLOB,
  late INTEGER NOT NULL,
  PRIMARY KEY (leaf, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX destroyed_entry_event ON destroyed_entry (event, leaf, position);

-- Projection: destructions. `document`: 1 the private one alone, none the whole record. `at` is the station's clock.
CREATE TABLE destruction (
  event BLOB PRIMARY KEY,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  at INTEGER NOT NULL,
  record BLOB NOT NULL,
  document INTEGER,
  why TEXT NOT NULL,
  rule TEXT NOT NULL,
  entries INTEGER NOT NULL,
  root BLOB NOT NULL,
  on_behalf BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX destruction_record ON destruction (record);
CREATE INDEX destruction_leaf ON destruction (leaf, position);

-- Projection: records that were destroyed as a whole, with the number that they had and that no other gets. `event` is none while a
-- rebuild has not come to it; kind and unit are none for a record that this life of the ledger never held.
CREATE TABLE gone (
  record BLOB PRIMARY KEY,
  number INTEGER,
  kind TEXT,
  kind_version INTEGER,
  unit BLOB,
  event BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX gone_number ON gone (number);

-- Projection: records that are kept beyond their time, on which ground, and who said so.
CREATE TABLE hold (
  record BLOB PRIMARY KEY,
  ground TEXT NOT NULL,
  since INTEGER NOT NULL,
  leaf INTEGER NOT NULL,
  on_behalf BLOB
) STRICT, WITHOUT ROWID;

-- Operational: blobs that nothing names any more since a destruction, and whether their files are removed.
CREATE TABLE blob_destroyed (hash BLOB PRIMARY KEY, removed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
