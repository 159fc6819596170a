-- ---- projections of links and merges ----

-- The record that a record is about: what its first reference field names.
CREATE TABLE about (record BLOB PRIMARY KEY, target BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX about_target ON about (target);

-- Records that were merged into another (`target`), and the one that stays at the end of all merges (`root`).
CREATE TABLE merged (record BLOB PRIMARY KEY, target BLOB NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX merged_target ON merged (target);
CREATE INDEX merged_root ON merged (root);

-- By what a record may be told to be another one of its kind.
CREATE TABLE duplicate_key (
  record BLOB NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  PRIMARY KEY (record, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX duplicate_key_kind ON duplicate_key (kind, key, record);

-- Pairs that a person said are two; the smaller id first.
CREATE TABLE not_duplicate (
  record BLOB NOT NULL,
  other BLOB NOT NULL,
  PRIMARY KEY (record, other)
) STRICT, WITHOUT ROWID;

-- ---- operational, of phones ----

-- What each phone said last: its app, and what it still owed then beside what that request carried. `agrees`: whether its digest was the
-- station's when they were last compared.
CREATE TABLE owed (
  book BLOB PRIMARY KEY,
  app TEXT NOT NULL,
  said_at INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  since INTEGER,
  blobs INTEGER NOT NULL,
  blob_bytes INTEGER NOT NULL,
  came_back INTEGER NOT NULL,
  agrees INTEGER,
  compared_at INTEGER
) STRICT, WITHOUT ROWID;
