-- Count how many of the given keys have their dimensions written: nearly always all, and that is cheaper to ask than to
-- write them again.
-- Parameters: $1 ids, an array as text. Index: ai_usage_rollup_keys_pkey.
SELECT count(*) FROM ai_usage_rollup_keys WHERE id = ANY($1::text::bigint[])
