-- Memberships beside a person's own unit, levels and closing of units, who is blocked, and the codes of other registers.

-- ---- projections ----

ALTER TABLE unit ADD COLUMN level TEXT;
ALTER TABLE unit ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE unit_at ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_at ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE book ADD COLUMN attested TEXT;
ALTER TABLE book ADD COLUMN leaf INTEGER NOT NULL DEFAULT 0;

-- Memberships as the newest word has them. `phase`: 0 planned, 1 in force, 2 ended. `due`: when its next event is to be written.
CREATE TABLE membership (
  membership BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  unit BLOB NOT NULL,
  roles TEXT NOT NULL,
  stands_in_for BLOB,
  from_at INTEGER,
  until_at INTEGER,
  phase INTEGER NOT NULL,
  due INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_user ON membership (user, phase);
CREATE INDEX membership_due ON membership (due) WHERE due IS NOT NULL;

-- What each membership was from which entry on.
CREATE TABLE membership_at (
  user BLOB NOT NULL,
  membership BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  unit BLOB NOT NULL,
  roles TEXT NOT NULL,
  phase INTEGER NOT NULL,
  PRIMARY KEY (user, membership, leaf, position)
) STRICT, WITHOUT ROWID;

-- ---- operational ----

-- How other registers call units and people, by which an import knows them again. No phone needs it, so it is not on the ledger.
CREATE TABLE registry_code (
  is_unit INTEGER NOT NULL,
  code TEXT NOT NULL,
  id BLOB NOT NULL,
  PRIMARY KEY (is_unit, code)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX registry_code_id ON registry_code (is_unit, id);

INSERT OR IGNORE INTO stale SELECT 1 WHERE EXISTS (SELECT 1 FROM leaf);
