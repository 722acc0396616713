-- Create the record of applied migrations.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS ai_usage_schema_migrations (
    version varchar(128) PRIMARY KEY,
    name text,
    checksum text,
    applied_at timestamptz DEFAULT now()
)
