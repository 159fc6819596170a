-- Whether the station said last that it does not know the book that has ended: it was restored to before its enrolment.
ALTER TABLE ended ADD COLUMN is_unknown INTEGER NOT NULL DEFAULT 0;
