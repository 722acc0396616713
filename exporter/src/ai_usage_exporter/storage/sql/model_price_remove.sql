-- Remove an own price; what was priced with it keeps its copy.
-- Parameters: $1 id. Index: ai_model_prices_pkey.
DELETE FROM ai_model_prices WHERE id = $1
RETURNING provider || '/' || model
