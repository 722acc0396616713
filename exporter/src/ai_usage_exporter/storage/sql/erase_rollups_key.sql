-- Write the key of calls without a user, should any of the given users have sums to move there.
-- Parameters: $1 user keys. Index: idx_ai_usage_rollup_keys_cuboid, ai_usage_rollup_keys_pkey.
INSERT INTO ai_usage_rollup_keys (id, cuboid)
SELECT ai_usage_rollup_key(4, ai_usage_rollup_part(NULL)), 4
WHERE EXISTS (SELECT FROM ai_usage_rollup_keys WHERE cuboid = 4 AND user_key = ANY($1::text[]))
ON CONFLICT (id) DO NOTHING
