-- Photos and recordings: what is here, what waits for the station, what is wanted from it, and which records name it.

-- The content lies in a folder beside this file, encrypted chunk by chunk under `secret`, a key of its own; without one nothing is here.
-- `held` bytes of it are there, all of them when it is `whole`. `arrived_at`: since when the station says that it has it, last asked at
-- `asked_at`.
CREATE TABLE blob (
  hash BLOB PRIMARY KEY,
  bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  secret BLOB,
  held INTEGER NOT NULL,
  whole INTEGER NOT NULL,
  arrived_at INTEGER,
  asked_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_asked ON blob (asked_at);

-- Own blobs that the station has not acknowledged. `begun`: it may have some of it; `sent` is what it said that it has.
CREATE TABLE blob_outbox (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  hash BLOB NOT NULL UNIQUE REFERENCES blob (hash),
  record BLOB NOT NULL,
  thumbnail INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  since INTEGER NOT NULL,
  begun INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  fault TEXT
) STRICT;

-- Blobs that somebody wants to see.
CREATE TABLE blob_wanted (
  hash BLOB PRIMARY KEY REFERENCES blob (hash),
  since INTEGER NOT NULL,
  fault TEXT
) STRICT, WITHOUT ROWID;

-- The life of the station's ledger in which it last said what has arrived: a restored one may have lost some.
CREATE TABLE blob_check (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL
) STRICT;

-- The files that records name, as their documents say.
CREATE TABLE record_file (
  record BLOB NOT NULL,
  hash BLOB NOT NULL,
  field TEXT NOT NULL,
  media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  thumbnail BLOB,
  removed INTEGER NOT NULL,
  PRIMARY KEY (record, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_file_hash ON record_file (hash);
CREATE INDEX record_file_thumbnail ON record_file (thumbnail) WHERE thumbnail IS NOT NULL;

-- Keys of files whose records have left this phone: nothing opens them any more, and they are removed.
CREATE TABLE blob_left (secret BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
