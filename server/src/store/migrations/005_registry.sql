-- Memberships beside a person's own unit, levels of units, who is blocked.

ALTER TABLE user ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
