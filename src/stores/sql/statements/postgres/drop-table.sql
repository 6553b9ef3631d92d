-- Drops the table, and all records with it.
DROP TABLE {{table}}
