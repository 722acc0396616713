-- Wait for the first slot and another one, in this order, and own both until this transaction ends.
-- Parameters: $1 lock class, $2 the other slot. Index: none.
SELECT pg_advisory_xact_lock($1::integer, 0), pg_advisory_xact_lock($1::integer, $2::integer)
