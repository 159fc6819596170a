-- What lists show of a record; written in the transaction that changes the record. `n` numbers records in the order of their coming.
CREATE TABLE record (
  n INTEGER PRIMARY KEY,
  record BLOB NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  unit BLOB NOT NULL,
  opener_book BLOB NOT NULL,
  opener_user BLOB,
  opened_at INTEGER NOT NULL,
  -- Time of the newest change or act, by its author's clock.
  updated_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  title_zh TEXT NOT NULL,
  title_en TEXT NOT NULL,
  -- The record that this one is about (its first reference field): its title goes before this one's.
  about BLOB,
  -- Fields that lists may show, as JSON.
  facts TEXT NOT NULL,
  heads BLOB NOT NULL,
  pinned BLOB,
  offered BLOB,
  last_act BLOB,
  shown_version TEXT NOT NULL,
  waiting INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  came_back INTEGER NOT NULL,
  -- What could not be read of it; the entries are kept all the same.
  unreadable TEXT,
  -- What the record's row in `search` (of the same number) was made from.
  words_hash BLOB,
  -- Of the record's accepted entries that have their place on the ledger (protocol::digest); none when there are none, or it leaves.
  digest BLOB,
  -- Whether it left the scope and own work hangs on it still.
  leaving INTEGER NOT NULL DEFAULT 0,
  private_heads BLOB
) STRICT;
-- Every index costs each save a page: what one record's few rows can be searched for has none.
CREATE INDEX record_updated ON record (updated_at, n);
CREATE INDEX record_kind ON record (kind, updated_at, n);
CREATE INDEX record_about ON record (kind, about, opened_at) WHERE about IS NOT NULL;
CREATE INDEX record_waiting ON record (updated_at, n) WHERE waiting > 0;
CREATE INDEX record_refused ON record (updated_at, n) WHERE refused > 0;
CREATE INDEX record_conflicts ON record (updated_at, n) WHERE conflicts > 0;
CREATE INDEX record_came_back ON record (updated_at, n) WHERE came_back > 0;
CREATE INDEX record_leaving ON record (record) WHERE leaving > 0;

-- Changes of documents. status: 0 accepted, 1 pending (own, no verdict yet), 2 parked (refused, or built on what was refused),
-- 3 unreadable (from the feed, and the guard would not have it), 4 arrived (from the feed, waiting for the guard or for what it
-- depends on), 5 answered (parked, and its author has dealt with it), 6 lost (accepted once, and a restored station would not have it
-- back). Accepted entries without a leaf have no place on the station's ledger (any more). Nothing here is ever deleted but with its
-- record, when that has left the scope.
CREATE TABLE change (
  n INTEGER PRIMARY KEY,
  entry BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  change_hash BLOB,
  -- Hashes of the changes that it depends on, 32 bytes each.
  deps BLOB NOT NULL,
  -- Kind, version and unit, on the change that opens the record.
  opens BLOB,
  settles INTEGER NOT NULL,
  book BLOB NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  leaf INTEGER,
  position INTEGER,
  -- Whether the snapshot holds it.
  folded INTEGER NOT NULL DEFAULT 0,
  code TEXT,
  text TEXT,
  -- Last, so that counting rows reads no long pages.
  bytes BLOB NOT NULL,
  -- When the station took it in.
  received INTEGER,
  -- The entry's bytes, where they cannot be made again out of this row.
  whole BLOB
) STRICT;
CREATE INDEX change_record ON change (record, document, folded, n);
CREATE INDEX change_parked ON change (record, n) WHERE status = 2;

-- Acts, with the same statuses. `offered`: taken in as an offer to supplement.
CREATE TABLE act (
  n INTEGER PRIMARY KEY,
  entry BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL,
  book BLOB NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  offered INTEGER NOT NULL DEFAULT 0,
  leaf INTEGER,
  position INTEGER,
  code TEXT,
  text TEXT,
  -- Last, so that counting rows reads no long pages.
  bytes BLOB NOT NULL,
  received INTEGER
) STRICT;
CREATE INDEX act_record ON act (record, status, leaf, position, n);
CREATE INDEX act_parked ON act (record, n) WHERE status = 2;

