-- Add an own price; refused when another one of the same thing holds at some moment of its period.
-- Parameters: $1 provider, $2 model, $3 service tier, $4 input tokens above which it applies, $5 from, $6 to,
-- $7 discount in percent, $8 to $18 dollars per million, $19 dollars a call, $20 note.
-- Index: ai_model_prices_no_overlap.
INSERT INTO ai_model_prices (
    provider, model, service_tier, above_input_tokens, effective_from, effective_to, discount_percent,
    input_usd_per_mtok, output_usd_per_mtok, cache_read_usd_per_mtok, cache_write_usd_per_mtok,
    cache_write_1h_usd_per_mtok, reasoning_usd_per_mtok, input_audio_usd_per_mtok, output_audio_usd_per_mtok,
    cache_read_audio_usd_per_mtok, input_image_usd_per_mtok, output_image_usd_per_mtok, request_usd, note
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
RETURNING id
