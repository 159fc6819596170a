-- Scope at any size of the ledger, digests of what everybody must hold, and what was given back after a restore.

-- ---- projections ----

-- Where each person worked and as what, each from this entry on. `roles`: codes, one space between.
CREATE TABLE user_at (
  user BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  unit BLOB NOT NULL,
  roles TEXT NOT NULL,
  PRIMARY KEY (user, leaf, position)
) STRICT, WITHOUT ROWID;

-- Where each unit stood in the tree, each from this entry on.
CREATE TABLE unit_at (
  unit BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  parent BLOB,
  PRIMARY KEY (unit, leaf, position)
) STRICT, WITHOUT ROWID;

-- Records assigned to or shared with a person or a unit (`grantee`), each from this entry on, or no longer.
CREATE TABLE grant_at (
  record BLOB NOT NULL,
  grantee BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  PRIMARY KEY (record, grantee, leaf, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_at_grantee ON grant_at (grantee, record);
CREATE INDEX grant_at_leaf ON grant_at (leaf, position);

-- The grants in force.
CREATE TABLE granted (
  record BLOB NOT NULL,
  grantee BLOB NOT NULL,
  is_unit INTEGER NOT NULL,
  reason TEXT NOT NULL,
  leaf INTEGER NOT NULL,
  PRIMARY KEY (record, grantee)
) STRICT, WITHOUT ROWID;
CREATE INDEX granted_grantee ON granted (grantee, record);

-- The digest of each record's accepted state, in its two parts, and the leaf that opened the record.
CREATE TABLE record_digest (
  record BLOB PRIMARY KEY,
  opened INTEGER NOT NULL,
  facts BLOB NOT NULL,
  private BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Their sums, so that what a phone must hold is known without looking at its records.
CREATE TABLE digest_sum (
  unit BLOB NOT NULL,
  kind TEXT NOT NULL,
  kind_version INTEGER NOT NULL,
  opener BLOB NOT NULL,
  records INTEGER NOT NULL,
  facts BLOB NOT NULL,
  private BLOB NOT NULL,
  PRIMARY KEY (unit, kind, kind_version, opener)
) STRICT, WITHOUT ROWID;

-- Entries that a colleague's phone gave back: whose book they are said to come from, whose gave them, and the leaf in which they came
-- in a page of their author, once they did.
CREATE TABLE recovered (
  entry BLOB PRIMARY KEY,
  record BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  book BLOB NOT NULL,
  giver BLOB NOT NULL,
  returned INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX recovered_record ON recovered (record, leaf, position);
CREATE INDEX recovered_place ON recovered (leaf, position);

CREATE INDEX record_unit ON record (unit, number);
CREATE INDEX entry_registry ON entry (leaf, position) WHERE record IS NULL;

-- ---- operational ----

-- A history that this station's key signed and that is not this ledger's: since then nothing is signed.
CREATE TABLE alarm (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at INTEGER NOT NULL,
  book BLOB NOT NULL,
  note TEXT NOT NULL
) STRICT;

-- Says that the projections were made by an older version and must be folded again.
CREATE TABLE stale (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;
INSERT INTO stale SELECT 1 WHERE EXISTS (SELECT 1 FROM leaf);
