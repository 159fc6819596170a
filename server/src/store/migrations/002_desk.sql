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
