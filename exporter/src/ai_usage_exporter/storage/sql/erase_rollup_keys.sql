-- Forget the keys of users, which no sums refer to any more.
-- Parameters: $1 user keys. Index: idx_ai_usage_rollup_keys_cuboid.
DELETE FROM ai_usage_rollup_keys WHERE cuboid = 4 AND user_key = ANY($1::text[])
