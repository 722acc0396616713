-- Find the cuboids and slots, other than the first, that hold sums.
-- Parameters: none. Index: idx_ai_usage_rollups_spread.
SELECT DISTINCT cuboid, slot FROM ai_usage_rollups WHERE slot <> 0 ORDER BY cuboid, slot
