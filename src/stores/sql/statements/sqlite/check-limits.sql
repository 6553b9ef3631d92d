-- Fails if a column for limits is missing. Returns nothing.
SELECT bucket, counted_at FROM {{table}} WHERE 1 = 0
