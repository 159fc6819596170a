-- Who read, exported, signed in or changed what. No projection: its lines are chained by hash, and the ledger holds the hash of the last.
-- Numbers rise by one; only where a restore lost lines is there a gap, which the line behind it tells of.
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
CREATE INDEX audit_user ON audit (user, number) WHERE user IS NOT NULL;
CREATE INDEX audit_record ON audit (record, number) WHERE record IS NOT NULL;

-- What stands in the log stays as it is: no program path does this, and no hand at the database does it in passing.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'a line of the audit log is never changed');
END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'a line of the audit log is never deleted');
END;

-- Where the ledger fixed the log: how many lines, and the hash of the last. A projection.
CREATE TABLE audit_anchor (
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  head BLOB NOT NULL,
  PRIMARY KEY (leaf, position)
) STRICT, WITHOUT ROWID;

-- Glass that was broken: who reads a record unmasked, why, until when. Never deleted; its auditor reads it.
CREATE TABLE glass (
  line INTEGER PRIMARY KEY REFERENCES audit (number),
  record BLOB NOT NULL,
  user BLOB NOT NULL,
  reason TEXT NOT NULL,
  begun_at INTEGER NOT NULL,
  ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX glass_record ON glass (record, user, ends_at);

-- Words of records that are not personal, by `record.number`: what those search who do not work on a record. A projection.
CREATE VIRTUAL TABLE search_open USING fts5 (body, tokenize = 'unicode61 remove_diacritics 0');

-- Stations made before this fold their ledger again when they are opened.
INSERT OR IGNORE INTO stale SELECT 1 WHERE EXISTS (SELECT 1 FROM leaf);
