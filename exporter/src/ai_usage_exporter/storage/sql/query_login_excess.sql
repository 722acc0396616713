-- List what the login asking may do beyond reading usage: change a table of ours, or read keys and sessions.
-- Parameters: none. Index: none.
SELECT 'change ' || relation.relname AS excess
FROM pg_class AS relation
WHERE relation.relkind IN ('r', 'p') AND pg_table_is_visible(relation.oid) AND relation.relname ~ '^ai_(usage|model)_'
    AND has_table_privilege(relation.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
UNION ALL
SELECT 'read ' || secret.name
FROM unnest(ARRAY['ai_usage_keys', 'ai_usage_sessions']) AS secret (name)
WHERE has_any_column_privilege(secret.name, 'SELECT')
ORDER BY excess
