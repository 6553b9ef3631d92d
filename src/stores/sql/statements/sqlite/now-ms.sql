-- SQLite's clock in milliseconds since 1970, UTC. It stands still during a statement.
CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
