-- Where a person works beside his own unit, which units are closed, to whom records are granted, and in which unit a draft will open one.

ALTER TABLE unit ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE draft ADD COLUMN unit BLOB;

-- Memberships as the station said them last. `phase`: 0 planned, 1 in force, 2 ended.
CREATE TABLE membership (
  membership BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  unit BLOB NOT NULL,
  roles TEXT NOT NULL,
  stands_in_for BLOB,
  until_at INTEGER,
  phase INTEGER NOT NULL,
  leaf INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_user ON membership (user);

-- To whom records are granted that are here, beside the people of their units.
CREATE TABLE granted (
  record BLOB NOT NULL,
  grantee BLOB NOT NULL,
  ended INTEGER NOT NULL,
  leaf INTEGER NOT NULL,
  PRIMARY KEY (record, grantee)
) STRICT, WITHOUT ROWID;
