-- List the applied migrations; works on a table made by dbmate, which has no checksum column.
-- Parameters: none. Index: none, the table has a row per migration.
SELECT version, to_jsonb(applied) ->> 'checksum' AS checksum
FROM ai_usage_schema_migrations AS applied
ORDER BY version
