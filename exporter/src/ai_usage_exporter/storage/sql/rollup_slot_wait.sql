-- Wait for a slot and own it until this transaction ends; which one is left to the connection's number.
-- Parameters: $1 lock class, $2 number of slots. Index: none.
SELECT slot::smallint
FROM (SELECT pg_backend_pid() % $2::integer AS slot) AS chosen, pg_advisory_xact_lock($1::integer, slot)
