-- Find which users exist.
-- Parameters: $1 ids, an array as text. Index: the primary key of users.
SELECT id FROM users WHERE id = ANY($1::text::uuid[])
