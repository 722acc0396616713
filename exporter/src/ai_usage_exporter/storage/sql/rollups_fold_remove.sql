-- Remove the sums that a slot holds of a cuboid; this transaction owns the slot and has added them elsewhere.
-- Parameters: $1 cuboid, $2 slot. Index: idx_ai_usage_rollups_spread.
DELETE FROM ai_usage_rollups WHERE cuboid = $1::smallint AND slot = $2::smallint AND slot <> 0
