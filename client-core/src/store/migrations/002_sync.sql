-- Where the exchange with the station stands.

-- The books that this file has had. At most one is being enrolled and at most one is in use; the facts of the station are those of
-- its answer. `request` is the packed enrolment request, kept so that a lost answer is asked for again with the same key.
CREATE TABLE own_book (
  book BLOB PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('begun', 'enrolled', 'left')),
  suite INTEGER NOT NULL,
  key_handle TEXT NOT NULL,
  public_key BLOB NOT NULL,
  code TEXT NOT NULL,
  request BLOB NOT NULL,
  begun_at INTEGER NOT NULL,
  origin TEXT,
  station TEXT,
  checkpoint_key BLOB,
  receipt_key BLOB
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX own_book_state ON own_book (state) WHERE state <> 'left';

-- Private keys of books, where no keystore of the device holds them.
CREATE TABLE vault (handle TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- The lives of this file, in order; the last one is the one that is written in. `next` and `last` are the number of its next page and
-- the hash of its last header: they stay when pages leave.
CREATE TABLE incarnation (
  life INTEGER PRIMARY KEY AUTOINCREMENT,
  incarnation BLOB NOT NULL UNIQUE,
  book BLOB NOT NULL,
  next INTEGER NOT NULL,
  last BLOB NOT NULL,
  -- Where the life before was left, and why.
  follows BLOB,
  broken_at INTEGER,
  reason TEXT
) STRICT;

-- Sealed pages. The header is here before it is signed. `leaf` and `verdicts` (CBOR) are the station's answer.
CREATE TABLE page (
  life INTEGER NOT NULL REFERENCES incarnation (life),
  sequence INTEGER NOT NULL,
  header BLOB NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  seed BLOB NOT NULL,
  signature BLOB,
  state TEXT NOT NULL CHECK (state IN ('sealed', 'answered', 'quarantined')),
  leaf INTEGER,
  verdicts BLOB,
  fault TEXT,
  PRIMARY KEY (life, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_sealed ON page (life, sequence) WHERE state = 'sealed';
CREATE INDEX page_answered ON page (leaf) WHERE state = 'answered';

-- Which outbox entries a page holds.
CREATE TABLE page_entry (
  life INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  position INTEGER NOT NULL,
  n INTEGER NOT NULL REFERENCES outbox (n),
  PRIMARY KEY (life, sequence, position),
  FOREIGN KEY (life, sequence) REFERENCES page (life, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_entry_n ON page_entry (n);

-- Outbox entries that are in no page yet, or must go into one again. `held_until`: not before that time, since the station lacks what
-- the entry needs; anything new from the station releases it.
CREATE TABLE queue (
  n INTEGER PRIMARY KEY REFERENCES outbox (n),
  tries INTEGER NOT NULL,
  held_until INTEGER NOT NULL
) STRICT;

-- How far the file is with its station.
CREATE TABLE exchange (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  cursor BLOB,
  checkpoint TEXT,
  token TEXT,
  contact_at INTEGER,
  complete_at INTEGER,
  fault_at INTEGER,
  fault TEXT,
  not_before INTEGER
) STRICT;

-- The station's signed word on replies that answered pages: `items` are the hashes under the root, 32 bytes each, answers first.
CREATE TABLE receipt (
  n INTEGER PRIMARY KEY,
  root BLOB NOT NULL UNIQUE,
  signature BLOB NOT NULL,
  items BLOB NOT NULL,
  at INTEGER NOT NULL
) STRICT;
