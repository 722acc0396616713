-- Keep other settlements of the same traces waiting until this transaction ends.
-- Parameters: $1 lock class, $2 keys in ascending order. Index: none.
SELECT pg_advisory_xact_lock($1::integer, key) FROM unnest($2::integer[]) AS key
