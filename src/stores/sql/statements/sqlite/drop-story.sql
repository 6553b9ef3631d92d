-- Undoes add-story.sql.
UPDATE {{table}} SET purge_at = NULL WHERE state = 'held';
ALTER TABLE {{table}} DROP COLUMN scope;
ALTER TABLE {{table}} DROP COLUMN label;
ALTER TABLE {{table}} DROP COLUMN created_at;
ALTER TABLE {{table}} DROP COLUMN claimed_at;
ALTER TABLE {{table}} DROP COLUMN held_at;
ALTER TABLE {{table}} DROP COLUMN held_note;
ALTER TABLE {{table}} DROP COLUMN settled_at;
ALTER TABLE {{table}} DROP COLUMN settled_note;
