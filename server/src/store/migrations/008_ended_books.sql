-- Books that ended, and what they sent since; and how books came to be enrolled.

-- ---- projections ----

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

-- ---- operational ----

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

INSERT OR IGNORE INTO stale SELECT 1 WHERE EXISTS (SELECT 1 FROM leaf);
