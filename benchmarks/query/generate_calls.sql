-- Generate one UTC day's calls. $1 day, $2 calls of the day, $3 users, $4 end of the data.
-- 20 services with 2 actions each, 30 models of 6 providers, every combination of service and model; skewed as in life.
INSERT INTO ai_usage_logs (
    id, created_at, user_ref, user_email, service_name, service_action, provider, model, request_model, operation,
    input_tokens, output_tokens, total_tokens, cache_read_tokens, reasoning_tokens, cost_usd, cost_status,
    duration_ms, success, error_code, error_message, trace_id, span_id, emitter
)
SELECT
    -- Time-ordered like ours: 48 bits of milliseconds, then chance.
    (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '8' || substr(md5(call || salt), 1, 3)
        || 'a' || substr(md5(call || salt), 4, 15))::uuid,
    moment, 'user-' || user_number, 'user-' || user_number || '@example.com', 'service-' || service_number,
    CASE WHEN chance_a < 0.7 THEN 'analyze' ELSE 'generate' END,
    'provider-' || model_number % 6, 'model-' || model_number, 'model-' || model_number, 'chat',
    input_tokens, CASE WHEN failed THEN 0 ELSE output_tokens END,
    input_tokens + CASE WHEN failed THEN 0 ELSE output_tokens END,
    CASE WHEN chance_b < 0.4 THEN input_tokens / 2 END, CASE WHEN chance_b > 0.8 THEN output_tokens / 3 END,
    CASE
        WHEN model_number = 29 THEN 0
        ELSE (input_tokens * (model_number + 1) * 0.15 + output_tokens * (model_number + 1) * 0.6) / 1000000
    END,
    CASE WHEN model_number = 29 THEN 'unpriced' ELSE 'priced' END,
    (exp(6.8 + 0.9 * sqrt(-2 * ln(1 - chance_c)) * cos(2 * pi() * chance_d)))::bigint,
    NOT failed, CASE WHEN failed THEN (ARRAY['429', '500', 'timeout'])[1 + floor(chance_d * 3)::int] END,
    CASE WHEN failed THEN 'the provider refused the call' END,
    decode(md5(call || salt), 'hex'), substr(decode(md5(salt || call), 'hex'), 1, 8), 'otel'
FROM (
    SELECT
        call, random()::text AS salt, $1::timestamptz + random() * interval '24 hours' AS moment,
        floor($3::integer * random() ^ 2)::integer AS user_number,
        floor(20 * random() ^ 1.5)::integer AS service_number, floor(30 * random() ^ 1.5)::integer AS model_number,
        floor(200 + 6000 * random() ^ 3)::bigint AS input_tokens, floor(20 + 1500 * random() ^ 3)::bigint AS output_tokens,
        random() < 0.02 AS failed, random() AS chance_a, random() AS chance_b, random() AS chance_c, random() AS chance_d
    FROM generate_series(1, $2::integer) AS call
) AS drawn
WHERE moment < $4::timestamptz
