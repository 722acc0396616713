-- Keep the price that rows were computed with.
-- Parameters: $1 id, $2 source, $3 version, $4 provider, $5 model, $6 tier, $7 rates as JSON.
-- Index: ai_usage_price_refs_pkey.
INSERT INTO ai_usage_price_refs (id, source, version, provider, model, tier, rates)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO NOTHING
