-- Read one call with the price it was computed with.
-- Parameters: $1 id, then the conditions' values. {conditions}: storage/condition.py.
-- Index: ai_usage_logs_pkey.
SELECT
    log.*, price.source AS price_source, price.version AS price_version, price.provider AS price_provider,
    price.model AS price_model, price.tier AS price_tier, price.rates AS price_rates
FROM ai_usage_logs AS log
LEFT JOIN ai_usage_price_refs AS price ON price.id = log.price_ref
WHERE log.id = $1 AND {conditions}
LIMIT 1
