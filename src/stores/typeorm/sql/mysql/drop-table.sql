-- Forgets everything.
DROP TABLE {{table}}
