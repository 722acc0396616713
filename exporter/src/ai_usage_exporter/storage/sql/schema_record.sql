-- Record one applied migration.
-- Parameters: $1 version, $2 name, $3 checksum.
INSERT INTO ai_usage_schema_migrations (version, name, checksum) VALUES ($1, $2, $3)
