-- List the values calls have been filtered by, up to 1,000 of each; the services of a limited viewer only.
-- Parameters: $1 services, null for all. Index: idx_ai_usage_rollup_keys_cuboid.
SELECT dimension, value
FROM (
    SELECT
        dimension, value, row_number() OVER (PARTITION BY dimension ORDER BY value) AS place
    FROM (
        SELECT DISTINCT item.dimension, item.value
        FROM ai_usage_rollup_keys AS key
        CROSS JOIN LATERAL (
            VALUES
            ('service', key.service), ('action', key.action), ('provider', key.provider), ('model', key.model),
            ('error_code', key.error_code), ('cost_status', key.cost_status)
        ) AS item (dimension, value)
        WHERE key.cuboid = 0 AND item.value IS NOT NULL AND ($1::text[] IS NULL OR key.service = ANY($1))
    ) AS found
) AS numbered
WHERE place <= 1000
ORDER BY dimension, value
