-- Partitions of months before a given one, oldest first.
-- Parameters: $1 first day of the first month to keep. Index: system catalogue.
SELECT found.name, found.month
FROM (
    SELECT child.relname::text AS name, to_date(right(child.relname, 7), 'YYYY_MM') AS month
    FROM pg_inherits AS link
    JOIN pg_class AS child ON child.oid = link.inhrelid
    WHERE link.inhparent = 'ai_usage_logs'::regclass AND child.relname ~ '^ai_usage_logs_\d{4}_\d{2}$'
) AS found
WHERE found.month < $1
ORDER BY found.month
