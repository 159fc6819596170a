-- Parcels: own pages for others to carry, and what is carried for others.

-- The station's sealing key, as it was told last.
CREATE TABLE sealing (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  origin TEXT NOT NULL,
  key BLOB NOT NULL,
  told_at INTEGER NOT NULL
) STRICT;

-- Parcels made here. `secret` opens the answer.
CREATE TABLE parcel_made (
  n INTEGER PRIMARY KEY,
  parcel BLOB NOT NULL UNIQUE,
  secret BLOB NOT NULL,
  entries INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  answered_at INTEGER
) STRICT;

-- Parcels of others. `bytes` is the file while it waits; then the answer's file is in its place.
CREATE TABLE parcel_carried (
  n INTEGER PRIMARY KEY,
  parcel BLOB NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'answered', 'refused')),
  taken_at INTEGER NOT NULL,
  answered_at INTEGER,
  handed_at INTEGER,
  code TEXT,
  text TEXT,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX parcel_carried_waiting ON parcel_carried (n) WHERE state = 'waiting';
