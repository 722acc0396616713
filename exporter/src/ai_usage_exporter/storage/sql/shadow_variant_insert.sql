-- Keep what was sent again under a known id with other contents; returns nothing when it is there already.
-- Parameters: the columns of storage/row.py, then the row restated and the variant.
-- Index: ai_usage_shadow_spans_pkey.
INSERT INTO ai_usage_shadow_spans ({columns}, reason, row_id, variant)
VALUES ({values}, 'replay_with_other_content', {row_id}, {variant})
ON CONFLICT (id, created_at, variant) DO NOTHING
RETURNING id
