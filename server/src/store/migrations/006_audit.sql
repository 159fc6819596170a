-- Who read, exported, signed in or changed what. No projection: its lines are chained by hash, and the ledger holds the hash of the last.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  user BLOB,
  what TEXT NOT NULL,
  record BLOB,
  detail TEXT NOT NULL,
  reason TEXT,
  hash BLOB NOT NULL
) STRICT;
