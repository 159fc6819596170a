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

-- `level`: by code, as `community`. `closed`: it takes no new people and records.
CREATE TABLE unit (
  unit BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  parent BLOB,
  level TEXT,
  closed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- `roles`: codes, one space between.
CREATE TABLE user (
  user BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  roles TEXT NOT NULL,
  unit BLOB NOT NULL,
  blocked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE book (
  book BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  suite INTEGER NOT NULL,
  key BLOB NOT NULL,
  device TEXT NOT NULL,
  attested TEXT,
  leaf INTEGER NOT NULL DEFAULT 0
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
  blocked INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user, leaf, position)
) STRICT, WITHOUT ROWID;

-- Where each unit stood in the tree, each from this entry on.
CREATE TABLE unit_at (
  unit BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  parent BLOB,
  closed INTEGER NOT NULL DEFAULT 0,
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

-- ---- registry ----

-- Projection: memberships as the newest word has them. `phase`: 0 planned, 1 in force, 2 ended. `due`: when its next event is to be written.
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

-- Operational: how other registers call units and people, by which an import knows them again. No phone needs it, so it is not on the ledger.
CREATE TABLE registry_code (
  is_unit INTEGER NOT NULL,
  code TEXT NOT NULL,
  id BLOB NOT NULL,
  PRIMARY KEY (is_unit, code)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX registry_code_id ON registry_code (is_unit, id);

-- ---- the audit log ----

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

-- ---- signing in ----

-- By what name a person signs in. `password` and the secrets of the second factor are sealed; `totp_step` is the last step of which a code
-- was used; `totp_next` is a secret that was shown and that no code has confirmed yet.
CREATE TABLE account (
  user BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  password BLOB,
  password_at INTEGER NOT NULL,
  is_long INTEGER NOT NULL,
  totp BLOB,
  totp_step INTEGER NOT NULL,
  totp_next BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (hash BLOB PRIMARY KEY, user BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_code_user ON recovery_code (user);

-- What lets a person set his password once. One at a time.
CREATE TABLE invitation (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL UNIQUE,
  account TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  totp_next BLOB
) STRICT, WITHOUT ROWID;

-- `proved_at`: when the person last showed what he knows and has. `factor`: by what he showed that he has it; none when he did not.
CREATE TABLE session (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  via TEXT NOT NULL,
  factor TEXT,
  source TEXT NOT NULL,
  begun_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  proved_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (user);
CREATE INDEX session_expires ON session (expires_at);

-- Devices and addresses from which a person has signed in, by hash: who throttles his account does not throttle him there.
CREATE TABLE known_place (
  user BLOB NOT NULL,
  hash BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;

-- Attempts since the last success, by hash of the account's name; names that are none share a few rows.
CREATE TABLE sign_in_failure (account BLOB PRIMARY KEY, failures INTEGER NOT NULL, last_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Who a person is at the single sign-on provider.
CREATE TABLE provider_link (
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  user BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

-- What a token of a program is for. Tokens from before have no row.
CREATE TABLE program_token (hash BLOB PRIMARY KEY, name TEXT NOT NULL, roles TEXT, issued_by BLOB) STRICT, WITHOUT ROWID;

-- Shares of phones' keys, each sealed under the station's key of columns and bound to its book.
CREATE TABLE unlock_share (
  book BLOB PRIMARY KEY,
  share BLOB NOT NULL,
  name BLOB NOT NULL,
  kept_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One-time codes that let a person into his phone again, as SHA-256 only; used by one request of one book.
CREATE TABLE unlock_code (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  book BLOB,
  reply_key BLOB
) STRICT, WITHOUT ROWID;

-- Wrong codes of each phone.
CREATE TABLE unlock_try (book BLOB PRIMARY KEY, wrong INTEGER NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Emergency notes, sealed as they came. `read_at`: when somebody was shown it first.
CREATE TABLE note (
  number INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  book BLOB NOT NULL,
  user BLOB NOT NULL,
  unit BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  file BLOB NOT NULL,
  read_at INTEGER
) STRICT;
CREATE INDEX note_book ON note (book);

-- Public keys of units' custodians. A projection.
CREATE TABLE unit_key (
  unit BLOB NOT NULL,
  key BLOB NOT NULL,
  custodian TEXT NOT NULL,
  ended INTEGER NOT NULL,
  PRIMARY KEY (unit, key)
) STRICT, WITHOUT ROWID;

-- ---- ended books ----

-- The books whose writing ended. `at`: when the station said so; `ordered_by`: none for the operator at the machine.
CREATE TABLE book_end (
  book BLOB PRIMARY KEY,
  why TEXT NOT NULL,
  at INTEGER NOT NULL,
  ordered_by BLOB,
  leaf INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Entries that a person took in from what a book sent after its end.
CREATE TABLE admitted (
  entry BLOB PRIMARY KEY,
  record BLOB NOT NULL,
  admitted_by BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Enrolments by a number that is no secret: the code's hash, who issued it, the book that it made, and whether somebody compared the
-- check digits. A book's token is good from `confirmed_at` on.
CREATE TABLE enrolment (
  id BLOB PRIMARY KEY,
  code_hash BLOB NOT NULL UNIQUE,
  user BLOB NOT NULL,
  issued_by BLOB,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  book BLOB UNIQUE,
  used_at INTEGER,
  nonce BLOB,
  digits TEXT,
  confirmed_at INTEGER,
  confirmed_by BLOB
) STRICT, WITHOUT ROWID;

-- Pages that came after their book had ended, sealed under a key of the keys directory. `carrier`: who brought them in a parcel.
CREATE TABLE held_page (
  hash BLOB PRIMARY KEY,
  book BLOB NOT NULL,
  received INTEGER NOT NULL,
  carrier BLOB,
  size INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX held_page_book ON held_page (book, received);

-- Their entries, and what was decided on each. state: 0 open, 1 admitted, 2 refused, 3 on the ledger already, 4 its
-- record was destroyed: bytes and name are gone.
CREATE TABLE held_entry (
  page BLOB NOT NULL REFERENCES held_page (hash),
  position INTEGER NOT NULL,
  entry BLOB NOT NULL,
  record BLOB,
  state INTEGER NOT NULL,
  decided_at INTEGER,
  decided_by BLOB,
  reason TEXT,
  PRIMARY KEY (page, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_entry_open ON held_entry (page) WHERE state = 0;
CREATE INDEX held_entry_record ON held_entry (record) WHERE record IS NOT NULL;

-- The last words of phones that parted with their records.
CREATE TABLE wiped (
  book BLOB PRIMARY KEY,
  received INTEGER NOT NULL,
  receipt BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;


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
