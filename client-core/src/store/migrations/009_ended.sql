-- What the station said when this book's writing ended, and which of its pages need not be sent any more: taken in before, held by the
-- station for the chief, or refused by it (by code). Until keys and records are destroyed nothing else is read or written.
CREATE TABLE ended (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  why TEXT NOT NULL,
  -- By the station's clock, and when this phone heard of it by its own.
  ended_at INTEGER NOT NULL,
  heard_at INTEGER NOT NULL,
  wipe_order BLOB NOT NULL
) STRICT;
CREATE TABLE ended_page (hash BLOB PRIMARY KEY, code TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Books whose writing ended, as the ledger says it.
CREATE TABLE book_end (book BLOB PRIMARY KEY, why TEXT NOT NULL, leaf INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- How this file's books were enrolled: what the invitation said of the station, and the digits that both screens show.
CREATE TABLE enrolment (
  book BLOB PRIMARY KEY,
  origin TEXT,
  fingerprint BLOB,
  digits TEXT,
  awaits INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
