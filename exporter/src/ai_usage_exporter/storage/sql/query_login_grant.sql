-- Write the statement that lets a login read what the query API answers from.
-- Parameters: $1 the login. Index: none.
SELECT format(
    'GRANT SELECT ON ai_usage_logs, ai_usage_price_refs, ai_usage_rollups, ai_usage_rollup_keys, '
    'ai_usage_shadow_spans TO %I',
    $1::text
)
