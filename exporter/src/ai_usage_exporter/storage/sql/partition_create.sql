-- Create the partition of one UTC month unless it exists; returns how many rows were moved out of the default
-- partition, or null when it existed.
-- Parameters: $1 any day of the month. Index: idx_ai_usage_created_at of the default partition.
SELECT ai_usage_create_partition($1)
