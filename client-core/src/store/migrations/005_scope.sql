-- What the station must hold as well: digests of accepted state, records that leave the scope, what a restored station lost.

-- Of the record's accepted entries that have their place on the ledger (protocol::digest); none when there are none, or it leaves.
ALTER TABLE record ADD COLUMN digest BLOB;
-- Whether it left the scope and own work hangs on it still.
ALTER TABLE record ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN private_heads BLOB;
CREATE INDEX record_leaving ON record (record) WHERE leaving > 0;

-- `received`: when the station took it in. `whole`: the entry's bytes, where they cannot be made again out of this row. Accepted
-- entries without a leaf have no place on the station's ledger (any more). Status 6: the station lost it and would not have it back.
ALTER TABLE change ADD COLUMN received INTEGER;
ALTER TABLE change ADD COLUMN whole BLOB;
ALTER TABLE act ADD COLUMN received INTEGER;

ALTER TABLE draft ADD COLUMN based_private BLOB;

-- The leaf that said so last, since a fill may bring older events after newer ones.
ALTER TABLE person ADD COLUMN leaf INTEGER NOT NULL DEFAULT -1;
ALTER TABLE unit ADD COLUMN leaf INTEGER NOT NULL DEFAULT -1;

-- `agreed_at`: the last time that both digests were seen to be equal; `differs_since`: since when they have not been. `verify`: a
-- comparison of all records is asked for. `witness`: the newest checkpoint of the life of the ledger that was lost.
ALTER TABLE exchange ADD COLUMN agreed_at INTEGER;
ALTER TABLE exchange ADD COLUMN differs_since INTEGER;
ALTER TABLE exchange ADD COLUMN verified_at INTEGER;
ALTER TABLE exchange ADD COLUMN verify INTEGER NOT NULL DEFAULT 0;
ALTER TABLE exchange ADD COLUMN witness TEXT;

-- The sum of all records' digests.
CREATE TABLE digest (one INTEGER PRIMARY KEY CHECK (one = 1), records INTEGER NOT NULL, sum BLOB NOT NULL) STRICT;

-- Records that differ from the station's, to be sent whole.
CREATE TABLE wanted (record BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Accepted entries that a restored station lost, by the place that they had. Held until the greatest number: the station has taken it in, and it has not
-- come by the feed yet.
CREATE TABLE give (
  entry BLOB PRIMARY KEY,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  held_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The app that has read this file last: another one reads again what that could not.
CREATE TABLE reader (one INTEGER PRIMARY KEY CHECK (one = 1), app TEXT NOT NULL) STRICT;
