-- Wait for every slot and own them all until this transaction ends.
-- Parameters: $1 lock class, $2 number of slots. Index: none.
SELECT pg_advisory_xact_lock($1::integer, slot) FROM generate_series(0, $2::integer - 1) AS slot
