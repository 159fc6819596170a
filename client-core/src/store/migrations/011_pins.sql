-- The keys of the station's certificate, as it announced them last: SHA-256 each, one behind the other.
CREATE TABLE pins (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  origin TEXT NOT NULL,
  said_at INTEGER NOT NULL,
  keys BLOB NOT NULL
) STRICT;
