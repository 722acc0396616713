-- Give a table made by dbmate the columns it lacks; they stay null for what dbmate applied.
-- Parameters: none.
ALTER TABLE ai_usage_schema_migrations
ADD COLUMN IF NOT EXISTS name text,
ADD COLUMN IF NOT EXISTS checksum text,
ADD COLUMN IF NOT EXISTS applied_at timestamptz DEFAULT now()
