-- Own prices, by name and from the earliest on.
-- Parameters: $1 provider or null, $2 model or null. Index: none, the table is small.
SELECT
    id, provider, model, service_tier, above_input_tokens, effective_from, effective_to, discount_percent,
    input_usd_per_mtok AS input, output_usd_per_mtok AS output, cache_read_usd_per_mtok AS cache_read,
    cache_write_usd_per_mtok AS cache_write, cache_write_1h_usd_per_mtok AS cache_write_1h,
    reasoning_usd_per_mtok AS reasoning, input_audio_usd_per_mtok AS input_audio,
    output_audio_usd_per_mtok AS output_audio, cache_read_audio_usd_per_mtok AS cache_read_audio,
    input_image_usd_per_mtok AS input_image, output_image_usd_per_mtok AS output_image,
    request_usd * 1000000 AS request, note
FROM ai_model_prices
WHERE ($1::text IS NULL OR lower(provider) = lower($1)) AND ($2::text IS NULL OR lower(model) = lower($2))
ORDER BY lower(provider), lower(model), service_tier, above_input_tokens, effective_from
