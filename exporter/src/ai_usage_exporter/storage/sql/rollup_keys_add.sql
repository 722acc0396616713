-- Write the dimensions behind keys that are not known yet; given in order of id.
-- Parameters: one array for each column. Index: ai_usage_rollup_keys_pkey.
INSERT INTO ai_usage_rollup_keys (
    id, cuboid, service, action, provider, model, success, error_code, cost_status, user_key, duration_bin
)
SELECT *
FROM unnest(
    $1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
    $9::text[], $10::text[], $11::smallint[]
)
ON CONFLICT (id) DO NOTHING
