-- Adds the story of a record to a table of an earlier release. See create-table.sql.
ALTER TABLE {{table}} ADD COLUMN scope blob;
ALTER TABLE {{table}} ADD COLUMN label blob;
ALTER TABLE {{table}} ADD COLUMN created_at bigint;
ALTER TABLE {{table}} ADD COLUMN claimed_at bigint;
ALTER TABLE {{table}} ADD COLUMN held_at bigint;
ALTER TABLE {{table}} ADD COLUMN held_note blob;
ALTER TABLE {{table}} ADD COLUMN settled_at bigint;
ALTER TABLE {{table}} ADD COLUMN settled_note blob;
UPDATE {{table}} SET purge_at = 1000000000000000 + fencing_token DIV 1000 WHERE state = 'held';
