-- What the lock beside this file needs of it.

-- Keys of units' custodians, which emergency notes are sealed to.
CREATE TABLE unit_key (
  unit BLOB NOT NULL,
  key BLOB NOT NULL,
  ended INTEGER NOT NULL,
  leaf INTEGER NOT NULL,
  PRIMARY KEY (unit, key)
) STRICT, WITHOUT ROWID;

-- The station's last word on the time and the lease, and what the phone's clocks showed then.
CREATE TABLE station_word (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  station_time INTEGER NOT NULL,
  lease_ms INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  monotonic_ms INTEGER NOT NULL
) STRICT;

-- The share of this file's key that the station keeps: its name, and its bytes until it does.
CREATE TABLE own_share (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  name BLOB NOT NULL,
  share BLOB,
  kept INTEGER NOT NULL
) STRICT;
