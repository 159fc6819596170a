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
