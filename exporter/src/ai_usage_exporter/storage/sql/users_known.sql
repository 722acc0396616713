-- Find which users exist.
-- Parameters: $1 ids. Index: the primary key of users.
SELECT id FROM users WHERE id = ANY($1::uuid[])
