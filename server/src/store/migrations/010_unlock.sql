-- Shares of phones' keys, each sealed under the station's key of columns and bound to its book.
CREATE TABLE unlock_share (
  book BLOB PRIMARY KEY,
  share BLOB NOT NULL,
  name BLOB NOT NULL,
  kept_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One-time codes that let a person into his phone again, as SHA-256 only; used by one request of one book.
CREATE TABLE unlock_code (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  book BLOB,
  reply_key BLOB
) STRICT, WITHOUT ROWID;

-- Wrong codes of each phone.
CREATE TABLE unlock_try (book BLOB PRIMARY KEY, wrong INTEGER NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Emergency notes, sealed as they came. `read_at`: when somebody was shown it first.
CREATE TABLE note (
  number INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  book BLOB NOT NULL,
  user BLOB NOT NULL,
  unit BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  file BLOB NOT NULL,
  read_at INTEGER
) STRICT;
CREATE INDEX note_book ON note (book);

-- Public keys of units' custodians. A projection.
CREATE TABLE unit_key (
  unit BLOB NOT NULL,
  key BLOB NOT NULL,
  custodian TEXT NOT NULL,
  ended INTEGER NOT NULL,
  PRIMARY KEY (unit, key)
) STRICT, WITHOUT ROWID;
