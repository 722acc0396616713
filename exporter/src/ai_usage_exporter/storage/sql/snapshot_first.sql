-- Number this transaction and say which others are committed as it begins.
-- Parameters: none. Index: none. The snapshot is older than every one the transaction's later statements take.
SELECT pg_current_xact_id()::text::bigint AS xid, pg_current_snapshot()::text AS snapshot
