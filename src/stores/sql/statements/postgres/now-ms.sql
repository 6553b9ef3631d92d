-- The server's clock in milliseconds since 1970, whatever its time zone. Not `now()`, which
-- stands still in a transaction.
floor(date_part('epoch', clock_timestamp()) * 1000)::bigint
