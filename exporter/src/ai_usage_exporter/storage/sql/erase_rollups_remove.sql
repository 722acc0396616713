-- Remove the sums of users, after they were added elsewhere.
-- Parameters: $1 user keys. Index: idx_ai_usage_rollup_keys_cuboid, ai_usage_rollups_pkey.
DELETE FROM ai_usage_rollups
WHERE cuboid = 4 AND key_id IN (
    SELECT id FROM ai_usage_rollup_keys WHERE cuboid = 4 AND user_key = ANY($1::text[])
)
