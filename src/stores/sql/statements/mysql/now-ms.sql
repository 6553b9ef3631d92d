-- The server's clock in milliseconds since 1970, when the statement began. In UTC: by way of
-- UNIX_TIMESTAMP(now(3)) an hour would come twice when summer ends.
(timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)
