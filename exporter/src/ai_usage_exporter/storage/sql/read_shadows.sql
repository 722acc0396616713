-- List the spans that restate a call.
-- Parameters: $1 the call's id. Index: that of ai_usage_shadow_spans on the row restated.
SELECT to_jsonb(shadow) AS shadow FROM ai_usage_shadow_spans AS shadow WHERE shadow.row_id = $1 LIMIT 100
