-- Lock rows that are about to move and return what they add to the sums.
-- Parameters: $1 ids, $2 their created_at, same order; {columns} is the fixed list of storage/rollups.py.
-- Index: ai_usage_logs_pkey.
SELECT {columns}
FROM ai_usage_logs
WHERE (id, created_at) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]))
FOR UPDATE
