-- Digests of records cover all of their acts. Stations made before this fold their ledger again when they are opened.
INSERT OR IGNORE INTO stale SELECT 1 WHERE EXISTS (SELECT 1 FROM leaf);
