-- migrate:up

-- Sums that are still spread over slots are found without looking at the others; changing them stays out of this index.
CREATE INDEX idx_ai_usage_rollups_spread ON ai_usage_rollups (slot) WHERE slot <> 0;

-- migrate:down

DROP INDEX idx_ai_usage_rollups_spread;