-- The accepted changes of a long document as one, so that it opens quickly.
CREATE TABLE snapshot (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (record, document)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE search USING fts5 (
  words, initials, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'
);

-- Entries that no record could be found in: kept, so that a newer app may read them.
CREATE TABLE unread (
  entry BLOB PRIMARY KEY,
  bytes BLOB NOT NULL,
  book BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  position INTEGER NOT NULL,
  why TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What is being typed. `answers`: the parked entry whose values it offers again.
CREATE TABLE draft (
  draft BLOB PRIMARY KEY,
  record BLOB,
  kind TEXT NOT NULL,
  edit TEXT NOT NULL,
  based_on TEXT,
  based_heads BLOB,
  answers BLOB,
  saved_at INTEGER NOT NULL,
  based_private BLOB,
  unit BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_saved ON draft (saved_at, draft);

-- The patrol that is going on: at most one. `state`: the recorder after event `cut`.
CREATE TABLE patrol (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  record BLOB NOT NULL,
  started_at INTEGER NOT NULL,
  cut INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;

-- What its recorder was told, as it came. what: 0 fix, 1 broke (reason), 2 resumed.
CREATE TABLE track_event (
  n INTEGER PRIMARY KEY,
  what INTEGER NOT NULL,
  at INTEGER UNIQUE,
  lat_e6 INTEGER,
  lon_e6 INTEGER,
  accuracy_m INTEGER,
  source INTEGER,
  is_mock INTEGER,
  reason INTEGER
) STRICT;

-- Own entries in the order of their writing.
CREATE TABLE outbox (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  entry BLOB NOT NULL UNIQUE,
  record BLOB,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE identity (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  user BLOB NOT NULL,
  unit BLOB NOT NULL,
  book BLOB NOT NULL
) STRICT;

CREATE TABLE person (user BLOB PRIMARY KEY, name TEXT NOT NULL, roles TEXT NOT NULL, unit BLOB NOT NULL, leaf INTEGER NOT NULL DEFAULT -1) STRICT, WITHOUT ROWID;
CREATE TABLE book (book BLOB PRIMARY KEY, user BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE unit (unit BLOB PRIMARY KEY, name TEXT NOT NULL, parent BLOB, leaf INTEGER NOT NULL DEFAULT -1, closed INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE kind (kind TEXT NOT NULL, version INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY (kind, version)) STRICT, WITHOUT ROWID;
-- Where the exchange with the station stands.

-- The books that this file has had. At most one is being enrolled and at most one is in use; the facts of the station are those of
-- its answer. `request` is the packed enrolment request, kept so that a lost answer is asked for again with the same key.
CREATE TABLE own_book (
  book BLOB PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('begun', 'enrolled', 'left')),
  suite INTEGER NOT NULL,
  key_handle TEXT NOT NULL,
  public_key BLOB NOT NULL,
  code TEXT NOT NULL,
  request BLOB NOT NULL,
  begun_at INTEGER NOT NULL,
  origin TEXT,
  station TEXT,
  checkpoint_key BLOB,
  receipt_key BLOB
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX own_book_state ON own_book (state) WHERE state <> 'left';

-- Private keys of books, where no keystore of the device holds them.
CREATE TABLE vault (handle TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- The lives of this file, in order; the last one is the one that is written in. `next` and `last` are the number of its next page and
-- the hash of its last header: they stay when pages leave.
CREATE TABLE incarnation (
  life INTEGER PRIMARY KEY AUTOINCREMENT,
  incarnation BLOB NOT NULL UNIQUE,
  book BLOB NOT NULL,
  next INTEGER NOT NULL,
  last BLOB NOT NULL,
  -- Where the life before was left, and why.
  follows BLOB,
  broken_at INTEGER,
  reason TEXT
) STRICT;

-- Sealed pages. The header is here before it is signed. `leaf` and `verdicts` (CBOR) are the station's answer.
CREATE TABLE page (
  life INTEGER NOT NULL REFERENCES incarnation (life),
  sequence INTEGER NOT NULL,
  header BLOB NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  seed BLOB NOT NULL,
  signature BLOB,
  state TEXT NOT NULL CHECK (state IN ('sealed', 'answered', 'quarantined')),
  leaf INTEGER,
  verdicts BLOB,
  fault TEXT,
  PRIMARY KEY (life, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_sealed ON page (life, sequence) WHERE state = 'sealed';
CREATE INDEX page_answered ON page (leaf) WHERE state = 'answered';

-- Which outbox entries a page holds.
CREATE TABLE page_entry (
  life INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  position INTEGER NOT NULL,
  n INTEGER NOT NULL REFERENCES outbox (n),
  PRIMARY KEY (life, sequence, position),
  FOREIGN KEY (life, sequence) REFERENCES page (life, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_entry_n ON page_entry (n);

-- Outbox entries that are in no page yet, or must go into one again. `held_until`: not before that time, since the station lacks what
-- the entry needs; anything new from the station releases it.
CREATE TABLE queue (
  n INTEGER PRIMARY KEY REFERENCES outbox (n),
  tries INTEGER NOT NULL,
  held_until INTEGER NOT NULL
) STRICT;

-- How far the file is with its station.
CREATE TABLE exchange (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  cursor BLOB,
  checkpoint TEXT,
  token TEXT,
  contact_at INTEGER,
  complete_at INTEGER,
  fault_at INTEGER,
  fault TEXT,
  not_before INTEGER,
  -- The last time that both digests were seen to be equal, and since when they have not been.
  agreed_at INTEGER,
  differs_since INTEGER,
  verified_at INTEGER,
  -- Whether a comparison of all records is asked for.
  verify INTEGER NOT NULL DEFAULT 0,
  -- The newest checkpoint of the life of the ledger that was lost.
  witness TEXT
) STRICT;

-- The station's signed word on replies that answered pages: `items` are the hashes under the root, 32 bytes each, answers first.
CREATE TABLE receipt (
  n INTEGER PRIMARY KEY,
  root BLOB NOT NULL UNIQUE,
  signature BLOB NOT NULL,
  items BLOB NOT NULL,
  at INTEGER NOT NULL
) STRICT;

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
-- Parcels: own pages for others to carry, and what is carried for others.

-- The station's sealing key, as it was told last.
CREATE TABLE sealing (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  origin TEXT NOT NULL,
  key BLOB NOT NULL,
  told_at INTEGER NOT NULL
) STRICT;

-- Parcels made here. `secret` opens the answer.
CREATE TABLE parcel_made (
  n INTEGER PRIMARY KEY,
  parcel BLOB NOT NULL UNIQUE,
  secret BLOB NOT NULL,
  entries INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  answered_at INTEGER
) STRICT;

-- Parcels of others. `bytes` is the file while it waits; then the answer's file is in its place.
CREATE TABLE parcel_carried (
  n INTEGER PRIMARY KEY,
  parcel BLOB NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'answered', 'refused')),
  taken_at INTEGER NOT NULL,
  answered_at INTEGER,
  handed_at INTEGER,
  code TEXT,
  text TEXT,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX parcel_carried_waiting ON parcel_carried (n) WHERE state = 'waiting';

-- Photos and recordings: what is here, what waits for the station, what is wanted from it, and which records name it.

-- The content lies in a folder beside this file, encrypted chunk by chunk under `secret`, a key of its own; without one nothing is here.
-- `held` bytes of it are there, all of them when it is `whole`. `arrived_at`: since when the station says that it has it, last asked at
-- `asked_at`.
CREATE TABLE blob (
  hash BLOB PRIMARY KEY,
  bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  secret BLOB,
  held INTEGER NOT NULL,
  whole INTEGER NOT NULL,
  arrived_at INTEGER,
  asked_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_asked ON blob (asked_at);

-- Own blobs that the station has not acknowledged. `begun`: it may have some of it; `sent` is what it said that it has.
CREATE TABLE blob_outbox (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  hash BLOB NOT NULL UNIQUE REFERENCES blob (hash),
  record BLOB NOT NULL,
  thumbnail INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  since INTEGER NOT NULL,
  begun INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  fault TEXT
) STRICT;

-- Blobs that somebody wants to see.
CREATE TABLE blob_wanted (
  hash BLOB PRIMARY KEY REFERENCES blob (hash),
  since INTEGER NOT NULL,
  fault TEXT
) STRICT, WITHOUT ROWID;

-- The life of the station's ledger in which it last said what has arrived: a restored one may have lost some.
CREATE TABLE blob_check (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL
) STRICT;

-- The files that records name, as their documents say.
CREATE TABLE record_file (
  record BLOB NOT NULL,
  hash BLOB NOT NULL,
  field TEXT NOT NULL,
  media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  thumbnail BLOB,
  removed INTEGER NOT NULL,
  PRIMARY KEY (record, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_file_hash ON record_file (hash);
CREATE INDEX record_file_thumbnail ON record_file (thumbnail) WHERE thumbnail IS NOT NULL;

-- Keys of files whose records have left this phone: nothing opens them any more, and they are removed.
CREATE TABLE blob_left (secret BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

-- The keys of the station's certificate, as it announced them last: SHA-256 each, one behind the other.
CREATE TABLE pins (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  origin TEXT NOT NULL,
  said_at INTEGER NOT NULL,
  keys BLOB NOT NULL
) STRICT;

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

-- What the station said when this book's writing ended, and which of its pages need not be sent any more: taken in before, held by the
-- station for the chief, or refused by it (by code). Until keys and records are destroyed nothing else is read or written.
CREATE TABLE ended (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  why TEXT NOT NULL,
  -- By the station's clock, and when this phone heard of it by its own.
  ended_at INTEGER NOT NULL,
  heard_at INTEGER NOT NULL,
  wipe_order BLOB NOT NULL,
  -- Whether the station said last that it does not know the book: it was restored to before its enrolment.
  is_unknown INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE ended_page (hash BLOB PRIMARY KEY, code TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Books whose writing ended, as the ledger says it.
CREATE TABLE book_end (book BLOB PRIMARY KEY, why TEXT NOT NULL, leaf INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- How this file's books were enrolled: what the invitation said of the station, and the digits that both screens show.
CREATE TABLE enrolment (
  book BLOB PRIMARY KEY,
  origin TEXT,
  fingerprint BLOB,
  digits TEXT,
  awaits INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What the station destroyed, so that nothing of it stays or comes back here. `document`: 0 the whole record, 1 its private document.
-- `done`: 0 a patrol on it is still going on, 1 its rows are gone, 2 no page waits for an answer with any of it, 3 nothing of it is left in
-- the search index and the journal either.
CREATE TABLE destroyed (
  record BLOB NOT NULL,
  document INTEGER NOT NULL,
  at INTEGER NOT NULL,
  done INTEGER NOT NULL,
  PRIMARY KEY (record, document)
) STRICT, WITHOUT ROWID;

-- Own work that the station had not taken in when its record was destroyed: what it said, in words, until its author has dealt with it.
-- `what`: as JSON.
CREATE TABLE stranded (
  entry BLOB PRIMARY KEY,
  record BLOB NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  text TEXT NOT NULL,
  at INTEGER NOT NULL,
  what TEXT NOT NULL
) STRICT, WITHOUT ROWID;
