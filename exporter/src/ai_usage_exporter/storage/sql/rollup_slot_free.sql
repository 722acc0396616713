-- Own the first slot that no other transaction owns, until this transaction ends; no row when all are owned.
-- Parameters: $1 lock class, $2 number of slots. Index: none.
SELECT slot::smallint
FROM generate_series(0, $2::integer - 1) AS slot
WHERE pg_try_advisory_xact_lock($1::integer, slot)
LIMIT 1
