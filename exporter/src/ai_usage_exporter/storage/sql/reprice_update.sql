-- Give calls another cost.
-- Parameters: one array each: $1 id, $2 start, $3 variant, $4 cost, $5 cost status, $6 price reference.
-- {table}, {variant}: storage/usage_table.py.
-- Index: ai_usage_logs_pkey.
UPDATE {table} AS log
SET cost_usd = changed.cost_usd, cost_status = changed.cost_status, price_ref = changed.price_ref
FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::numeric[], $5::text[], $6::bigint[])
    AS changed (id, created_at, variant, cost_usd, cost_status, price_ref)
WHERE log.id = changed.id AND log.created_at = changed.created_at AND {variant} = changed.variant
