-- The server's clock in milliseconds since 1970, whatever its time zone. Not `now()`, which
-- stands still in a transaction.
floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
