-- What the station has said of itself beside the records.

-- The set of kind files that the station has in force, as it sent it last: by it new records are made, and by its digest the phone asks
-- whether there is more. `digest`: of the file as the station has it.
CREATE TABLE kind_in_force (
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (kind, version)
) STRICT, WITHOUT ROWID;

-- The least version of the app that the station wants; no row while it wants none.
CREATE TABLE app_min (one INTEGER PRIMARY KEY CHECK (one = 1), version TEXT NOT NULL) STRICT;

-- Records that were merged into another, and the one that stays at the end of all merges; none while they make a loop.
CREATE TABLE merged (record BLOB PRIMARY KEY, target BLOB NOT NULL, root BLOB) STRICT, WITHOUT ROWID;
CREATE INDEX merged_root ON merged (root) WHERE root IS NOT NULL;
