-- End the price of one thing that holds at a moment and began before it; one that begins at it is removed.
-- Parameters: $1 provider, $2 model, $3 service tier, $4 input tokens above which it applies, $5 moment.
-- Index: ai_model_prices_no_overlap.
WITH replaced AS (
    DELETE FROM ai_model_prices
    WHERE lower(provider) = lower($1) AND lower(model) = lower($2) AND lower(service_tier) = lower($3)
        AND above_input_tokens = $4 AND effective_from = $5
)
UPDATE ai_model_prices SET effective_to = $5
WHERE lower(provider) = lower($1) AND lower(model) = lower($2) AND lower(service_tier) = lower($3)
    AND above_input_tokens = $4 AND effective_from < $5 AND (effective_to IS NULL OR effective_to > $5)
