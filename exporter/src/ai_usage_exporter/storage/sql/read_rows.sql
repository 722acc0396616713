-- Sum rows by part of the period and by dimensions.
-- Parameters: those of {pieces}, then the conditions' values. {dimensions} and {conditions} come from the allow-list in
-- storage/condition.py, {pieces} from storage/grouping.py.
-- Index: idx_ai_usage_created_at; with a user idx_ai_usage_user_date or idx_ai_usage_user_ref_date.
SELECT
    piece.part, {dimensions},
    count(*) AS calls, count(*) FILTER (WHERE log.success) AS succeeded,
    count(*) FILTER (WHERE log.cost_status IN ('priced', 'reported', 'free')) AS priced_calls,
    sum(log.input_tokens)::bigint AS input_tokens, sum(log.output_tokens)::bigint AS output_tokens,
    sum(log.total_tokens)::bigint AS total_tokens, coalesce(sum(log.cache_read_tokens), 0)::bigint AS cache_read_tokens,
    coalesce(sum(log.cache_write_tokens), 0)::bigint AS cache_write_tokens,
    coalesce(sum(log.reasoning_tokens), 0)::bigint AS reasoning_tokens, sum(log.cost_usd) AS cost_usd,
    coalesce(sum(log.duration_ms), 0)::bigint AS duration_ms, count(log.duration_ms) AS timed_calls
FROM {pieces} AS piece (lower, upper, part)
-- OFFSET 0 keeps the planner from reading all rows once and comparing each with every piece: one index range a piece.
CROSS JOIN LATERAL (
    SELECT * FROM ai_usage_logs AS log
    WHERE log.created_at >= piece.lower AND log.created_at < piece.upper AND {conditions}
    OFFSET 0
) AS log
GROUP BY piece.part, {names}
