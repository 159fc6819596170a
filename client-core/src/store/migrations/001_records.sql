-- What lists show of a record; written in the transaction that changes the record. `n` numbers records in the order of their coming.
CREATE TABLE record (
  n INTEGER PRIMARY KEY,
  record BLOB NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  unit BLOB NOT NULL,
  opener_book BLOB NOT NULL,
  opener_user BLOB,
  opened_at INTEGER NOT NULL,
  -- Time of the newest change or act, by its author's clock.
  updated_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  title_zh TEXT NOT NULL,
  title_en TEXT NOT NULL,
  -- The record that this one is about (its first reference field): its title goes before this one's.
  about BLOB,
  -- Fields that lists may show, as JSON.
  facts TEXT NOT NULL,
  heads BLOB NOT NULL,
  pinned BLOB,
  offered BLOB,
  last_act BLOB,
  shown_version TEXT NOT NULL,
  waiting INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  came_back INTEGER NOT NULL,
  -- What could not be read of it; the entries are kept all the same.
  unreadable TEXT,
  -- What the record's row in `search` (of the same number) was made from.
  words_hash BLOB
) STRICT;
-- Every index costs each save a page: what one record's few rows can be searched for has none.
CREATE INDEX record_updated ON record (updated_at, n);
CREATE INDEX record_kind ON record (kind, updated_at, n);
CREATE INDEX record_about ON record (kind, about, opened_at) WHERE about IS NOT NULL;
CREATE INDEX record_waiting ON record (updated_at, n) WHERE waiting > 0;
CREATE INDEX record_refused ON record (updated_at, n) WHERE refused > 0;
CREATE INDEX record_conflicts ON record (updated_at, n) WHERE conflicts > 0;
CREATE INDEX record_came_back ON record (updated_at, n) WHERE came_back > 0;

-- Changes of documents. status: 0 accepted, 1 pending (own, no verdict yet), 2 parked (refused, or built on what was refused),
-- 3 unreadable (from the feed, and the guard would not have it), 4 arrived (from the feed, waiting for the guard or for what it
-- depends on), 5 answered (parked, and its author has dealt with it). Nothing here is ever deleted.
CREATE TABLE change (
  n INTEGER PRIMARY KEY,
  entry BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  change_hash BLOB,
  -- Hashes of the changes that it depends on, 32 bytes each.
  deps BLOB NOT NULL,
  -- Kind, version and unit, on the change that opens the record.
  opens BLOB,
  settles INTEGER NOT NULL,
  book BLOB NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  leaf INTEGER,
  position INTEGER,
  -- Whether the snapshot holds it.
  folded INTEGER NOT NULL DEFAULT 0,
  code TEXT,
  text TEXT,
  -- Last, so that counting rows reads no long pages.
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX change_record ON change (record, document, folded, n);
CREATE INDEX change_parked ON change (record, n) WHERE status = 2;

-- Acts, with the same statuses. `offered`: taken in as an offer to supplement.
CREATE TABLE act (
  n INTEGER PRIMARY KEY,
  entry BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL,
  book BLOB NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  offered INTEGER NOT NULL DEFAULT 0,
  leaf INTEGER,
  position INTEGER,
  code TEXT,
  text TEXT,
  -- Last, so that counting rows reads no long pages.
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX act_record ON act (record, status, leaf, position, n);
CREATE INDEX act_parked ON act (record, n) WHERE status = 2;

-- The accepted changes of a long document as one, so that it opens quickly.
CREATE TABLE snapshot (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (record, document)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE search USING fts5 (
  words, initials, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'
);

-- Entries that no record could be found in: kept, so that a newer app may read them.
CREATE TABLE unread (
  entry BLOB PRIMARY KEY,
  bytes BLOB NOT NULL,
  book BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  why TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What is being typed. `answers`: the parked entry whose values it offers again.
CREATE TABLE draft (
  draft BLOB PRIMARY KEY,
  record BLOB,
  kind TEXT NOT NULL,
  edit TEXT NOT NULL,
  based_on TEXT,
  based_heads BLOB,
  answers BLOB,
  saved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_saved ON draft (saved_at, draft);

-- The patrol that is going on: at most one. `state`: the recorder after event `cut`.
CREATE TABLE patrol (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  record BLOB NOT NULL,
  started_at INTEGER NOT NULL,
  cut INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;

-- What its recorder was told, as it came. what: 0 fix, 1 broke (reason), 2 resumed.
CREATE TABLE track_event (
  n INTEGER PRIMARY KEY,
  what INTEGER NOT NULL,
  at INTEGER UNIQUE,
  lat_e6 INTEGER,
  lon_e6 INTEGER,
  accuracy_m INTEGER,
  source INTEGER,
  is_mock INTEGER,
  reason INTEGER
) STRICT;

-- Own entries in the order of their writing.
CREATE TABLE outbox (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  entry BLOB NOT NULL UNIQUE,
  record BLOB,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE identity (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  user BLOB NOT NULL,
  unit BLOB NOT NULL,
  book BLOB NOT NULL
) STRICT;

CREATE TABLE person (user BLOB PRIMARY KEY, name TEXT NOT NULL, roles TEXT NOT NULL, unit BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE book (book BLOB PRIMARY KEY, user BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE unit (unit BLOB PRIMARY KEY, name TEXT NOT NULL, parent BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE kind (kind TEXT NOT NULL, version INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY (kind, version)) STRICT, WITHOUT ROWID;
