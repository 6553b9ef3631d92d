-- As now-ms.sql, in microseconds, though not more exact.
CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000
