-- What the migrations add up to; a test holds that. The station's one database. First the ledger, which alone must never be lost; then
-- projections, which `rebuild` folds again from it; then operational tables. Ids are 16 bytes, hashes 32, lists one after another.

-- ---- ledger ----

CREATE TABLE leaf (
  number INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

-- Hashes of complete subtrees (RFC 6962): node `node` of level `level` covers the leaves from node * 2^level on.
CREATE TABLE tree (
  level INTEGER NOT NULL,
  node INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (level, node)
) STRICT, WITHOUT ROWID;

-- An entry as it stood in a page. `verdict` as in the leaf's runs: 0 accepted, 1 duplicate, 2 refused, 3 needs, 4 offered.
CREATE TABLE entry (
  leaf INTEGER NOT NULL REFERENCES leaf (number),
  position INTEGER NOT NULL,
  id BLOB NOT NULL,
  record BLOB,
  verdict INTEGER NOT NULL,
  salt BLOB NOT NULL,
  PRIMARY KEY (leaf, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_id ON entry (id);
CREATE INDEX entry_record ON entry (record, leaf, position) WHERE record IS NOT NULL;

-- The bytes of an entry, once, however often it came.
CREATE TABLE content (
  id BLOB NOT NULL UNIQUE,
  bytes BLOB NOT NULL,
  sealed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The ledger's lives. Epoch 0 begins empty; each later one begins at what a backup held and names what was lost.
CREATE TABLE epoch (
  epoch INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  follows_epoch INTEGER,
  follows_size INTEGER,
  follows_root BLOB
) STRICT;

-- ---- projections ----

-- Pages known, by their header's hash.
CREATE TABLE page (
  hash BLOB PRIMARY KEY,
  leaf INTEGER NOT NULL UNIQUE,
  book BLOB NOT NULL,
  incarnation BLOB NOT NULL,
  received INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where each book's chain ends, for each incarnation.
CREATE TABLE book_tip (
  book BLOB NOT NULL,
  incarnation BLOB NOT NULL,
  next INTEGER NOT NULL,
  last BLOB NOT NULL,
  PRIMARY KEY (book, incarnation)
) STRICT, WITHOUT ROWID;

CREATE TABLE unit (unit BLOB PRIMARY KEY, name TEXT NOT NULL, parent BLOB) STRICT, WITHOUT ROWID;

-- `roles`: codes, one space between.
CREATE TABLE user (user BLOB PRIMARY KEY, name TEXT NOT NULL, roles TEXT NOT NULL, unit BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE book (
  book BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  suite INTEGER NOT NULL,
  key BLOB NOT NULL,
  device TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE kind (
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,
  PRIMARY KEY (kind, version)
) STRICT, WITHOUT ROWID;

-- Which book an automerge author mark belongs to: the first that wrote under it.
CREATE TABLE actor (actor BLOB PRIMARY KEY, book BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- What the ledger says of a record, and what its facts say for lists. Times ending in _at are the author's clock, `received` and
-- `state_since` the station's.
CREATE TABLE record (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  kind_version INTEGER NOT NULL,
  unit BLOB NOT NULL,
  opener_book BLOB NOT NULL,
  opener_user BLOB NOT NULL,
  opened_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  state_since INTEGER NOT NULL,
  heads BLOB NOT NULL,
  private_heads BLOB NOT NULL,
  pinned BLOB,
  offered BLOB,
  last_act BLOB,
  received INTEGER NOT NULL,
  leaf INTEGER NOT NULL,
  version BLOB NOT NULL,
  review INTEGER NOT NULL,
  title TEXT NOT NULL,
  pending INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  findings INTEGER NOT NULL
) STRICT;
CREATE INDEX record_review ON record (state_since, number) WHERE review = 1;
CREATE INDEX record_changed ON record (leaf, number);

-- The states that a record had, each from this entry on.
CREATE TABLE record_state (
  record BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (record, leaf, position)
) STRICT, WITHOUT ROWID;

-- The versions that a record had after each leaf, so that what moved since can be told.
CREATE TABLE record_version (
  record BLOB NOT NULL,
  version BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  heads BLOB NOT NULL,
  PRIMARY KEY (record, version)
) STRICT, WITHOUT ROWID;

-- Accepted changes. `document`: 0 facts, 1 private.
CREATE TABLE change (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  hash BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  entry BLOB NOT NULL,
  author BLOB NOT NULL,
  PRIMARY KEY (record, document, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_order ON change (record, document, leaf, position);

-- Refused changes, so that what builds on them is told apart from what came too early.
CREATE TABLE refused_change (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  hash BLOB NOT NULL,
  book BLOB NOT NULL,
  PRIMARY KEY (record, document, hash, book)
) STRICT, WITHOUT ROWID;

CREATE TABLE act (
  record BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  entry BLOB NOT NULL,
  code TEXT NOT NULL,
  author BLOB NOT NULL,
  at INTEGER NOT NULL,
  received INTEGER NOT NULL,
  state TEXT NOT NULL,
  offered INTEGER NOT NULL,
  PRIMARY KEY (record, leaf, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE conflict (record BLOB NOT NULL, path TEXT NOT NULL, PRIMARY KEY (record, path)) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
  record BLOB NOT NULL,
  number INTEGER NOT NULL,
  path TEXT NOT NULL,
  code TEXT NOT NULL,
  severity TEXT NOT NULL,
  zh TEXT NOT NULL,
  en TEXT NOT NULL,
  PRIMARY KEY (record, number)
) STRICT, WITHOUT ROWID;

-- The changes of a long document up to this leaf as one, so that it opens quickly.
CREATE TABLE snapshot (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  leaf INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (record, document)
) STRICT, WITHOUT ROWID;

-- Words of records, by `record.number`; each CJK character stands between spaces, as on the phone.
CREATE VIRTUAL TABLE search USING fts5 (body, tokenize = 'unicode61 remove_diacritics 0');

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

CREATE TABLE station (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  name TEXT NOT NULL,
  origin TEXT NOT NULL,
  book BLOB NOT NULL,
  incarnation BLOB NOT NULL,
  backed_up_to INTEGER NOT NULL
) STRICT;

-- Codes and tokens are kept as SHA-256 only.
CREATE TABLE enrolment_code (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  book BLOB,
  key BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  book BLOB,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX token_expires ON token (expires_at);

CREATE TABLE challenge (hash BLOB PRIMARY KEY, book BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- What a book confirmed that it holds, and when it was last heard of.
CREATE TABLE contact (
  book BLOB PRIMARY KEY,
  at INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Pages that could not be taken in as a whole, as they came.
CREATE TABLE quarantine (
  number INTEGER PRIMARY KEY,
  book BLOB NOT NULL,
  hash BLOB NOT NULL,
  received INTEGER NOT NULL,
  fault TEXT NOT NULL,
  bytes BLOB NOT NULL,
  sealed INTEGER NOT NULL DEFAULT 0,
  UNIQUE (book, hash)
) STRICT;

-- ---- projections of links and merges ----

-- The record that a record is about: what its first reference field names.
CREATE TABLE about (record BLOB PRIMARY KEY, target BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX about_target ON about (target);

-- Records that were merged into another (`target`), and the one that stays at the end of all merges (`root`).
CREATE TABLE merged (record BLOB PRIMARY KEY, target BLOB NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX merged_target ON merged (target);
CREATE INDEX merged_root ON merged (root);

-- By what a record may be told to be another one of its kind.
CREATE TABLE duplicate_key (
  record BLOB NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  PRIMARY KEY (record, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX duplicate_key_kind ON duplicate_key (kind, key, record);

-- Pairs that a person said are two; the smaller id first.
CREATE TABLE not_duplicate (
  record BLOB NOT NULL,
  other BLOB NOT NULL,
  PRIMARY KEY (record, other)
) STRICT, WITHOUT ROWID;

-- ---- operational, of phones ----

-- What each phone said last: its app, and what it still owed then beside what that request carried. `agrees`: whether its digest was the
-- station's when they were last compared.
CREATE TABLE owed (
  book BLOB PRIMARY KEY,
  app TEXT NOT NULL,
  said_at INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  since INTEGER,
  blobs INTEGER NOT NULL,
  blob_bytes INTEGER NOT NULL,
  came_back INTEGER NOT NULL,
  agrees INTEGER,
  compared_at INTEGER
) STRICT, WITHOUT ROWID;
-- A history that this station's key signed and that is not this ledger's: since then nothing is signed.
CREATE TABLE alarm (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at INTEGER NOT NULL,
  book BLOB NOT NULL,
  note TEXT NOT NULL
) STRICT;

-- Says that the projections were made by an older version and must be folded again.
CREATE TABLE stale (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;

-- ---- blobs ----

-- Projection: the files that records name. `document`: 0 facts, 1 private. `thumbnail` is a blob of its own.
CREATE TABLE record_file (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  hash BLOB NOT NULL,
  field TEXT NOT NULL,
  media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  thumbnail BLOB,
  removed INTEGER NOT NULL,
  PRIMARY KEY (record, document, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_file_hash ON record_file (hash);
CREATE INDEX record_file_thumbnail ON record_file (thumbnail) WHERE thumbnail IS NOT NULL;

-- Operational: what books have begun to upload, and what arrived before any record named it. How much has come says the file alone.
CREATE TABLE blob_upload (
  book BLOB NOT NULL,
  hash BLOB NOT NULL,
  length INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,
  arrived INTEGER NOT NULL,
  PRIMARY KEY (book, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_upload_touched ON blob_upload (touched_at);
CREATE INDEX blob_upload_hash ON blob_upload (hash);

-- ---- the audit log ----

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

-- ---- sealing, destruction, holds ----

-- Up to which row `content` was sealed, while a database of an earlier version is being sealed batch by batch.
CREATE TABLE unsealed (one INTEGER PRIMARY KEY CHECK (one = 1), after INTEGER NOT NULL) STRICT;
-- Bytes were deleted that may still lie in the search index and the journal, or (`whole`) anywhere in the file.
CREATE TABLE scrub (one INTEGER PRIMARY KEY CHECK (one = 1), whole INTEGER NOT NULL) STRICT;

-- Ledger: what stays of an entry whose salt and bytes were destroyed, beside its row in `entry`, where the salt is empty and the id is the
-- salted hash that stands under its page's root. `event`: the destruction that names it. `late`: it came when its record was destroyed
-- already, and was refused. `actor`: the author mark that it bound to `book`. `opens`: kind, version and unit that it opened a record with.
CREATE TABLE destroyed_entry (
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  event BLOB NOT NULL,
  book BLOB NOT NULL,
  actor BLOB,
  opens BLOB,
  late INTEGER NOT NULL,
  PRIMARY KEY (leaf, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX destroyed_entry_event ON destroyed_entry (event, leaf, position);

-- Projection: destructions. `document`: 1 the private one alone, none the whole record. `at` is the station's clock.
CREATE TABLE destruction (
  event BLOB PRIMARY KEY,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  at INTEGER NOT NULL,
  record BLOB NOT NULL,
  document INTEGER,
  why TEXT NOT NULL,
  rule TEXT NOT NULL,
  entries INTEGER NOT NULL,
  root BLOB NOT NULL,
  on_behalf BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX destruction_record ON destruction (record);
CREATE INDEX destruction_leaf ON destruction (leaf, position);

-- Projection: records that were destroyed as a whole, with the number that they had and that no other gets. `event` is none while a
-- rebuild has not come to it; kind and unit are none for a record that this life of the ledger never held.
CREATE TABLE gone (
  record BLOB PRIMARY KEY,
  number INTEGER,
  kind TEXT,
  kind_version INTEGER,
  unit BLOB,
  event BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX gone_number ON gone (number);

-- Projection: records that are kept beyond their time, on which ground, and who said so.
CREATE TABLE hold (
  record BLOB PRIMARY KEY,
  ground TEXT NOT NULL,
  since INTEGER NOT NULL,
  leaf INTEGER NOT NULL,
  on_behalf BLOB
) STRICT, WITHOUT ROWID;

-- Operational: blobs that nothing names any more since a destruction, and whether their files are removed.
CREATE TABLE blob_destroyed (hash BLOB PRIMARY KEY, removed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
