-- Note that rows before a moment are gone; never goes back.
-- Parameters: $1 moment. Index: ai_usage_retention_pkey.
UPDATE ai_usage_retention SET rows_dropped_before = greatest(rows_dropped_before, $1)
